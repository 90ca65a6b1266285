"""The list of orders: which ones, in which order, and how they look on the wire.

    GET /orders?customer=&after=    every order, or a customer's, one JSON document a line

Orders come by their ids, which are random and indexed: the order is stable, so `after` resumes where a
reader stopped, and needs no index that every purchase would pay for. What is placed meanwhile is not
seen: a cursor reads from one snapshot. A stream that was cut ends without HTTP's closing chunk, so
nobody takes a part for the whole.

Source: the NDJSON convention, one document a line, UTF-8.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import LiteralString

from servers.order_service import contract, statements

MEDIA_TYPE = "application/x-ndjson"
BATCH_ROWS = 100  # some 30 kB, below what the HTTP layer buffers before it lets wait

_COLUMNS: LiteralString = (
    "id, fingerprint, customer, status, lines, "
    "subtotal_cents, discount_cents, total_cents, payment_id, fault"
)
_ALL: LiteralString = f"SELECT {_COLUMNS} FROM orders WHERE id > %(after)s ORDER BY id"  # noqa: S608 - constants only
_OF_CUSTOMER: LiteralString = (
    f"SELECT {_COLUMNS} FROM orders WHERE id > %(after)s AND customer = %(customer)s ORDER BY id"  # noqa: S608 - constants only
)


@dataclass(frozen=True, slots=True)
class Listing:
    """Which orders: those of one customer, or all; those after an id, or from the first."""

    customer: int | None = None
    after: str = ""

    @property
    def sql(self) -> LiteralString:
        """The statement of its cursor."""
        return _ALL if self.customer is None else _OF_CUSTOMER

    @property
    def parameters(self) -> statements.Parameters:
        """What the statement needs."""
        return {"after": self.after, "customer": self.customer}


def read_listing(query: Mapping[str, str]) -> Listing:
    """The listing in a query. Raises: ProblemError (422) naming the parameter that is wrong."""
    after, customer = query.get("after", ""), query.get("customer")
    if after and not contract.is_order_id(after):
        raise contract.invalid("after", "must be the id of an order")
    if customer is None:
        return Listing(None, after)
    if not (customer.isascii() and customer.isdigit() and len(customer) <= 10):
        raise contract.invalid("customer", "must be a whole number")
    if not 1 <= int(customer) <= contract.MOST_CUSTOMER:
        raise contract.invalid("customer", f"must be from 1 to {contract.MOST_CUSTOMER}")
    return Listing(int(customer), after)


def lines(rows: Sequence[statements.Row]) -> bytes:
    """Rows of a listing as they go over the wire."""
    return b"".join(map(_line, rows))


def _line(row: statements.Row) -> bytes:
    document = contract.order_document(statements.order_of(row))
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"
