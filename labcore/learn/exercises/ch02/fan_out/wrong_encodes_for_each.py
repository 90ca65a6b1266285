"""The same bytes are made a thousand times: with every subscriber the server pays for the whole event again.

Encode before the loop. All backlogs may hold the very same object, for bytes never change.
"""

from collections.abc import Callable


def publish(
    event: dict[str, int],
    backlogs: list[list[bytes]],
    encode: Callable[[dict[str, int]], bytes],
    most: int,
) -> list[int]:
    """Dear."""
    full = []
    for number, backlog in enumerate(backlogs):
        if len(backlog) < most:
            backlog.append(encode(event))
        else:
            full.append(number)
    return full
