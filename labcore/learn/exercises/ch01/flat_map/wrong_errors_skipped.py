"""A failed reservation goes by unseen: the order is then shipped without that line.

Let the failure through: `flat_map` fails the stream, cancels the other reservations, and the checkout can
answer with a reason.
"""

from collections.abc import Callable

from labcore.reactive import Flux, Mono


def reserve_all(skus: Flux[str], reserve: Callable[[str], Mono[str]]) -> Flux[str]:
    """Whatever could be reserved."""
    return skus.flat_map(lambda sku: reserve(sku).on_error_complete(), concurrency=3)
