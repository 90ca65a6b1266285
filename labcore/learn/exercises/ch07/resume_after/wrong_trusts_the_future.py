"""An id beyond your last one is taken for an id of yours, and its bearer waits for events that it has not seen to pass by.

After a restore from a backup the log counts on from an older number, and those ids come again with other events. Beyond `last` is a gap.
"""


def resume(last_event_id: str | None, first: int, last: int) -> tuple[int, bool]:
    """Believes what it is shown."""
    if not last_event_id:
        return last, False
    if last_event_id.isdecimal() and int(last_event_id) >= first - 1:
        return int(last_event_id), False
    return first - 1, True
