"""Each order is asked for by itself: a million orders, a million round trips.

`concat_map` asks for the next value when the last inner stream has ended. `limit_rate(8)` above it asks for eight, and for six
more each time six were taken.
"""

from collections.abc import Callable

from labcore.reactive import Flux, Mono


def export(orders: Flux[int], write: Callable[[int], Mono[int]]) -> Flux[int]:
    """Small steps."""
    return orders.concat_map(write)
