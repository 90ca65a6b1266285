"""The first answer is taken for the lowest: SHUTDOWN_ON_SUCCESS ends the scope at the first success.

That policy is for questions to which any answer is right, such as the same file on three mirrors. Here every answer is
needed: shut down on failure, which is the default.
"""

from collections.abc import Callable, Sequence

from labcore.virtual import BlockingExecutor, Policy, StructuredTaskScope


def cheapest(executor: BlockingExecutor, ask: Callable[[str], int], carriers: Sequence[str]) -> int:
    """A race."""
    with StructuredTaskScope(executor, policy=Policy.SHUTDOWN_ON_SUCCESS) as scope:
        for carrier in carriers:
            scope.fork(ask, carrier)
        price: int = scope.join().result()
    return price
