"""Everybody waits exactly as long as everybody else, and the crowd that was thrown out together comes back together.

`jitter=0` switches the chance off. Leave it on: half of the wait, up or down, spreads the crowd out.
"""

from labcore.reactive import Mono, Retry


def patiently(call: Mono[str]) -> Mono[str]:
    """Precise."""
    dropped = Retry.backoff(3, 0.1, jitter=0).with_filter(
        lambda error: isinstance(error, ConnectionError)
    )
    return call.retry_when(dropped)
