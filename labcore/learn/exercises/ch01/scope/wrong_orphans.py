"""One has failed, you have returned, and the others are still asking: orphans, and nobody will read their answers.

An executor runs what it is given and owns nothing. A `StructuredTaskScope` interrupts the others and waits until they have ended.
"""

from collections.abc import Callable, Sequence

from labcore.virtual import BlockingExecutor


def cheapest(executor: BlockingExecutor, ask: Callable[[str], int], carriers: Sequence[str]) -> int:
    """Fire and hope."""
    prices = [executor.submit(ask, carrier) for carrier in carriers]
    return min(price.result() for price in prices)
