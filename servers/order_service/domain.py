"""What an order is worth and what becomes of it: integers in, decisions out.

Everything here is pure: no I/O, no clock, no randomness of its own, no concurrency. All four lanes
call the same functions, so whatever differs between them is the concurrency model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

BASIS_POINTS = 10_000


class Status(StrEnum):
    """Where an order stands. All but `PENDING` are final."""

    PENDING = "pending"
    PAID = "paid"
    DECLINED = "declined"
    OUT_OF_STOCK = "out_of_stock"
    REJECTED = "rejected"  # names a customer or a product that does not exist
    UNPAID = "unpaid"  # the payment stayed unknown, so it was voided


@dataclass(frozen=True, slots=True)
class Line:
    """One wish of an order."""

    sku: str
    quantity: int


@dataclass(frozen=True, slots=True)
class NewOrder:
    """A valid request. `fingerprint` tells a repeated request from a reused key."""

    idempotency_key: str
    fingerprint: str
    customer: int
    payment_token: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Reservation:
    """What the store said about one line: its price (None for an unknown SKU), and whether it is held."""

    line: int
    sku: str
    quantity: int
    price_cents: int | None
    held: bool


@dataclass(frozen=True, slots=True)
class Totals:
    """Money in cents."""

    subtotal_cents: int
    discount_cents: int
    total_cents: int


@dataclass(frozen=True, slots=True)
class Product:
    """What a product costs and how much of it is left."""

    price_cents: int
    stock: int


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment adapter's verdict: approved with the id of the charge, or declined."""

    approved: bool
    payment_id: str | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A stored order. `fault` is the index of the line, or -1 for the customer, that ended it."""

    id: str
    fingerprint: str
    customer: int
    status: Status
    lines: tuple[Mapping[str, Any], ...]
    totals: Totals | None
    payment_id: str | None
    fault: int | None


@dataclass(frozen=True, slots=True)
class Ending:
    """How an order ends unpaid: its status and, where one is to blame, the index of the line."""

    status: Status
    fault: int | None = None


CUSTOMER_FAULT = -1
DECLINED = Ending(Status.DECLINED)
UNPAID = Ending(Status.UNPAID)


def total(reservations: Sequence[Reservation], discount_bp: int) -> Totals:
    """The price of held lines less the customer's discount.

    The discount is taken once, of the sum, and rounded half up to the cent, so that the order of the
    lines never changes what is paid.
    """
    subtotal = sum((each.price_cents or 0) * each.quantity for each in reservations)
    discount = (subtotal * discount_bp + BASIS_POINTS // 2) // BASIS_POINTS
    return Totals(subtotal, discount, subtotal - discount)


def quote(reservations: Sequence[Reservation], discount_bp: int | None) -> Totals | Ending:
    """What to charge, or how the order ends because it cannot be charged."""
    if discount_bp is None:
        return Ending(Status.REJECTED, CUSTOMER_FAULT)
    return find_fault(reservations) or total(reservations, discount_bp)


def find_fault(reservations: Sequence[Reservation]) -> Ending | None:
    """The first line that cannot be sold: unknown products before missing stock; else None.

    Reservations finish in any order; the answer depends only on the lines' own order.
    """
    ordered = sorted(reservations, key=lambda each: each.line)
    for each in ordered:
        if each.price_cents is None:
            return Ending(Status.REJECTED, each.line)
    for each in ordered:
        if not each.held:
            return Ending(Status.OUT_OF_STOCK, each.line)
    return None


def priced_lines(reservations: Sequence[Reservation]) -> list[dict[str, Any]]:
    """The lines of a paid order as they are stored and shown, in the customer's order."""
    return [
        {
            "sku": each.sku,
            "quantity": each.quantity,
            "unit_price_cents": each.price_cents,
            "amount_cents": (each.price_cents or 0) * each.quantity,
        }
        for each in sorted(reservations, key=lambda each: each.line)
    ]


def loyalty_bp(purchases: int) -> int:
    """The discount in basis points earned by a customer's purchases so far."""
    for least, discount_bp in ((12, 1_000), (6, 500), (3, 250)):
        if purchases >= least:
            return discount_bp
    return 0
