"""Where a subscriber goes on that shows its last id."""


def resume(last_event_id: str | None, first: int, last: int) -> tuple[int, bool]:
    """After which id it goes on, and whether something is lost; the log holds `first` to `last`."""
    # <answer>
    if not last_event_id:
        return last, False
    if last_event_id.isdecimal() and first - 1 <= int(last_event_id) <= last:
        return int(last_event_id), False
    return first - 1, True
    # </answer>
