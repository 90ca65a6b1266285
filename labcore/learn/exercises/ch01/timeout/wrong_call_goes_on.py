"""The customer is answered in time, and the call goes on behind their back.

`cache` runs its source to the end for whoever comes later, so a subscriber that leaves cancels nothing. Under load these
abandoned calls hold every connection. Put `timeout` straight on the call.
"""

from labcore.reactive import Mono


def authorise(call: Mono[str], limit_s: float) -> Mono[str]:
    """Abandons, and does not cancel."""
    return call.cache().timeout(limit_s, fallback=Mono.just("pending"))
