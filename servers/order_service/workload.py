"""Checkout requests drawn from the purchase history.

Who buys and how many discs is real; the products are generated: the discs of a purchase are split into one to
five lines of products near the price that was really paid for a disc.
"""

import bisect
import itertools
import json
import random
from collections.abc import Sequence
from functools import cache

from labcore.lanes import Request, Values
from servers.order_service.contract import ANSWERED, KEY_HEADER, OUTCOMES
from servers.order_service.history import Purchase, catalogue, purchases

MOST_LINES = 5
NEIGHBOURHOOD = 12  # products on either side of the real price among which a line is drawn


class CheckoutWorkload:
    """Orders of the CDNOW history in random order, each with its own idempotency key and card."""

    def requests(self, *, seed: int, count: int, parameters: Values) -> Sequence[Request]:  # noqa: ARG002 - the history has no knobs
        """`count` requests, the same for the same seed."""
        draw = random.Random(seed)
        history = purchases()
        return [
            _request(draw.choice(history), name=f"{seed}-{number}", draw=draw)
            for number in range(count)
        ]

    def outcome(self, status: int) -> str:
        """The contract's word for a status; `failed` for one outside it."""
        return OUTCOMES.get(status, "failed")

    @property
    def answered(self) -> frozenset[str]:
        """Outcomes that are correct answers of a healthy service."""
        return ANSWERED


def _request(purchase: Purchase, *, name: str, draw: random.Random) -> Request:
    order = {
        "customer": purchase.customer,
        "payment_token": f"tok_{name}",
        "lines": [
            {"sku": _sku_near(purchase.cents // purchase.units, draw), "quantity": quantity}
            for quantity in split(purchase.units, draw)
        ],
    }
    return Request(
        method="POST",
        path="/orders",
        headers=(("Content-Type", "application/json"), (KEY_HEADER, f"order-{name}")),
        body=json.dumps(order, separators=(",", ":")).encode(),
    )


def split(units: int, draw: random.Random) -> list[int]:
    """`units` as one to five whole positive parts."""
    cuts = draw.randint(1, min(MOST_LINES, units)) - 1
    edges = [0, *sorted(draw.sample(range(1, units), cuts)), units]
    return [high - low for low, high in itertools.pairwise(edges)]


def _sku_near(cents: int, draw: random.Random) -> str:
    products = catalogue()
    place = bisect.bisect_left(_prices(), cents) + draw.randint(-NEIGHBOURHOOD, NEIGHBOURHOOD)
    return products[min(max(place, 0), len(products) - 1)].sku


@cache
def _prices() -> tuple[int, ...]:
    return tuple(product.price_cents for product in catalogue())
