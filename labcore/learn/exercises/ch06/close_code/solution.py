"""What a client does about a close code."""


def next_step(code: int) -> str:
    """One of end, again, later, token, never."""
    # <answer>
    if code in {1002, 1003, 1007, 1008, 1009, 4003}:
        return "never"
    return {1000: "end", 1013: "later", 4001: "token"}.get(code, "again")
    # </answer>
