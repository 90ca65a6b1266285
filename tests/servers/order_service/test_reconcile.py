from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import anyio
import httpx
import psycopg
import pytest

from labcore.kernel import PeerError
from labcore.lanes import ServiceSetting
from servers.order_service import SCENARIO, statements
from servers.order_service.domain import UNPAID, Line, NewOrder
from servers.order_service.guard import Guard
from servers.order_service.payments import Shop, policy_of
from servers.order_service.reconcile import Reconciler, new_instance
from servers.payment_adapter_service import build

LINES = (Line("CD-0001", 2), Line("CD-0002", 3))
DEAD = 12


@dataclass(frozen=True)
class Bench:
    """A prepared database, the real payment adapter without a socket, and a reconciler between them."""

    connection: psycopg.AsyncConnection[tuple[Any, ...]]
    adapter: httpx.AsyncClient
    reconciler: Reconciler
    shop: Shop

    async def one(self, statement: str, values: statements.Parameters) -> Any:
        """The first row, if any."""
        return await (await self.connection.execute(statement, values)).fetchone()

    async def leave_behind(self, name: str, *, instance: int = DEAD, lines: int = 2) -> None:
        """An order as a killed server leaves it: pending, with that many lines reserved."""
        new = NewOrder(name, "print", 1, f"tok_{name}", LINES)
        await self.one(statements.OPEN_ORDER, statements.opening(new, name, instance=instance))
        for index, line in enumerate(LINES[:lines]):
            await self.one(statements.RESERVE, statements.reserving(name, index, line))

    async def charge(self, name: str, *, off_by: int = 0) -> None:
        """Charge what the order costs, give or take."""
        rows = await self.connection.execute(statements.FIND_RESERVATIONS, {"order_id": name})
        cents = sum(row[2] * row[3] for row in await rows.fetchall()) + off_by
        reply = await self.adapter.post(
            "/payments",
            json={"amount_cents": cents, "payment_token": f"tok_{name}"},
            headers={"Idempotency-Key": name},
        )
        reply.raise_for_status()

    async def payment(self, name: str) -> str:
        """The status of its payment."""
        return str((await self.adapter.get(f"/payments/{name}")).json()["status"])

    async def order(self, name: str) -> str:
        """The status of the order."""
        row = await self.one(statements.FIND_ORDER, {"id": name})
        return statements.order_of(row).status.value

    async def stock(self) -> int:
        """How much of the first product is left."""
        row = await self.one(statements.FIND_PRODUCT, {"sku": "CD-0001"})
        return statements.product_of(row).stock


@pytest.fixture
async def bench(shop_url: str) -> AsyncIterator[Bench]:
    """The bench, on a fresh database."""
    service = build(ServiceSetting("payment-adapter", {"payment_ms": 0.0}))
    transport = httpx.ASGITransport(service.app)
    shop = Shop(policy_of(SCENARIO.values()), "http://adapter", new_instance())
    async with (
        httpx.AsyncClient(transport=transport, base_url="http://adapter") as adapter,
        await psycopg.AsyncConnection.connect(shop_url, autocommit=True) as connection,
    ):
        yield Bench(
            connection, adapter, Reconciler(shop_url, adapter, shop=shop, guard=Guard()), shop
        )


async def test_a_charged_order_of_a_dead_server_is_completed(bench: Bench):
    await bench.leave_behind("a")
    await bench.charge("a")
    assert await bench.reconciler.settle_all(bench.connection) == 1
    assert (await bench.order("a"), await bench.payment("a")) == ("paid", "approved")
    assert await bench.stock() == 98


async def test_an_uncharged_order_is_voided_and_released(bench: Bench):
    await bench.leave_behind("a", lines=1)
    assert await bench.reconciler.settle_all(bench.connection) == 1
    assert (await bench.order("a"), await bench.payment("a")) == ("unpaid", "voided")
    assert await bench.stock() == 100


async def test_a_charge_of_another_sum_is_voided(bench: Bench):
    await bench.leave_behind("a")
    await bench.charge("a", off_by=1)
    await bench.reconciler.settle_all(bench.connection)
    assert (await bench.order("a"), await bench.payment("a")) == ("unpaid", "voided")


async def test_settling_twice_changes_nothing(bench: Bench):
    await bench.leave_behind("a")
    await bench.reconciler.settle_all(bench.connection)
    assert await bench.reconciler.settle_all(bench.connection) == 0
    assert await bench.stock() == 100


async def test_orders_of_a_living_server_are_left_alone(bench: Bench, shop_url: str):
    await bench.leave_behind("a", instance=DEAD)
    async with await psycopg.AsyncConnection.connect(shop_url, autocommit=True) as alive:
        await alive.execute("SELECT pg_advisory_lock(%s)", [DEAD])
        assert await bench.reconciler.settle_all(bench.connection) == 0
        assert await bench.order("a") == "pending"
    assert await bench.reconciler.settle_all(bench.connection) == 1


async def test_ones_own_orders_are_left_alone_until_they_are_abandoned(bench: Bench):
    await bench.leave_behind("a", instance=bench.shop.instance)
    assert await bench.reconciler.settle_all(bench.connection) == 0
    bench.reconciler.abandon("a")
    assert await bench.reconciler.settle_all(bench.connection) == 1
    assert await bench.order("a") == "unpaid"


async def test_a_void_that_is_due_is_made_when_the_adapter_is_back(bench: Bench):
    await bench.leave_behind("a", instance=bench.shop.instance)
    await bench.charge("a")
    await bench.one(statements.RELEASE, statements.releasing("a", UNPAID, void_due=True))
    await bench.adapter.put("/settings", json={"outages": [[0, 1000]]})
    with pytest.raises(PeerError, match="answered 503 to a void"):
        await bench.reconciler.settle_all(bench.connection)
    await bench.adapter.put("/settings", json={"outages": []})
    assert await bench.reconciler.settle_all(bench.connection) == 1
    assert await bench.payment("a") == "voided"
    assert await bench.reconciler.settle_all(bench.connection) == 0


async def test_running_settles_at_once_and_holds_the_servers_lock(bench: Bench):
    await bench.leave_behind("a")
    async with anyio.create_task_group() as group:
        await group.start(bench.reconciler.run)
        values = {"instance": bench.shop.instance}
        taken = await bench.one("SELECT pg_try_advisory_lock(%(instance)s)", values)
        assert taken == (False,)
        while await bench.order("a") == "pending":
            await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert await bench.order("a") == "unpaid"


async def test_a_database_that_is_not_there_is_told_at_the_start(bench: Bench):
    nowhere = Reconciler(
        "postgresql://x@127.0.0.1:1/x", bench.adapter, shop=bench.shop, guard=Guard()
    )
    with pytest.raises(psycopg.OperationalError):
        await nowhere.run()
