"""One change is left of the whole backlog, and every other article keeps its old quantity for ever.

`on_backpressure_latest` keeps one value. Here there is one *for each key*: an article knows nothing of another's change.
"""


def conflate(backlog: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Forgets the keys."""
    return backlog[-1:]
