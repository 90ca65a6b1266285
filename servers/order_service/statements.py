"""The SQL that every lane sends, word for word the same, and the rows it gives back.

Each step of an order is one statement, so it is its own transaction: stock and the reservation
that explains it change together or not at all. What a crash leaves behind is therefore always
legible: a pending order, the instance that was placing it, and the stock it holds.

Invariant: for each product, stock plus the quantities reserved is what was delivered.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg

from labcore.kernel import EnvironmentFault, PeerError
from labcore.lanes import Values
from servers.order_service.domain import (
    Ending,
    Line,
    NewOrder,
    Order,
    Payment,
    Product,
    Reservation,
    Status,
    Totals,
    priced_lines,
)
from servers.order_service.history import SCARCE, SCARCE_STOCK, catalogue, discounts

Row = Sequence[Any]
Parameters = Mapping[str, Any]

SCHEMA = """
CREATE TABLE products (
    sku text PRIMARY KEY,
    title text NOT NULL,
    price_cents integer NOT NULL CHECK (price_cents > 0),
    stock integer NOT NULL CHECK (stock >= 0)
) WITH (fillfactor = 50);  -- room beside each row: a new stock value needs no new index entry
CREATE TABLE customers (
    customer integer PRIMARY KEY,
    discount_bp integer NOT NULL CHECK (discount_bp BETWEEN 0 AND 10000)
);
CREATE TABLE orders (
    id text PRIMARY KEY,
    idempotency_key text NOT NULL UNIQUE,
    fingerprint text NOT NULL,
    instance bigint NOT NULL,
    customer integer NOT NULL,
    status text NOT NULL,
    lines jsonb NOT NULL,
    subtotal_cents bigint,
    discount_cents bigint,
    total_cents bigint,
    payment_id text,
    fault integer,
    void_due boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX orders_unsettled ON orders (instance) WHERE status = 'pending' OR void_due;
CREATE TABLE reservations (
    order_id text NOT NULL,
    line integer NOT NULL,
    sku text NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    price_cents integer NOT NULL,
    PRIMARY KEY (order_id, line)
);
"""

_ORDER_COLUMNS = """id, fingerprint, customer, status, lines,
    subtotal_cents, discount_cents, total_cents, payment_id, fault"""

OPEN_ORDER = """
INSERT INTO orders (id, idempotency_key, fingerprint, instance, customer, status, lines)
VALUES (%(id)s, %(key)s, %(fingerprint)s, %(instance)s, %(customer)s, 'pending', %(lines)s::jsonb)
ON CONFLICT (idempotency_key) DO NOTHING
RETURNING id
"""

FIND_BY_KEY = f"SELECT {_ORDER_COLUMNS} FROM orders WHERE idempotency_key = %(key)s"  # noqa: S608 - constants only

FIND_ORDER = f"SELECT {_ORDER_COLUMNS} FROM orders WHERE id = %(id)s"  # noqa: S608 - constants only

FIND_PRODUCT = "SELECT price_cents, stock FROM products WHERE sku = %(sku)s"

FIND_DISCOUNT = "SELECT discount_bp FROM customers WHERE customer = %(customer)s"

RESERVE = """
WITH taken AS (
    UPDATE products SET stock = stock - %(quantity)s
    WHERE sku = %(sku)s AND stock >= %(quantity)s
    RETURNING price_cents
), held AS (
    INSERT INTO reservations (order_id, line, sku, quantity, price_cents)
    SELECT %(order_id)s, %(line)s, %(sku)s, %(quantity)s, price_cents FROM taken
    RETURNING line
)
SELECT price_cents, EXISTS (SELECT FROM held) FROM products WHERE sku = %(sku)s
"""

COMPLETE = f"""
UPDATE orders SET status = 'paid', lines = %(lines)s::jsonb, subtotal_cents = %(subtotal)s,
    discount_cents = %(discount)s, total_cents = %(total)s, payment_id = %(payment_id)s
WHERE id = %(id)s AND status = 'pending'
RETURNING {_ORDER_COLUMNS}
"""  # noqa: S608 - constants only

# Products are locked in the order of their SKUs, so that two releases never wait for each other.
RELEASE = f"""
WITH ended AS (
    UPDATE orders SET status = %(status)s, fault = %(fault)s, void_due = %(void_due)s
    WHERE id = %(id)s AND status = 'pending'
    RETURNING {_ORDER_COLUMNS}
), freed AS (
    DELETE FROM reservations WHERE order_id IN (SELECT id FROM ended) RETURNING sku, quantity
), locked AS MATERIALIZED (
    SELECT sku FROM products
    WHERE sku IN (SELECT sku FROM reservations WHERE order_id = %(id)s)
    ORDER BY sku FOR UPDATE
), returned AS (
    UPDATE products SET stock = stock + sums.quantity
    FROM (
        SELECT freed.sku, sum(freed.quantity)::integer AS quantity
        FROM freed JOIN locked USING (sku) GROUP BY freed.sku
    ) AS sums
    WHERE products.sku = sums.sku
)
SELECT {_ORDER_COLUMNS} FROM ended
"""  # noqa: S608 - constants only

FIND_UNSETTLED = """
SELECT id, instance, status, customer FROM orders
WHERE (status = 'pending' OR void_due)
    AND (instance <> %(instance)s OR void_due OR idempotency_key = ANY(%(keys)s))
ORDER BY created_at LIMIT 1000
"""

FIND_RESERVATIONS = """
SELECT line, sku, quantity, price_cents FROM reservations WHERE order_id = %(order_id)s ORDER BY line
"""

FORGET_VOID = "UPDATE orders SET void_due = false WHERE id = %(id)s RETURNING id"


# Real customers, made orders: one disc each, paid, their ids spread as those of real ones are.
PAST_ORDERS = """
INSERT INTO orders (id, idempotency_key, fingerprint, instance, customer, status, lines,
    subtotal_cents, discount_cents, total_cents, payment_id)
SELECT 'ord_' || left(md5(number::text), 20), 'past-' || number, '', 0, 1 + number %% 23570, 'paid',
    jsonb_build_array(jsonb_build_object('sku', 'CD-0001', 'quantity', 1,
        'unit_price_cents', 1499, 'amount_cents', 1499)), 1499, 0, 1499, 'pay_' || number
FROM generate_series(1, %(count)s) AS number
"""


def opening(new: NewOrder, order_id: str, *, instance: int) -> Parameters:
    """What `OPEN_ORDER` needs."""
    lines = [{"sku": line.sku, "quantity": line.quantity} for line in new.lines]
    return {
        "id": order_id,
        "key": new.idempotency_key,
        "fingerprint": new.fingerprint,
        "instance": instance,
        "customer": new.customer,
        "lines": json.dumps(lines),
    }


def reserving(order_id: str, index: int, line: Line) -> Parameters:
    """What `RESERVE` needs."""
    return {"order_id": order_id, "line": index, "sku": line.sku, "quantity": line.quantity}


def completing(
    order_id: str, reservations: Sequence[Reservation], *, totals: Totals, payment: Payment
) -> Parameters:
    """What `COMPLETE` needs."""
    return {
        "id": order_id,
        "lines": json.dumps(priced_lines(reservations)),
        "subtotal": totals.subtotal_cents,
        "discount": totals.discount_cents,
        "total": totals.total_cents,
        "payment_id": payment.payment_id,
    }


def releasing(order_id: str, ending: Ending, *, void_due: bool = False) -> Parameters:
    """What `RELEASE` needs; `void_due` when the payment still has to be voided."""
    return {
        "id": order_id,
        "status": ending.status.value,
        "fault": ending.fault,
        "void_due": void_due,
    }


def reservation_of(index: int, line: Line, row: Row | None) -> Reservation:
    """The row of `RESERVE`; no row means that the product does not exist."""
    price_cents, held = (None, False) if row is None else row
    return Reservation(index, line.sku, line.quantity, price_cents, held)


def held_of(row: Row) -> Reservation:
    """A row of `FIND_RESERVATIONS`."""
    line, sku, quantity, price_cents = row
    return Reservation(line, sku, quantity, price_cents, held=True)


def order_of(row: Row) -> Order:
    """A row of orders."""
    order_id, fingerprint, customer, status, lines, subtotal, discount, total, payment, fault = row
    totals = None if total is None else Totals(subtotal, discount, total)
    return Order(
        order_id, fingerprint, customer, Status(status), tuple(lines), totals, payment, fault
    )


def product_of(row: Row) -> Product:
    """The row of `FIND_PRODUCT`."""
    price_cents, stock = row
    return Product(price_cents, stock)


def settled(row: Row | None) -> Order:
    """The row of `COMPLETE` or `RELEASE`. Raises: PeerError when the order was not pending."""
    if row is None:
        raise PeerError("the order was settled by somebody else while it was being placed")
    return order_of(row)


def prepare(url: str, values: Values) -> None:
    """Create the schema in an empty database and seed products, stock and customers.

    Raises: EnvironmentFault when the database refuses, or the history is missing.
    """
    products = [
        (each.sku, each.title, each.price_cents, int(values["stock"])) for each in catalogue()
    ]
    products += [(each.sku, each.title, each.price_cents, SCARCE_STOCK) for each in SCARCE]
    try:
        with psycopg.connect(url) as connection, connection.cursor() as cursor:
            cursor.execute(SCHEMA)
            with cursor.copy("COPY products (sku, title, price_cents, stock) FROM STDIN") as copy:
                for product in products:
                    copy.write_row(product)
            with cursor.copy("COPY customers (customer, discount_bp) FROM STDIN") as copy:
                for customer in discounts().items():
                    copy.write_row(customer)
            connection.commit()
            connection.autocommit = True
            cursor.execute("VACUUM ANALYZE products, customers")
            if values["past_orders"]:  # an empty table known to be empty would be scanned for ever
                cursor.execute(PAST_ORDERS, {"count": int(values["past_orders"])})
                cursor.execute("VACUUM ANALYZE orders")
    except psycopg.Error as exc:
        raise EnvironmentFault(f"cannot prepare the checkout's database: {exc}") from exc
