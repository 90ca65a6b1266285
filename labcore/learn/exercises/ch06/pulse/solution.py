"""When to ask a silent peer, and when to give it up."""


def pulse(now: float, heard: float, pinged: float) -> str:
    """One of wait, ping, dead; all times in seconds."""
    # <answer>
    if pinged > heard:
        return "dead" if now - pinged >= 10 else "wait"
    return "ping" if now - heard >= 20 else "wait"
    # </answer>
