"""Give a verdict in time, and the connection back."""

from labcore.reactive import Mono


def authorise(call: Mono[str], limit_s: float) -> Mono[str]:
    """The call's verdict, or "pending" after `limit_s` seconds of silence; the call is then cancelled."""
    # <answer>
    return call.timeout(limit_s, fallback=Mono.just("pending"))
    # </answer>
