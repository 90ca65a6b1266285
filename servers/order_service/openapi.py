"""The checkout's contract as an OpenAPI document, made from the constants that the service itself checks by.

For a lane of one's own, in any language: this says the shapes, `checks` says the rest.

Source: OpenAPI Specification 3.1.0; RFC 9457 (problem documents).
"""

from typing import Any, Final

from servers.order_service import contract
from servers.order_service.domain import Status
from servers.order_service.listing import MEDIA_TYPE

_PROBLEM: Final = "application/problem+json"
_NAMES: Final = {"id": "order", "sku": "sku"}
_STATUSES: Final = [status.value for status in Status]


def document() -> dict[str, Any]:
    """The whole contract, as JSON values."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Checkout",
            "version": "1",
            "description": "Reserve stock, authorise a payment, store the order. A repeated key gets "
            "the first answer again.",
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "servers": [{"url": "/"}],
        "paths": {
            "/orders": {"post": _place(), "get": _list()},
            "/orders/{id}": {
                "get": _show("showOrder", "The stored order, whatever became of it", "id", "Order"),
            },
            "/products/{sku}": {
                "get": _show("showProduct", "Price and stock", "sku", "Product"),
            },
            "/healthz": {
                "get": {
                    "operationId": "health",
                    "summary": "Alive",
                    "responses": {"200": _json("The service answers", {"type": "object"})},
                }
            },
        },
        "components": {"schemas": _schemas()},
    }


def _place() -> dict[str, Any]:
    problems = {
        str(status): _problem(word.replace("_", " "))
        for status, word in contract.OUTCOMES.items()
        if status >= 400
    }
    problems["503"]["headers"] = {
        "Retry-After": {
            "description": "Seconds to wait before coming again",
            "schema": {"type": "integer", "minimum": 0},
        }
    }
    return {
        "operationId": "placeOrder",
        "summary": "Place an order",
        "parameters": [
            {
                "name": contract.KEY_HEADER,
                "in": "header",
                "required": True,
                "description": "Names this attempt to buy; repeat it to learn what came of it",
                "schema": {"type": "string", "pattern": contract.pattern_of("key")},
            }
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _reference("NewOrder")}},
        },
        "responses": {
            "201": {
                **_json("Paid", _reference("Order")),
                "headers": {
                    "Location": {
                        "description": "Where the order is",
                        "schema": {"type": "string"},
                    }
                },
            },
            **problems,
        },
    }


def _list() -> dict[str, Any]:
    return {
        "operationId": "listOrders",
        "summary": "The stored orders, one JSON document a line, by id",
        "parameters": [
            {
                "name": "customer",
                "in": "query",
                "description": "Only this customer's",
                "schema": {"type": "integer", "minimum": 1, "maximum": contract.MOST_CUSTOMER},
            },
            {
                "name": "after",
                "in": "query",
                "description": "Only orders after this id; empty: from the first",
                "schema": {"type": "string", "pattern": f"^$|{contract.pattern_of('order')}"},
            },
        ],
        "responses": {
            "200": {
                "description": "A stream that ends without its closing chunk if it was cut",
                "content": {MEDIA_TYPE: {"schema": {"type": "string"}}},
            },
            "422": _problem("invalid"),
            "503": _problem("too many streams"),
        },
    }


def _show(operation: str, summary: str, name: str, schema: str) -> dict[str, Any]:
    schema_of_name = {"type": "string", "pattern": contract.pattern_of(_NAMES[name])}
    return {
        "operationId": operation,
        "summary": summary,
        "parameters": [{"name": name, "in": "path", "required": True, "schema": schema_of_name}],
        "responses": {
            "200": _json("It is there", _reference(schema)),
            "404": _problem("not there"),
            "503": _problem("shed"),
        },
    }


def _schemas() -> dict[str, Any]:
    cents = {"type": "integer", "minimum": 0}
    line = {
        "type": "object",
        "required": ["sku", "quantity"],
        "properties": {
            "sku": {"type": "string", "pattern": contract.pattern_of("sku")},
            "quantity": {"type": "integer", "minimum": 1, "maximum": contract.MOST_QUANTITY},
        },
    }
    customer = {"type": "integer", "minimum": 1, "maximum": contract.MOST_CUSTOMER}
    return {
        "NewOrder": {
            "type": "object",
            "required": ["customer", "payment_token", "lines"],
            "properties": {
                "customer": customer,
                "payment_token": {"type": "string", "pattern": contract.pattern_of("token")},
                "lines": {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": contract.MOST_LINES,
                    "items": line,
                },
            },
        },
        "Order": {
            "type": "object",
            "required": ["id", "status", "customer", "lines", "currency"],
            "properties": {
                "id": {"type": "string", "pattern": contract.pattern_of("order")},
                "status": {"enum": _STATUSES},
                "customer": customer,
                "lines": {"type": "array", "items": {"type": "object"}},
                "currency": {"const": "USD"},
                "subtotal_cents": cents,
                "discount_cents": cents,
                "total_cents": cents,
                "payment_id": {"type": ["string", "null"]},
            },
        },
        "Product": {
            "type": "object",
            "required": ["sku", "price_cents", "stock"],
            "properties": {"sku": {"type": "string"}, "price_cents": cents, "stock": cents},
        },
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "field": {"type": "string", "description": "A JSON pointer, or a header's name"},
            },
        },
    }


def _reference(schema: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{schema}"}


def _json(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _problem(description: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {_PROBLEM: {"schema": _reference("Problem")}},
    }
