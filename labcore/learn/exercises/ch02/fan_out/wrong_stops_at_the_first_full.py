"""One slow subscriber, and everybody behind it in the list gets nothing.

A full backlog is that subscriber's affair. Remember its number and go on with the next.
"""

from collections.abc import Callable


def publish(
    event: dict[str, int],
    backlogs: list[list[bytes]],
    encode: Callable[[dict[str, int]], bytes],
    most: int,
) -> list[int]:
    """Gives up early."""
    data = encode(event) if backlogs else b""
    for number, backlog in enumerate(backlogs):
        if len(backlog) >= most:
            return [number]
        backlog.append(data)
    return []
