"""The reservations run one after the other, and two of the three connections stay unused.

`concat_map` (and `flat_map` with `concurrency=1`) subscribes to the next inner stream only when the last has ended.
"""

from collections.abc import Callable

from labcore.reactive import Flux, Mono


def reserve_all(skus: Flux[str], reserve: Callable[[str], Mono[str]]) -> Flux[str]:
    """In single file."""
    return skus.concat_map(reserve)
