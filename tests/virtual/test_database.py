"""One face, three colours of waiting, a real PostgreSQL."""

from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from labcore.kernel import PeerError, UsageError
from labcore.virtual import (
    AsyncDatabase,
    Database,
    PlatformThreadExecutor,
    PoolExhaustedError,
    VirtualThreadExecutor,
    World,
    platform_world,
    virtual_world,
)

Work = Callable[[World], Any]


@pytest.fixture(params=["platform", "virtual"])
def run(request: pytest.FixtureRequest, database_url: str) -> Callable[[Work], Any]:
    async def platform(work: Work) -> Any:
        executor = PlatformThreadExecutor(2, name="request")
        try:
            async with platform_world(
                database_url=database_url, pool_size=2, fork_workers=2
            ) as world:
                return await executor.call(work, world)
        finally:
            executor.shutdown()

    async def virtual(work: Work) -> Any:
        executor = VirtualThreadExecutor(name="request")
        async with virtual_world(database_url=database_url, pool_size=2) as world:
            return await executor.call(work, world)

    return platform if request.param == "platform" else virtual


async def test_rows_are_tuples_and_counts_are_numbers(run: Callable[[Work], Any]):
    def work(world: World) -> list[Any]:
        world.database.execute("CREATE TABLE stock (sku text, left_over int)")
        changed = world.database.execute(
            "INSERT INTO stock VALUES (%s, %s), (%s, %s)", ("A", 1, "B", 2)
        )
        first = world.database.fetch_one("SELECT * FROM stock ORDER BY sku")
        every = world.database.fetch_all("SELECT sku FROM stock ORDER BY sku")
        none = world.database.fetch_one("SELECT 1 WHERE false")
        return [changed, first, every, none]

    assert await run(work) == [2, ("A", 1), [("A",), ("B",)], None]


async def test_a_transaction_is_rolled_back_by_an_exception(run: Callable[[Work], Any]):
    def work(world: World) -> list[Any]:
        world.database.execute("CREATE TABLE stock (sku text)")
        with world.database.transaction() as transaction:
            transaction.execute("INSERT INTO stock VALUES ('kept')")
        with pytest.raises(LookupError, match="no"):
            insert_and_fail(world)
        return world.database.fetch_all("SELECT sku FROM stock")

    assert await run(work) == [("kept",)]


def insert_and_fail(world: World) -> None:
    with world.database.transaction() as transaction:
        transaction.execute("INSERT INTO stock VALUES ('lost')")
        raise LookupError("no")


async def test_errors_of_the_sql_pass_through(run: Callable[[Work], Any]):
    def work(world: World) -> None:
        world.database.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.DivisionByZero):
        await run(work)


async def test_forks_share_the_pool_and_the_gauges_see_it(run: Callable[[Work], Any]):
    def one(database: Database) -> None:
        database.execute("SELECT pg_sleep(0.05)")

    def work(world: World) -> float:
        with world.scope() as scope:
            for _ in range(2):
                scope.fork(one, world.database)
            busy = 0.0
            while busy < 2:
                busy = world.gauges()["db_pool_busy"]
                world.sleep(0.001)
            scope.join()
        return world.gauges()["db_pool_size"]

    assert await run(work) == 2


async def test_a_pool_that_stays_full_refuses_in_time(database_url: str):
    async with (
        AsyncDatabase(database_url, size=1, pool_timeout_s=0.05) as database,
        database.transaction(),
    ):
        with pytest.raises(PoolExhaustedError):
            await database.fetch_one("SELECT 1")


async def test_a_lost_connection_is_the_peers_fault(database_url: str):
    async with AsyncDatabase(database_url, size=1) as database:
        with pytest.raises(PeerError, match="lost"):
            await database.execute("SELECT pg_terminate_backend(pg_backend_pid())")


def test_a_pool_of_nobody_is_refused():
    with pytest.raises(UsageError, match="size 0"):
        AsyncDatabase("postgresql://", size=0)
