"""The display works through yesterday's prices: the buffer keeps every one, and grows as long as ticks are quicker than drawing.

A buffer is right when every value counts, such as orders. Of prices only the newest counts.
"""

from labcore.reactive import Flux


def board(prices: Flux[int]) -> Flux[int]:
    """Complete and late."""
    return prices.on_backpressure_buffer()
