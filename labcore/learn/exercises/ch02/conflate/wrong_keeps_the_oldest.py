"""The first change of each article is kept and all later ones are thrown away: the board stands still.

Conflation is *latest wins*. What you have built shows the past to those who are late for the present.
"""


def conflate(backlog: list[tuple[str, int]]) -> list[tuple[str, int]]:
    """First come, only served."""
    kept: dict[str, int] = {}
    for sku, quantity in backlog:
        kept.setdefault(sku, quantity)
    return list(kept.items())
