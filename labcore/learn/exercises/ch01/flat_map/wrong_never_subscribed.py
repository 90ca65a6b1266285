"""You pass on Monos, and a Mono does nothing until somebody subscribes.

`map` calls `reserve`, and no shelf is ever touched. An operator that *flattens* subscribes to each inner stream and
passes on its values.
"""

from collections.abc import Callable
from typing import Any

from labcore.reactive import Flux, Mono


def reserve_all(skus: Flux[str], reserve: Callable[[str], Mono[str]]) -> Flux[Any]:
    """Promises of reservations."""
    return skus.map(reserve)
