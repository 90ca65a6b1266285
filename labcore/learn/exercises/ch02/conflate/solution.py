"""A backlog, conflated by key."""


def conflate(backlog: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """The newest pair of each article, in the order in which those came."""
    # <answer>
    newest: dict[str, int] = {}
    for sku, quantity in backlog:
        newest.pop(sku, None)
        newest[sku] = quantity
    return list(newest.items())
    # </answer>
