"""Whatever the server says, the page comes back, and is refused again, as long as it is open.

A message that is too big will be too big the next time. Ten thousand pages that do this are an attack that you wrote yourself.
"""


def next_step(code: int) -> str:
    """Stubborn."""
    return {1000: "end", 1013: "later", 4001: "token"}.get(code, "again")
