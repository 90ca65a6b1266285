"""The field rule of server-sent events."""


def field(line: str) -> tuple[str, str] | None:
    """Name and value of a line without its end; None for a comment."""
    # <answer>
    if line.startswith(":"):
        return None
    name, _, value = line.partition(":")
    return name, value.removeprefix(" ")
    # </answer>
