"""The shop behind the checkout: real customers and purchases, a made catalogue.

The history is the CDNOW data set, real. SKUs, titles and the choice of products are *generated*,
seeded, because the history only says how many discs were bought and for how much.
"""

import csv
import gzip
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from labcore.kernel import EnvironmentFault
from servers.order_service.domain import loyalty_bp

HISTORY = Path(__file__).parents[2] / "data" / "cdnow.csv.gz"
CATALOGUE_SEED = 1997
CATALOGUE_SIZE = 1_000
SCARCE_STOCK = 50


@dataclass(frozen=True, slots=True)
class Purchase:
    """One transaction of the history: the day in ISO form, discs bought, dollars paid in cents."""

    customer: int
    day: str
    units: int
    cents: int


@dataclass(frozen=True, slots=True)
class Disc:
    """One product of the generated catalogue."""

    sku: str
    title: str
    price_cents: int


SCARCE = tuple(Disc(f"SCARCE-{number:03}", f"Rarity {number}", 1_499) for number in range(200))
"""Products with `SCARCE_STOCK` in stock whatever the parameters say: the checks sell them out."""


@cache
def purchases() -> tuple[Purchase, ...]:
    """All 69,659 transactions, oldest customer first.

    Raises: EnvironmentFault when the file is missing: it lies in `data/` of the clone.
    """
    try:
        with gzip.open(HISTORY, "rt", encoding="ascii", newline="") as file:
            rows = csv.reader(file)
            next(rows)
            return tuple(Purchase(int(row[0]), row[1], int(row[2]), int(row[3])) for row in rows)
    except FileNotFoundError as exc:
        raise EnvironmentFault(
            f"the purchase history is missing: {HISTORY}; install the workbench from its clone "
            "(`pip install -e .`), which holds data/"
        ) from exc


@cache
def discounts() -> Mapping[int, int]:
    """Each customer's discount in basis points, earned by the purchases in the history."""
    counts = Counter(purchase.customer for purchase in purchases())
    return {customer: loyalty_bp(count) for customer, count in counts.items()}


@cache
def catalogue() -> tuple[Disc, ...]:
    """The generated products, cheapest first; prices are drawn from what was really paid for a disc."""
    draw = random.Random(CATALOGUE_SEED)
    paid = [each.cents // each.units for each in purchases() if each.cents >= each.units]
    prices = sorted(draw.choice(paid) for _ in range(CATALOGUE_SIZE))
    return tuple(
        Disc(f"CD-{number:04}", f"Compact disc {number}", price)
        for number, price in enumerate(prices)
    )
