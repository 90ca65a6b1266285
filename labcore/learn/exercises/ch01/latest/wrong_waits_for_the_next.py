"""When the display asks, the price it needs has just been thrown away, and it must wait for the next tick.

`on_backpressure_drop` forgets what comes while nobody asks. The newest price is known; keep that one.
"""

from labcore.reactive import Flux


def board(prices: Flux[int]) -> Flux[int]:
    """Forgetful."""
    return prices.on_backpressure_drop()
