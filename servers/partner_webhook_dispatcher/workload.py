"""Events drawn from the purchase history, each for one group of partners.

Who bought and how much is real (the CDNOW data set); which group an order concerns is drawn, seeded.
"""

import csv
import gzip
import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from labcore.kernel import EnvironmentFault
from labcore.lanes import Request, Values
from servers.partner_webhook_dispatcher.contract import ANSWERED, KEY_HEADER, OUTCOMES

HISTORY = Path(__file__).parents[2] / "data" / "cdnow.csv.gz"


@dataclass(frozen=True, slots=True)
class Purchase:
    """One transaction of the history: the day in ISO form, discs bought, dollars paid in cents."""

    customer: int
    day: str
    units: int
    cents: int


class WebhookWorkload:
    """`order.paid` events of the history in random order, each with its own idempotency key."""

    def requests(self, *, seed: int, count: int, parameters: Values) -> Sequence[Request]:
        """`count` requests, the same for the same seed and number of groups."""
        draw = random.Random(seed)
        history, groups = purchases(), groups_of(parameters)
        return [
            event_request(
                event_type(draw.randrange(groups)),
                order_data(draw.choice(history), f"{seed}-{number}"),
                key=f"event-{seed}-{number}",
                wait_s=int(parameters["wait_s"]),
            )
            for number in range(count)
        ]

    def outcome(self, status: int) -> str:
        """The contract's word for a status; `failed` for one outside it."""
        return OUTCOMES.get(status, "failed")

    @property
    def answered(self) -> frozenset[str]:
        """Outcomes that are correct answers of a healthy service."""
        return ANSWERED


def groups_of(parameters: Values) -> int:
    """How many groups the scenario's partners form: an event goes to `fanout` of them."""
    return max(1, int(parameters["partners"]) // int(parameters["fanout"]))


def event_type(group: int) -> str:
    """The type that the partners of a group subscribe to."""
    return f"order.paid.g{group:03}"


def order_data(purchase: Purchase, name: str) -> dict[str, Any]:
    """What an event says of an order."""
    return {
        "order": f"ord_{name}",
        "customer": purchase.customer,
        "day": purchase.day,
        "units": purchase.units,
        "total_cents": purchase.cents,
    }


def event_request(kind: str, data: dict[str, Any], *, key: str, wait_s: int = 0) -> Request:
    """The request that publishes an event, and waits so long for its end."""
    waiting = (("Prefer", f"wait={wait_s}"),) if wait_s else ()
    return Request(
        method="POST",
        path="/events",
        headers=(("Content-Type", "application/json"), (KEY_HEADER, key), *waiting),
        body=json.dumps({"type": kind, "data": data}, separators=(",", ":")).encode(),
    )


@cache
def purchases() -> tuple[Purchase, ...]:
    """All transactions, oldest customer first.

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
