"""Each carrier waits for the one before: one second, four and two make seven.

`result()` waits. Fork all of them first, join, and only then read the results.
"""

from collections.abc import Callable, Sequence

from labcore.virtual import BlockingExecutor


def cheapest(executor: BlockingExecutor, ask: Callable[[str], int], carriers: Sequence[str]) -> int:
    """In sequence."""
    return min(executor.submit(ask, carrier).result() for carrier in carriers)
