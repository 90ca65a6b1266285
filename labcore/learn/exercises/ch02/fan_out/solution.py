"""One event to many subscribers, encoded once."""

from collections.abc import Callable


def publish(
    event: dict[str, int],
    backlogs: list[list[bytes]],
    encode: Callable[[dict[str, int]], bytes],
    most: int,
) -> list[int]:
    """The numbers of those whose backlog was full; all others have the event's bytes."""
    # <answer>
    if not backlogs:
        return []
    data = encode(event)
    full = []
    for number, backlog in enumerate(backlogs):
        if len(backlog) < most:
            backlog.append(data)
        else:
            full.append(number)
    return full
    # </answer>
