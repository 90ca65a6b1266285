"""One face, three colours of waiting, a real PostgreSQL."""

import asyncio
from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from labcore.kernel import PeerError, UsageError
from labcore.virtual import (
    AsyncDatabase,
    Database,
    PlatformDatabase,
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


async def test_a_deadlock_is_an_error_of_the_sql_and_the_connection_lives_on(database_url: str):
    async with AsyncDatabase(database_url, size=2) as database:
        await database.execute("CREATE TABLE stock (sku text PRIMARY KEY, n int)")
        await database.execute("INSERT INTO stock VALUES ('A', 1), ('B', 1)")
        both_hold_one = asyncio.Barrier(2)

        async def take(first: str, second: str) -> None:
            async with database.transaction() as transaction:
                await transaction.execute("UPDATE stock SET n = 0 WHERE sku = %s", (first,))
                await both_hold_one.wait()
                await transaction.execute("UPDATE stock SET n = 0 WHERE sku = %s", (second,))

        outcomes = await asyncio.gather(take("A", "B"), take("B", "A"), return_exceptions=True)
        assert [type(error) for error in outcomes if error] == [psycopg.errors.DeadlockDetected]
        assert database.gauges()["db_pool_size"] == 2


async def test_a_lost_connection_is_the_peers_fault_on_every_kind_of_thread(
    run: Callable[[Work], Any],
):
    def work(world: World) -> None:
        world.database.execute("SELECT pg_terminate_backend(pg_backend_pid())")

    with pytest.raises(PeerError, match="lost"):
        await run(work)


@pytest.mark.parametrize("turns", range(0, 40, 3))
async def test_a_fork_interrupted_in_any_turn_gives_its_connection_back(
    database_url: str, turns: int
):
    """Also between two coroutines of one transaction, where nobody awaits anything."""
    async with virtual_world(database_url=database_url, pool_size=1) as world:

        def use() -> None:
            with world.database.transaction() as transaction:
                transaction.fetch_one("SELECT 1")
                transaction.fetch_one("SELECT 2")

        def work() -> object:
            with world.scope() as scope:
                scope.fork(use)
                for _ in range(turns):
                    world.sleep(0)
                scope.shutdown()
                scope.join()
            return world.database.fetch_one("SELECT 3")

        assert await VirtualThreadExecutor(name="request").call(work) == (3,)
        assert world.gauges() == {"db_pool_size": 1, "db_pool_busy": 0, "db_pool_waiting": 0}


async def test_a_database_that_is_not_there_is_named_in_time():
    url = "postgresql://nobody@127.0.0.1:1/none"
    with pytest.raises(PeerError, match=r"within 0\.1 s; is the server up"):
        await asyncio.to_thread(PlatformDatabase(url, size=1, pool_timeout_s=0.1).open)
    with pytest.raises(PeerError, match=r"within 0\.1 s; is the server up"):
        await AsyncDatabase(url, size=1, pool_timeout_s=0.1).open()


async def test_transactions_ask_in_the_same_three_ways(run: Callable[[Work], Any]):
    def work(world: World) -> list[Any]:
        with world.database.transaction() as transaction:
            transaction.execute("CREATE TABLE stock (sku text)")
            return [
                transaction.execute("INSERT INTO stock VALUES ('A'), ('B')"),
                transaction.fetch_one("SELECT count(*) FROM stock"),
                transaction.fetch_all("SELECT sku FROM stock ORDER BY sku"),
            ]

    assert await run(work) == [2, (2,), [("A",), ("B",)]]


async def test_a_platform_pool_that_stays_full_refuses_in_time(database_url: str):
    database = PlatformDatabase(database_url, size=1, pool_timeout_s=0.05)

    def work() -> None:
        database.open()
        try:
            with database.transaction():
                database.fetch_one("SELECT 1")
        finally:
            database.close()

    with pytest.raises(PoolExhaustedError):
        await asyncio.to_thread(work)


BIG = "SELECT n, repeat('x', 1000) FROM generate_series(1, 1000000) AS n"
CURSORS = "SELECT count(*) FROM pg_cursors WHERE name = 'stream'"


async def test_a_result_of_any_size_comes_batch_by_batch(run: Callable[[Work], Any]):
    def work(world: World) -> list[int]:
        with world.database.stream("SELECT generate_series(1, 5)", batch_rows=2) as batches:
            return [len(rows) for rows in batches]

    assert await run(work) == [2, 2, 1]


async def test_what_is_not_asked_for_is_not_fetched(run: Callable[[Work], Any]):
    def work(world: World) -> list[Any]:
        with world.database.stream("SELECT generate_series(1, %s)", (1_000,)) as batches:
            first = next(batches)
            busy = world.database.gauges()["db_pool_busy"]
        return [len(first), busy, world.database.gauges()["db_pool_busy"]]

    assert await run(work) == [100, 1, 0]


async def test_a_stream_that_is_left_closes_its_cursor_and_gives_its_connection_back(
    run: Callable[[Work], Any],
):
    def work(world: World) -> list[Any]:
        for _ in range(5):  # more often than there are connections
            with pytest.raises(LookupError, match="no"):
                stream_and_fail(world)
        busy = world.database.gauges()["db_pool_busy"]
        return [busy, world.database.fetch_all(CURSORS)]

    assert await run(work) == [0, [(0,)]]


def stream_and_fail(world: World) -> None:
    with world.database.stream(BIG) as batches:
        next(batches)
        raise LookupError("no")


async def test_errors_of_a_streamed_sql_pass_through(run: Callable[[Work], Any]):
    def work(world: World) -> None:
        with world.database.stream("SELECT 1 / (3 - n) FROM generate_series(1, 9) AS n") as rows:
            list(rows)

    with pytest.raises(psycopg.errors.DivisionByZero):
        await run(work)


async def test_a_task_streams_and_leaves(database_url: str):
    async with AsyncDatabase(database_url, size=1) as database:
        async with database.stream("SELECT generate_series(1, 5)", batch_rows=2) as batches:
            assert [len(rows) async for rows in batches] == [2, 2, 1]
        async with database.stream(BIG) as batches:
            assert len(await anext(batches)) == 100
        assert database.gauges()["db_pool_busy"] == 0
        assert await database.fetch_all(CURSORS) == [(0,)]


async def test_a_cancelled_stream_gives_its_connection_back(database_url: str):
    async with AsyncDatabase(database_url, size=1) as database:

        async def read() -> None:
            async with database.stream(BIG, batch_rows=10) as batches:
                async for _ in batches:
                    begun.set()

        begun = asyncio.Event()
        reading = asyncio.create_task(read())
        await begun.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert await database.fetch_one("SELECT 1") == (1,)


async def test_a_batch_of_nothing_is_refused(run: Callable[[Work], Any]):
    def work(world: World) -> None:
        with world.database.stream("SELECT 1", batch_rows=0):
            pass

    with pytest.raises(UsageError, match="batch_rows=0 would fetch nothing"):
        await run(work)
