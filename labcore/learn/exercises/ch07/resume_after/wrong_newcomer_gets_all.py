"""Every newcomer is sent the whole log: a page that opens for the first time reads through yesterday.

Without an id nothing is owed. The page fetches the state as it is, and listens from there: after `last`.
"""


def resume(last_event_id: str | None, first: int, last: int) -> tuple[int, bool]:
    """Generous."""
    if last_event_id and last_event_id.isdecimal() and first - 1 <= int(last_event_id) <= last:
        return int(last_event_id), False
    return first - 1, bool(last_event_id)
