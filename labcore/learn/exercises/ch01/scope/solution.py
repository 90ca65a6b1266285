"""Ask several at once, with one owner for all of them."""

from collections.abc import Callable, Sequence

from labcore.virtual import BlockingExecutor, StructuredTaskScope


def cheapest(executor: BlockingExecutor, ask: Callable[[str], int], carriers: Sequence[str]) -> int:
    """The lowest price of all carriers, asked at once on that executor; one failure fails and ends all."""
    # <answer>
    with StructuredTaskScope(executor) as scope:
        prices = [scope.fork(ask, carrier) for carrier in carriers]
        scope.join()
    return min(price.result() for price in prices)
    # </answer>
