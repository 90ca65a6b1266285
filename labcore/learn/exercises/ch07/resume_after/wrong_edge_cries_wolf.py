"""At the edge you announce a loss where there is none: the log begins with exactly the event that is wanted next.

A false alarm makes the subscriber fetch everything anew, all subscribers at once after a quiet night. The last safe id
is `first - 1`.
"""


def resume(last_event_id: str | None, first: int, last: int) -> tuple[int, bool]:
    """Off by one."""
    if not last_event_id:
        return last, False
    if last_event_id.isdecimal() and first <= int(last_event_id) <= last:
        return int(last_event_id), False
    return first - 1, True
