"""A line without a colon is thrown away, but `data` alone is an empty line of the text.

Two such lines are a paragraph's end in a message. Only a line that *begins* with a colon is ignored.
"""


def field(line: str) -> tuple[str, str] | None:
    """Wants a colon."""
    if line.startswith(":") or ":" not in line:
        return None
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")
