"""Reserve an order's lines with bounded concurrency."""

from collections.abc import Callable

from labcore.reactive import Flux, Mono


def reserve_all(skus: Flux[str], reserve: Callable[[str], Mono[str]]) -> Flux[str]:
    """Reserve every article, at most three at once, each passed on as soon as it is reserved."""
    # <answer>
    return skus.flat_map(reserve, concurrency=3)
    # </answer>
