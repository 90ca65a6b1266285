"""What an order is worth and what becomes of it: integers in, decisions out.

Everything here is pure: no I/O, no clock, no randomness of its own, no concurrency. All four lanes
call the same functions, so whatever differs between them is the concurrency model.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from labcore.kernel import PeerError, RefusedError

BASIS_POINTS = 10_000
MOST_POLL_DELAY_S = 0.2


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
class Fault:
    """Why an order ends before it is paid."""

    status: Status
    fault: int


CUSTOMER_FAULT = -1


def total(reservations: Sequence[Reservation], discount_bp: int) -> Totals:
    """The price of held lines less the customer's discount.

    The discount is taken once, of the sum, and rounded half up to the cent, so that the order of the
    lines never changes what is paid.
    """
    subtotal = sum((each.price_cents or 0) * each.quantity for each in reservations)
    discount = (subtotal * discount_bp + BASIS_POINTS // 2) // BASIS_POINTS
    return Totals(subtotal, discount, subtotal - discount)


def find_fault(reservations: Sequence[Reservation], discount_bp: int | None) -> Fault | None:
    """The first reason not to charge: unknown customer, unknown product, out of stock; else None.

    Reservations finish in any order; the answer depends only on the lines' own order.
    """
    if discount_bp is None:
        return Fault(Status.REJECTED, CUSTOMER_FAULT)
    ordered = sorted(reservations, key=lambda each: each.line)
    for each in ordered:
        if each.price_cents is None:
            return Fault(Status.REJECTED, each.line)
    for each in ordered:
        if not each.held:
            return Fault(Status.OUT_OF_STOCK, each.line)
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


class TransientPaymentError(PeerError):
    """The payment adapter could not say yes or no this time; the same request may be sent again."""


class PaymentUnknownError(RefusedError):
    """Every attempt was used up, or the adapter broke the contract: nobody knows who was charged."""


@dataclass(frozen=True, slots=True)
class Payment:
    """The adapter's verdict: approved with the id of the charge, or declined."""

    approved: bool
    payment_id: str | None = None


TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})


def read_payment(status: int, document: Any) -> Payment:
    """The verdict in a reply to `POST /payments`.

    Raises: TransientPaymentError for a status worth another attempt; PaymentUnknownError for a
        reply outside the contract, which another attempt would not mend.
    """
    if status in TRANSIENT_STATUSES:
        raise TransientPaymentError(f"payment adapter answered {status}; expected 201 or 402")
    if status == 402:
        return Payment(approved=False)
    payment_id = document.get("id") if isinstance(document, dict) else None
    if status not in {200, 201} or not isinstance(payment_id, str):
        raise PaymentUnknownError(f"payment adapter answered {status}; expected 201 or 402")
    return Payment(approved=True, payment_id=payment_id)


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers every lane obeys. `retries` follow the first attempt."""

    line_concurrency: int
    payment_timeout_s: float
    retries: int
    backoff_min_s: float
    backoff_max_s: float
    jitter_share: float

    @property
    def answer_wait_s(self) -> float:
        """How long a repeated key waits for the first request: all its attempts and a second more."""
        attempts_s = (self.retries + 1) * self.payment_timeout_s
        return attempts_s + self.retries * self.backoff_max_s + 1.0


def policy_of(values: Mapping[str, bool | int | float | str]) -> Policy:
    """The policy in a scenario's parameters, milliseconds turned into seconds."""
    return Policy(
        line_concurrency=int(values["line_concurrency"]),
        payment_timeout_s=float(values["payment_timeout_ms"]) / 1e3,
        retries=int(values["retries"]),
        backoff_min_s=float(values["backoff_min_ms"]) / 1e3,
        backoff_max_s=float(values["backoff_max_ms"]) / 1e3,
        jitter_share=float(values["jitter_share"]),
    )


def backoff_s(policy: Policy, failures: int, draw: float) -> float:
    """How long to wait after that many failures (1, 2, …); `draw` is uniform in [0, 1).

    The wait doubles from the minimum up to the maximum; jitter moves it by at most its share, never
    outside the two bounds. stamina is not used here because its waits are the thread's own
    (`time.sleep` would stall a carrier) and its jitter differs from the reactive lane's.

    Source: Reactor, `Retry.backoff` (RetryBackoffSpec).
    """
    delay_s = min(policy.backoff_min_s * 2.0 ** (failures - 1), policy.backoff_max_s)
    reach_s = delay_s * policy.jitter_share
    low_s = max(delay_s - reach_s, policy.backoff_min_s)
    high_s = min(delay_s + reach_s, policy.backoff_max_s)
    return low_s + (high_s - low_s) * draw


def poll_delays_s(policy: Policy) -> Iterator[float]:
    """Waits between looks at an order that another request is placing; ends at `answer_wait_s`."""
    waited_s, delay_s = 0.0, 0.01
    while waited_s < policy.answer_wait_s:
        yield delay_s
        waited_s += delay_s
        delay_s = min(delay_s * 2, MOST_POLL_DELAY_S)
