"""One attempt too few: `max_attempts` counts the *retries*, not the calls.

Three retries are up to four subscriptions. Libraries differ in this (Resilience4j counts the calls), so look it up each
time.
"""

from labcore.reactive import Mono, Retry


def patiently(call: Mono[str]) -> Mono[str]:
    """Three calls in all."""
    dropped = Retry.backoff(2, 0.1).with_filter(lambda error: isinstance(error, ConnectionError))
    return call.retry_when(dropped)
