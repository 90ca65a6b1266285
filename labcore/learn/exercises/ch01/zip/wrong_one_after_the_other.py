"""The second lookup starts when the first has ended: two seconds and three make five.

`flat_map` is right when the second call needs the first one's result. Here neither needs the other; let `zip_with`
subscribe to both.
"""

from labcore.reactive import Mono


def quote(price: Mono[int], discount: Mono[int]) -> Mono[int]:
    """In sequence."""
    known = discount.default_if_empty(0)
    return price.flat_map(lambda cents: known.map(lambda off: cents - off))
