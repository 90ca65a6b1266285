"""A buffer without a bound is where backpressure ends: it asks the database for everything and keeps it.

The `on_backpressure_…` operators are for sources that cannot wait, such as a ticker. A database can; ask it for less.
"""

from collections.abc import Callable

from labcore.reactive import Flux, Mono


def export(orders: Flux[int], write: Callable[[int], Mono[int]]) -> Flux[int]:
    """Takes all there is."""
    return orders.on_backpressure_buffer().limit_rate(8).concat_map(write)
