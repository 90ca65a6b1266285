from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from labcore.kernel import EnvironmentFault, PeerError
from servers.order_service import SCENARIO, statements
from servers.order_service.domain import (
    DECLINED,
    UNPAID,
    Line,
    NewOrder,
    Order,
    Payment,
    Product,
    Reservation,
    Status,
    Totals,
)

NEW = NewOrder("key", "print", 1, "tok_1", (Line("CD-0001", 2), Line("CD-0002", 3)))
Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def shop(shop_url: str) -> Iterator[Connection]:
    """A connection to a prepared database."""
    with psycopg.connect(shop_url, autocommit=True) as connection:
        yield connection


def one(shop: Connection, statement: str, values: statements.Parameters) -> Any:
    return shop.execute(statement, values).fetchone()


def opened(shop: Connection, new: NewOrder = NEW, *, order_id: str = "ord_1") -> bool:
    values = statements.opening(new, order_id, instance=7)
    return one(shop, statements.OPEN_ORDER, values) is not None


def reserved(shop: Connection, *, order_id: str = "ord_1") -> list[Reservation]:
    return [
        statements.reservation_of(
            index,
            line,
            one(shop, statements.RESERVE, statements.reserving(order_id, index, line)),
        )
        for index, line in enumerate(NEW.lines)
    ]


def stock(shop: Connection, sku: str) -> int:
    return statements.product_of(one(shop, statements.FIND_PRODUCT, {"sku": sku})).stock


def test_a_key_opens_one_order(shop: Connection):
    assert opened(shop)
    assert not opened(shop, order_id="ord_2")
    found = statements.order_of(one(shop, statements.FIND_BY_KEY, {"key": "key"}))
    assert (found.id, found.status, found.lines[1]) == (
        "ord_1",
        Status.PENDING,
        {"sku": "CD-0002", "quantity": 3},
    )


def test_a_reservation_takes_stock_and_tells_the_price(shop: Connection):
    opened(shop)
    price = statements.product_of(one(shop, statements.FIND_PRODUCT, {"sku": "CD-0001"}))
    first, second = reserved(shop)
    assert (first.held, first.price_cents) == (True, price.price_cents)
    assert second.held
    assert (stock(shop, "CD-0001"), stock(shop, "CD-0002")) == (98, 97)


def test_what_is_not_there_is_not_reserved(shop: Connection):
    values = statements.reserving("ord_1", 0, Line("CD-0001", 101))
    price_cents, held = one(shop, statements.RESERVE, values)
    assert (price_cents > 0, held, stock(shop, "CD-0001")) == (True, False, 100)
    assert one(shop, statements.FIND_RESERVATIONS, {"order_id": "ord_1"}) is None


def test_an_unknown_product_has_no_row(shop: Connection):
    line = Line("CD-99999", 1)
    row = one(shop, statements.RESERVE, statements.reserving("ord_1", 0, line))
    assert statements.reservation_of(0, line, row) == Reservation(
        0, "CD-99999", 1, None, held=False
    )


def test_a_paid_order_keeps_its_money_and_its_lines(shop: Connection):
    opened(shop)
    values = statements.completing(
        "ord_1",
        reserved(shop),
        totals=Totals(100, 10, 90),
        payment=Payment(approved=True, payment_id="pay_1"),
    )
    paid = statements.settled(one(shop, statements.COMPLETE, values))
    assert (paid.status, paid.totals, paid.payment_id) == (
        Status.PAID,
        Totals(100, 10, 90),
        "pay_1",
    )
    assert [line["quantity"] for line in paid.lines] == [2, 3]
    assert statements.order_of(one(shop, statements.FIND_ORDER, {"id": "ord_1"})) == paid


def released(shop: Connection, order_id: str = "ord_1") -> Order:
    values = statements.releasing(order_id, DECLINED)
    return statements.settled(one(shop, statements.RELEASE, values))


def test_a_release_gives_all_stock_back_once(shop: Connection):
    opened(shop)
    reserved(shop)
    assert released(shop).status is Status.DECLINED
    assert (stock(shop, "CD-0001"), stock(shop, "CD-0002")) == (100, 100)
    with pytest.raises(PeerError, match="settled by somebody else"):
        released(shop)
    assert stock(shop, "CD-0001") == 100


def test_two_lines_of_one_product_come_back_together(shop: Connection):
    twice = NewOrder("twice", "print", 1, "tok_1", (Line("CD-0001", 2), Line("CD-0001", 3)))
    opened(shop, twice)
    for index, line in enumerate(twice.lines):
        one(shop, statements.RESERVE, statements.reserving("ord_1", index, line))
    assert stock(shop, "CD-0001") == 95
    released(shop)
    assert stock(shop, "CD-0001") == 100


def test_releases_in_opposite_orders_do_not_deadlock(shop: Connection, shop_url: str):
    names = [f"ord_{number}" for number in range(40)]
    for number, name in enumerate(names):
        lines = NEW.lines if number % 2 else tuple(reversed(NEW.lines))
        opened(shop, NewOrder(name, "print", 1, "tok", lines), order_id=name)
        for index, line in enumerate(lines):
            one(shop, statements.RESERVE, statements.reserving(name, index, Line(line.sku, 1)))

    def release(name: str) -> Status:
        with psycopg.connect(shop_url, autocommit=True) as own:
            return released(own, name).status

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(release, names)) == {Status.DECLINED}
    assert (stock(shop, "CD-0001"), stock(shop, "CD-0002")) == (100, 100)


def test_only_what_is_unsettled_and_not_ours_is_found(shop: Connection):
    for name in ("ours", "theirs", "abandoned", "void"):
        opened(shop, NewOrder(name, "print", 1, "tok", NEW.lines), order_id=name)
    shop.execute("UPDATE orders SET instance = 8 WHERE id = 'theirs'")
    one(shop, statements.RELEASE, statements.releasing("void", UNPAID, void_due=True))
    values = {"instance": 7, "keys": ["abandoned"]}
    rows = shop.execute(statements.FIND_UNSETTLED, values).fetchall()
    assert sorted(row[0] for row in rows) == ["abandoned", "theirs", "void"]
    one(shop, statements.FORGET_VOID, {"id": "void"})
    rows = shop.execute(statements.FIND_UNSETTLED, values).fetchall()
    assert sorted(row[0] for row in rows) == ["abandoned", "theirs"]


def test_the_database_itself_refuses_negative_stock(shop: Connection):
    with pytest.raises(psycopg.errors.CheckViolation):
        shop.execute("UPDATE products SET stock = -1 WHERE sku = 'CD-0001'")


def test_preparation_seeds_products_rarities_and_customers(shop: Connection):
    counts = shop.execute(
        "SELECT (SELECT count(*) FROM products), (SELECT count(*) FROM customers),"
        " (SELECT stock FROM products WHERE sku = 'SCARCE-000')"
    ).fetchone()
    assert counts == (1_200, 23_570, 50)
    product = statements.product_of(one(shop, statements.FIND_PRODUCT, {"sku": "CD-0001"}))
    assert product == Product(product.price_cents, 100)


def test_a_database_that_is_not_empty_is_refused(shop_url: str):
    with pytest.raises(EnvironmentFault, match=r"cannot prepare.*already exists"):
        statements.prepare(shop_url, SCENARIO.values())
