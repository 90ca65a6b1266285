"""The ping was answered long ago, and the peer is declared dead for it all the same.

A ping is open only while nothing has come since it was sent: `pinged > heard`. You look at its age alone.
"""


def pulse(now: float, heard: float, pinged: float) -> str:
    """Never takes an answer for one."""
    if pinged and now - pinged >= 10:
        return "dead"
    return "ping" if not pinged and now - heard >= 20 else "wait"
