"""The subscriber goes on as if nothing had happened, and is wrong from now on without knowing it.

A log that forgets must say so. Whatever lies below `first - 1` is a gap, and a gap is announced.
"""


def resume(last_event_id: str | None, first: int, last: int) -> tuple[int, bool]:
    """Sends what there is."""
    if not last_event_id:
        return last, False
    return max(first - 1, int(last_event_id)), False
