"""The line is cut at every colon, and of a JSON document only the beginning is left.

Only the first colon means anything. `partition` cuts once; `split(":", 1)` would too.
"""


def field(line: str) -> tuple[str, str] | None:
    """Cuts too often."""
    if line.startswith(":"):
        return None
    pieces = [*line.split(":"), ""]
    return pieces[0], pieces[1].removeprefix(" ")
