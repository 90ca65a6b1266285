"""All codes of the house are taken for a refusal, but an ended token is the most ordinary end of a long stream.

4001 says: all is well, show me a fresh token. 4003 says no. The numbers from 4000 on mean what *your* house says they mean.
"""


def next_step(code: int) -> str:
    """One drawer for all."""
    if code in {1002, 1003, 1007, 1008, 1009} or code >= 4000:
        return "never"
    return {1000: "end", 1013: "later"}.get(code, "again")
