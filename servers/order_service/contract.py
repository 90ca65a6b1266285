"""The HTTP contract of the order service: shapes, limits, the status of every outcome.

    POST /orders          Idempotency-Key, {customer, payment_token, lines: [{sku, quantity}]}
    GET  /orders          ?customer=&after=: the stored orders, one JSON document a line (see `listing`)
    GET  /orders/{id}     the stored order, whatever became of it
    GET  /products/{sku}  price and stock
    GET  /healthz         alive
    GET  /openapi.json    this, for programs (see `openapi`)

Errors are problem documents (`application/problem+json`); `field` names what was wrong, as a JSON
pointer (`#/lines/0/quantity`) or the name of a header. A repeated key gets the first answer again.

Source: RFC 9457 (problem documents), RFC 6901 (pointers), the IETF draft on the Idempotency-Key header.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from servers.order_service.domain import CUSTOMER_FAULT, Line, NewOrder, Order, Product, Status

MOST_BODY_BYTES = 64 * 1024
MOST_LINES = 20
MOST_QUANTITY = 999
MOST_CUSTOMER = 2**31 - 1
RETRY_AFTER_S = 1
KEY_HEADER = "Idempotency-Key"
BODY_FIELD = "#"

_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_SKU = re.compile(r"[A-Z0-9-]{1,32}", re.ASCII)
_ORDER_ID = re.compile(r"ord_[0-9a-f]{20}", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)

STATUS_CODES: Mapping[Status, int] = {
    Status.PENDING: 503,
    Status.PAID: 201,
    Status.DECLINED: 402,
    Status.OUT_OF_STOCK: 409,
    Status.REJECTED: 422,
    Status.UNPAID: 504,
}

OUTCOMES: Mapping[int, str] = {
    201: "ok",
    402: "declined",
    408: "slow_request",
    409: "out_of_stock",
    413: "oversized",
    422: "invalid",
    503: "shed",
    504: "payment_unknown",
}
"""The contract's word for each status of `POST /orders`; any other status is `failed`."""

ANSWERED = frozenset({"ok", "declined", "out_of_stock"})
"""Outcomes that a healthy service gives to valid orders."""

_TITLES = {
    402: "The payment was declined",
    404: "There is no such resource",
    405: "The resource does not know this method",
    408: "The request took too long to arrive",
    409: "A product is out of stock",
    413: "The request is too large",
    422: "The request is not valid",
    500: "The service failed",
    503: "The service has no capacity now",
    504: "The payment stayed unknown and was voided",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply before it is bytes."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """A problem from 400 on, plain JSON below."""
        return "application/problem+json" if self.status >= 400 else "application/json"

    def body(self) -> bytes:
        """The document in UTF-8."""
        return json.dumps(self.document, separators=(",", ":")).encode()


class ProblemError(Exception):
    """A request that ends here, with the answer to give. Not a fault of the service."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.document.get("detail", ""))
        self.answer = answer


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Answer:
    """A problem document of that status; `members` extend it."""
    document = {
        "type": "about:blank",
        "title": _TITLES.get(status, "The request was refused"),
        "status": status,
        "detail": detail,
        **members,
    }
    return Answer(status, document, headers or {})


def pattern_of(name: str) -> str:
    """What a key, a SKU, an order's id or a payment token looks like, as OpenAPI writes patterns."""
    patterns = {"key": _KEY, "sku": _SKU, "order": _ORDER_ID, "token": _TOKEN}
    return f"^{patterns[name].pattern}$"


def shed() -> Answer:
    """The refusal of a service that is full: nothing was done, so coming again is safe."""
    return _later("too many orders are in flight; nothing was done")


def too_many_streams() -> Answer:
    """The refusal of one more stream."""
    return _later("too many streams are open, or the service stops")


def unfinished() -> Answer:
    """The answer when a pool ran dry or the database was lost: the same key gets the order's real end."""
    return _later("the service could not finish; send the same key again")


def too_large() -> Answer:
    """The refusal of a body over the limit; the connection closes, since the rest is not read."""
    detail = f"the body may have at most {MOST_BODY_BYTES} bytes"
    return problem(413, detail, headers={"Connection": "close"}, limit_bytes=MOST_BODY_BYTES)


def too_slow(limit_s: float) -> Answer:
    """The refusal of a body that does not come; the connection closes."""
    detail = f"the body must arrive within {limit_s:g} s"
    return problem(408, detail, headers={"Connection": "close"})


def read_order(key: str | None, body: bytes) -> NewOrder:
    """The order in a request. Raises: ProblemError (422) naming the first field that is wrong."""
    if key is None or not _KEY.fullmatch(key):
        raise invalid(KEY_HEADER, "must be present, with 1 to 128 visible ASCII characters")
    document = _object(_json(body), BODY_FIELD)
    customer = _whole(document.get("customer"), "#/customer", most=MOST_CUSTOMER)
    token = _text(document.get("payment_token"), "#/payment_token", _TOKEN)
    raw_lines = document.get("lines")
    if not isinstance(raw_lines, list) or not 1 <= len(raw_lines) <= MOST_LINES:
        raise invalid("#/lines", f"must be a list of 1 to {MOST_LINES} lines")
    lines = tuple(_line(raw, f"#/lines/{index}") for index, raw in enumerate(raw_lines))
    return NewOrder(key, _fingerprint(customer, token, lines), customer, token, lines)


def invalid(where: str, detail: str) -> ProblemError:
    """The error that refuses a request for one field."""
    return ProblemError(problem(422, f"{where}: {detail}", field=where))


def order_document(order: Order) -> dict[str, Any]:
    """An order as its reader sees it."""
    document: dict[str, Any] = {
        "id": order.id,
        "status": order.status.value,
        "customer": order.customer,
        "lines": list(order.lines),
        "currency": "USD",
    }
    if order.totals is not None:
        document |= {
            "subtotal_cents": order.totals.subtotal_cents,
            "discount_cents": order.totals.discount_cents,
            "total_cents": order.totals.total_cents,
            "payment_id": order.payment_id,
        }
    return document


def is_order_id(text: str) -> bool:
    """Whether an order could have that id; anything else is not looked up."""
    return _ORDER_ID.fullmatch(text) is not None


def is_sku(text: str) -> bool:
    """Whether a product could have that SKU; anything else is not looked up."""
    return _SKU.fullmatch(text) is not None


def placed(order: Order, wanted: NewOrder) -> Answer:
    """The answer to `POST /orders`, the first time and every time the key comes again."""
    if order.fingerprint != wanted.fingerprint:
        return invalid(KEY_HEADER, "was used before for a different order").answer
    status = STATUS_CODES[order.status]
    place = f"/orders/{order.id}"
    if order.status is Status.PAID:
        return Answer(status, order_document(order), {"Location": place})
    if order.status is Status.PENDING:
        return _later("the order is still being placed", instance=place)
    return problem(status, _why(order), instance=place, **_named(order))


def found(order: Order | None, order_id: str) -> Answer:
    """The answer to `GET /orders/{id}`."""
    if order is None:
        return problem(404, f"there is no order {order_id!r}")
    return Answer(200, order_document(order))


def stocked(product: Product | None, sku: str) -> Answer:
    """The answer to `GET /products/{sku}`."""
    if product is None:
        return problem(404, f"there is no product {sku!r}")
    return Answer(200, {"sku": sku, "price_cents": product.price_cents, "stock": product.stock})


def _later(detail: str, **members: str) -> Answer:
    return problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)}, **members)


def _why(order: Order) -> str:
    if order.status is Status.DECLINED:
        return "the payment was declined; nothing is reserved"
    if order.status is Status.UNPAID:
        return "the payment did not answer in time; it was voided and nothing is reserved"
    if order.fault == CUSTOMER_FAULT:
        return f"#/customer: there is no customer {order.customer}"
    line = order.lines[order.fault or 0]
    if order.status is Status.OUT_OF_STOCK:
        return f"fewer than {line['quantity']} of {line['sku']} are left"
    return f"#/lines/{order.fault}/sku: there is no product {line['sku']}"


def _named(order: Order) -> dict[str, Any]:
    """The member that names what was wrong: the SKU, or the field."""
    if order.status is Status.OUT_OF_STOCK:
        return {"sku": str(order.lines[order.fault or 0]["sku"])}
    if order.status is Status.REJECTED:
        customer = order.fault == CUSTOMER_FAULT
        return {"field": "#/customer" if customer else f"#/lines/{order.fault}/sku"}
    return {}


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as exc:  # not UTF-8, not JSON, or nested beyond reason
        raise invalid(BODY_FIELD, "must be one JSON object in UTF-8") from exc


def _object(raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise invalid(where, "must be an object")
    return raw


def _line(raw: Any, where: str) -> Line:
    fields = _object(raw, where)
    sku = _text(fields.get("sku"), f"{where}/sku", _SKU)
    return Line(sku, _whole(fields.get("quantity"), f"{where}/quantity", most=MOST_QUANTITY))


def _whole(raw: Any, where: str, *, most: int) -> int:
    if type(raw) is not int or not 1 <= raw <= most:  # bool is an int, and not welcome
        raise invalid(where, f"must be a whole number from 1 to {most}")
    return raw


def _text(raw: Any, where: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(raw, str) or not pattern.fullmatch(raw):
        raise invalid(where, f"must be text of the form {pattern.pattern}")
    return raw


def _fingerprint(customer: int, token: str, lines: tuple[Line, ...]) -> str:
    canonical = json.dumps([customer, token, [[line.sku, line.quantity] for line in lines]])
    return hashlib.sha256(canonical.encode()).hexdigest()[:32]
