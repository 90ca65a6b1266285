"""Export a long list through a window of eight."""

from collections.abc import Callable

from labcore.reactive import Flux, Mono


def export(orders: Flux[int], write: Callable[[int], Mono[int]]) -> Flux[int]:
    """Write the orders one after the other, in order, at most 8 of them asked for ahead."""
    # <answer>
    return orders.limit_rate(8).concat_map(write)
    # </answer>
