"""Nobody is ever full: the backlog of whoever sleeps grows until the server's memory is gone, and with it everybody's stream.

Compare the length with the bound *before* you append.
"""

from collections.abc import Callable


def publish(
    event: dict[str, int],
    backlogs: list[list[bytes]],
    encode: Callable[[dict[str, int]], bytes],
    most: int,  # noqa: ARG001 - to ignore the bound is the mistake
) -> list[int]:
    """Trusts everybody."""
    data = encode(event) if backlogs else b""
    for backlog in backlogs:
        backlog.append(data)
    return []
