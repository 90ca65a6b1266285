"""Nine customers of ten have no discount, and none of them gets a price.

`zip_with` ends as soon as one side ends without a value, for no pair can come any more. Give the empty side a value
with `default_if_empty` before you pair.
"""

from labcore.reactive import Mono


def quote(price: Mono[int], discount: Mono[int]) -> Mono[int]:
    """Pairs, or nothing."""
    return price.zip_with(discount, lambda cents, off: cents - off)
