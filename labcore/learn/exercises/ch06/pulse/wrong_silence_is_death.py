"""A peer that has nothing to say is cut off without being asked.

A board with no departures is silent for minutes and perfectly well. Silence is a reason to ask; only silence *after* a question is an end.
"""


def pulse(now: float, heard: float, pinged: float) -> str:  # noqa: ARG001 - to ignore it is the mistake
    """Takes silence for an answer."""
    return "dead" if now - heard >= 20 else "wait"
