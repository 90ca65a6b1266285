"""The wait does not grow: a provider that needs a second to recover is asked ten times a second by everybody.

`Retry.fixed_delay` waits the same time before each attempt, `Retry.backoff` doubles it.
"""

from labcore.reactive import Mono, Retry


def patiently(call: Mono[str]) -> Mono[str]:
    """Steady."""
    dropped = Retry.fixed_delay(3, 0.1).with_filter(
        lambda error: isinstance(error, ConnectionError)
    )
    return call.retry_when(dropped)
