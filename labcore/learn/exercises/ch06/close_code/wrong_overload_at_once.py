"""A server that says that it is overloaded gets its clients back at once, all of them, and is overloaded.

1013 means *later*: wait far longer than after an accident, and by a random share more.
"""


def next_step(code: int) -> str:
    """Impatient."""
    if code in {1002, 1003, 1007, 1008, 1009, 4003}:
        return "never"
    return {1000: "end", 4001: "token"}.get(code, "again")
