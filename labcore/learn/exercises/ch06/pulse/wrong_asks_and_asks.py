"""While the first ping is open a second is sent, and a third: each starts the clock anew, and nobody is ever dead.

One question at a time. While `pinged > heard` there is nothing to do but wait for its answer, or for its end.
"""


def pulse(now: float, heard: float, pinged: float) -> str:
    """Asks at every look."""
    if pinged > heard and now - pinged >= 10:
        return "dead"
    return "ping" if now - heard >= 20 else "wait"
