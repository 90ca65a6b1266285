"""Requests that no service should accept, and what must be named in the refusal."""

import json
from collections.abc import Iterator
from typing import Any

from servers.order_service.contract import KEY_HEADER
from servers.order_service.shopper import unique


def malformed() -> Iterator[tuple[str, str | None, bytes]]:
    """Field to be named, idempotency key, body."""
    good: dict[str, Any] = {
        "customer": 1,
        "payment_token": "tok_1",
        "lines": [{"sku": "CD-0001", "quantity": 1}],
    }
    yield KEY_HEADER, None, json.dumps(good).encode()
    yield KEY_HEADER, "two words", json.dumps(good).encode()
    yield KEY_HEADER, "k" * 200, json.dumps(good).encode()
    for body in (b"", b"{", b"[]", b'"\xff"', b"[" * 60_000, b"NaN", b"9" * 5_000):
        yield "#", unique("bad"), body
    for field, changes in _WRONG_FIELDS:
        yield field, unique("bad"), json.dumps({**good, **changes}).encode()
    for field, line in _WRONG_LINES:
        lines = [good["lines"][0], line]
        yield field, unique("bad"), json.dumps({**good, "lines": lines}).encode()


_WRONG_FIELDS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("#/customer", {"customer": None}),
    ("#/customer", {"customer": "1"}),
    ("#/customer", {"customer": True}),
    ("#/customer", {"customer": 0}),
    ("#/customer", {"customer": 2**70}),
    ("#/customer", {"customer": float("inf")}),
    ("#/customer", {"customer": 2**31 - 1}),  # well-formed, but nobody's
    ("#/payment_token", {"payment_token": 7}),
    ("#/payment_token", {"payment_token": "tok\x00"}),
    ("#/payment_token", {"payment_token": "tok_" + "x" * 100}),
    ("#/lines", {"lines": None}),
    ("#/lines", {"lines": []}),
    ("#/lines", {"lines": {"sku": "CD-0001", "quantity": 1}}),
    ("#/lines", {"lines": [{"sku": "CD-0001", "quantity": 1}] * 21}),
)
_WRONG_LINES: tuple[tuple[str, Any], ...] = (
    ("#/lines/1", 5),
    ("#/lines/1/sku", {"quantity": 1}),
    ("#/lines/1/sku", {"sku": "cd'; DROP TABLE orders; --", "quantity": 1}),
    ("#/lines/1/sku", {"sku": "\ud800", "quantity": 1}),
    ("#/lines/1/sku", {"sku": "CD-99999", "quantity": 1}),  # well-formed, but nothing
    ("#/lines/1/quantity", {"sku": "CD-0001"}),
    ("#/lines/1/quantity", {"sku": "CD-0001", "quantity": 0}),
    ("#/lines/1/quantity", {"sku": "CD-0001", "quantity": -1}),
    ("#/lines/1/quantity", {"sku": "CD-0001", "quantity": 1.5}),
    ("#/lines/1/quantity", {"sku": "CD-0001", "quantity": True}),
    ("#/lines/1/quantity", {"sku": "CD-0001", "quantity": 1_000}),
)


def strange_requests() -> Iterator[tuple[str, str, int]]:
    """Method, path, status."""
    yield "GET", "/orders/ord_00000000000000000000", 404
    yield "GET", "/orders/%00", 404
    yield "GET", "/products/CD-99999", 404
    yield "GET", "/products/%F0%28%8C", 404
    yield "GET", "/nowhere", 404
    yield "DELETE", "/orders", 405
