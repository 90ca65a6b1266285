"""All the space around the value is gone, and it was part of the text: indented code would arrive flat.

The standard takes away one space behind the colon, which is there for the reader's eye. `strip` takes them all, at both ends.
"""


def field(line: str) -> tuple[str, str] | None:
    """Too tidy."""
    if line.startswith(":"):
        return None
    name, _, value = line.partition(":")
    return name, value.strip()
