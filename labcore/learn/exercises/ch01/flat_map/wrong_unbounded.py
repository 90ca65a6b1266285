"""Nothing bounds how many reservations run at once.

Without an argument `flat_map` subscribes to up to 256 inner streams, and one large order takes every connection
there is. Give it `concurrency=3`.
"""

from collections.abc import Callable

from labcore.reactive import Flux, Mono


def reserve_all(skus: Flux[str], reserve: Callable[[str], Mono[str]]) -> Flux[str]:
    """All at once."""
    return skus.flat_map(reserve)
