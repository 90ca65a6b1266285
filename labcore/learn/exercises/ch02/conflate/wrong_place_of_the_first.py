"""The values are right and stand where each article came *first*: ids go back, and a client that remembers the last one misses what lies between.

Writing to a key of a dictionary that is there already leaves it at its place. Take it out first.
"""


def conflate(backlog: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """Right values, old places."""
    return list(dict(backlog).items())
