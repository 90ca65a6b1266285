"""Three run at once, but the results wait for their turn.

`flat_map_sequential` keeps the source's order, so the book, reserved after a second, is held back until the slow
lamp is there. Nobody asked for the order.
"""

from collections.abc import Callable

from labcore.reactive import Flux, Mono


def reserve_all(skus: Flux[str], reserve: Callable[[str], Mono[str]]) -> Flux[str]:
    """Concurrent, then queued up again."""
    return skus.flat_map_sequential(reserve, concurrency=3)
