"""Try a dropped call again with exponential backoff and jitter."""

from labcore.reactive import Mono, Retry


def patiently(call: Mono[str]) -> Mono[str]:
    """The call, tried again after a ConnectionError: up to three times, 0.1, 0.2, 0.4 s and some jitter."""
    # <answer>
    dropped = Retry.backoff(3, 0.1).with_filter(lambda error: isinstance(error, ConnectionError))
    return call.retry_when(dropped)
    # </answer>
