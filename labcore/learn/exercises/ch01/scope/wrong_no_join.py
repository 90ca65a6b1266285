"""The scope was left without a join: it cancels whatever is under way, and there is no result to read.

Forking starts, joining waits. Call `scope.join()` at the end of the block, and read results after it.
"""

from collections.abc import Callable, Sequence

from labcore.virtual import BlockingExecutor, StructuredTaskScope


def cheapest(executor: BlockingExecutor, ask: Callable[[str], int], carriers: Sequence[str]) -> int:
    """Leaves too early."""
    with StructuredTaskScope(executor) as scope:
        prices = [scope.fork(ask, carrier) for carrier in carriers]
    return min(price.result() for price in prices)
