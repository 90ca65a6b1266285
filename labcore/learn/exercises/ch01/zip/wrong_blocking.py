"""`block()` stops the thread until the value is there, and this thread runs the event loop.

The library refuses, because every other order would stand still meanwhile. Describe what is to happen and let whoever
subscribes wait: `zip_with` gives a Mono of the pair.
"""

from labcore.reactive import Mono


def quote(price: Mono[int], discount: Mono[int]) -> Mono[int]:
    """Waits where it must not."""
    return Mono.just(price.block() - discount.block())
