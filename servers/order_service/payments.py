"""How an order is paid: the call, what its answers mean, how long and how often to try.

Pure, like the domain. Every lane sends the same call under the same numbers; each waits in its own way,
behind the same `guard`.
The payment's key is the order's id, which is unique everywhere, where a client's key need not be.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from labcore.kernel import PeerError, RefusedError, UsageError
from servers.order_service.domain import Payment, Totals
from servers.order_service.downstream import Downstream

ADAPTER = "payment-adapter"
TRANSIENT_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
FIRST_POLL_S = 0.01
LONGEST_POLL_S = 0.2


class TransientPaymentError(PeerError):
    """The payment adapter could not say yes or no this time; the same call may be sent again.

    `retry_after_s` is how long it asks to wait, in seconds; None where it says nothing.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PaymentUnknownError(RefusedError):
    """The adapter broke its contract: nobody knows who was charged, and another attempt would not mend it."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers every lane obeys. `retries` follow the first attempt; the time limit is each attempt's."""

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


@dataclass(frozen=True, slots=True)
class Shop:
    """What a lane is told when it opens: its policy, its payment adapter, and who it is.

    `instance` marks the orders of one running server, so that its successor knows whose they were.
    """

    policy: Policy
    payments_url: str
    instance: int
    downstream: Downstream = field(default_factory=Downstream)


@dataclass(slots=True)
class Call:
    """One authorisation, the same bytes in every lane and attempt.

    `sent` tells whether an attempt ever left: an order whose every attempt was refused here has no
    payment to be voided.
    """

    url: str
    headers: Mapping[str, str]
    document: Mapping[str, str | int]
    sent: bool = False


def policy_of(values: Mapping[str, bool | int | float | str]) -> Policy:
    """The policy in a scenario's parameters, milliseconds turned into seconds.

    Raises: UsageError when the shortest wait is longer than the longest.
    """
    low_ms, high_ms = float(values["backoff_min_ms"]), float(values["backoff_max_ms"])
    if low_ms > high_ms:
        raise UsageError(f"backoff_min_ms={low_ms:g} must not exceed backoff_max_ms={high_ms:g}")
    return Policy(
        line_concurrency=int(values["line_concurrency"]),
        payment_timeout_s=float(values["payment_timeout_ms"]) / 1e3,
        retries=int(values["retries"]),
        backoff_min_s=low_ms / 1e3,
        backoff_max_s=high_ms / 1e3,
        jitter_share=float(values["jitter_share"]),
    )


def authorisation(shop: Shop, order_id: str, *, token: str, totals: Totals) -> Call:
    """The call that charges a card; sent again unchanged, it charges no second time."""
    return Call(
        url=f"{shop.payments_url}/payments",
        headers={"Idempotency-Key": order_id},
        document={"amount_cents": totals.total_cents, "payment_token": token},
    )


def payment_url(shop: Shop, order_id: str) -> str:
    """Where a `GET` tells what became of an order's payment."""
    return f"{shop.payments_url}/payments/{order_id}"


def void_url(shop: Shop, order_id: str) -> str:
    """Where a `POST` takes an order's charge back, or keeps it from ever happening."""
    return f"{shop.payments_url}/payments/{order_id}/void"


def read_payment(status: int, body: bytes, *, retry_after: str | None = None) -> Payment:
    """The verdict in an answer to an authorisation; `retry_after` is the header of that name.

    Raises: TransientPaymentError for a status worth another attempt; PaymentUnknownError for an
        answer outside the contract, which another attempt would not mend.
    """
    if status in TRANSIENT_STATUSES:
        raise TransientPaymentError(
            f"the payment adapter answered {status}; expected 201 or 402",
            retry_after_s=_seconds(retry_after),
        )
    if status == 402:
        return Payment(approved=False)
    if status != 201:
        raise PaymentUnknownError(f"the payment adapter answered {status}; expected 201 or 402")
    try:
        return Payment(approved=True, payment_id=str(json.loads(body)["id"]))
    except (ValueError, TypeError, KeyError) as exc:
        raise PaymentUnknownError("the payment adapter answered 201 without an id") from exc


def read_charge(status: int, body: bytes) -> tuple[str, int] | None:
    """Id and cents of the standing charge in the answer to a `GET`; None when there is none.

    Raises: PeerError when the adapter gave no clear answer.
    """
    if status == 404:
        return None
    if status != 200:
        raise PeerError(f"the payment adapter answered {status} to a GET; expected 200 or 404")
    try:
        entry = json.loads(body)
        charged = entry["status"] == "approved"
        return (str(entry["id"]), int(entry["amount_cents"])) if charged else None
    except (ValueError, TypeError, KeyError) as exc:
        raise PeerError("the payment adapter's entry lacks status, id or amount") from exc


def poll_delays_s(policy: Policy) -> Iterator[float]:
    """Waits between looks at an order that another request is placing; ends at `answer_wait_s`."""
    waited_s, delay_s = 0.0, FIRST_POLL_S
    while waited_s < policy.answer_wait_s:
        yield delay_s
        waited_s += delay_s
        delay_s = min(delay_s * 2, LONGEST_POLL_S)


def _seconds(retry_after: str | None) -> float | None:
    """The header in seconds; a date is not for us, who look at no clock."""
    known = retry_after is not None and retry_after.isascii() and retry_after.isdigit()
    return float(retry_after or 0) if known else None
