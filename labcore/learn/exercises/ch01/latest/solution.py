"""Show the newest price to a display that cannot keep up."""

from labcore.reactive import Flux


def board(prices: Flux[int]) -> Flux[int]:
    """The newest price whenever the display asks for one."""
    # <answer>
    return prices.on_backpressure_latest()
    # </answer>
