"""A connection that was lost is taken for one that was ended, and the page stands still with old numbers on it.

1006 is never sent. It is what is left when no close frame came: the network, a crash, a laptop's lid. Nothing is more worth coming back for.
"""


def next_step(code: int) -> str:
    """Gives up with the network."""
    if code in {1002, 1003, 1007, 1008, 1009, 4003}:
        return "never"
    return {1000: "end", 1006: "end", 1013: "later", 4001: "token"}.get(code, "again")
