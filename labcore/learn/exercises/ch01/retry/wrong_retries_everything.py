"""An expired card is charged four times over: the rule does not ask which failure it answers.

A refusal is an answer, and asking again does not change it. `with_filter` narrows a rule down to the failures that may pass.
"""

from labcore.reactive import Mono, Retry


def patiently(call: Mono[str]) -> Mono[str]:
    """Stubborn."""
    return call.retry_when(Retry.backoff(3, 0.1))
