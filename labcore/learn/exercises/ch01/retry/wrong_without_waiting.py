"""All attempts fall into the same moment, when the network is still down.

`retry(n)` subscribes again at once: four calls in a millisecond, times every customer. Give `retry_when` a rule that waits, and
longer each time.
"""

from labcore.reactive import Mono, Retry


def patiently(call: Mono[str]) -> Mono[str]:
    """Impatient."""
    return call.retry_when(
        Retry.max(3).with_filter(lambda error: isinstance(error, ConnectionError))
    )
