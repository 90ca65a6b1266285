"""Price an order from two lookups that run side by side."""

from labcore.reactive import Mono


def quote(price: Mono[int], discount: Mono[int]) -> Mono[int]:
    """The cents to pay: price less discount, both looked up at once; no discount counts as 0."""
    # <answer>
    return price.zip_with(discount.default_if_empty(0), lambda cents, off: cents - off)
    # </answer>
