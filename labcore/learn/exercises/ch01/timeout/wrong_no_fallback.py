"""Silence ends in an error, and the customer is told nothing.

`timeout` by itself signals a StreamTimeoutError. Give it something to say instead: its `fallback` is a stream that takes
over when the limit has passed.
"""

from labcore.reactive import Mono


def authorise(call: Mono[str], limit_s: float) -> Mono[str]:
    """A limit without an answer."""
    return call.timeout(limit_s)
