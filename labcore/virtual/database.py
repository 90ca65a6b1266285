"""PostgreSQL behind one small face in three colours of waiting: async, platform, virtual.

One driver (psycopg 3, the same C core), one set of connection settings, one pool size: what differs is
who waits. A statement outside a transaction is a transaction of its own. Rows are tuples.
"""

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from types import TracebackType
from typing import Any, LiteralString, Protocol, Self

import psycopg

from labcore.kernel import UsageError
from labcore.virtual.errors import database_errors, opening_errors
from labcore.virtual.thread import await_
from labcore.virtual.tracing import async_pool, pool

Row = tuple[Any, ...]
Parameters = Mapping[str, Any] | Sequence[Any] | None
CONNECTION_SETTINGS: Mapping[str, Any] = {
    "autocommit": True,  # each statement its own transaction, unless one is opened
    "prepare_threshold": 2,  # a lane's few statements are all prepared after their first two uses
}
CURSOR = "stream"  # a connection serves one at a time, so one name does
BATCH_ROWS = 100  # rows a cursor fetches at a time, unless told otherwise
POOL_TIMEOUT_S = 10.0  # longest wait for a free connection, and for all of them at the opening


class Statements(Protocol):
    """The three ways of asking, blocking style."""

    def fetch_all(self, sql: LiteralString, parameters: Parameters = None) -> list[Row]:
        """All rows."""
        ...

    def fetch_one(self, sql: LiteralString, parameters: Parameters = None) -> Row | None:
        """The first row, or None."""
        ...

    def execute(self, sql: LiteralString, parameters: Parameters = None) -> int:
        """How many rows were affected."""
        ...


class Database(Statements, Protocol):
    """A pool of connections, blocking style.

    Raises, in every method: PoolExhaustedError when no connection comes free in time, PeerError when the
    connection is lost; errors of the SQL itself are psycopg's.
    """

    def transaction(self) -> AbstractContextManager[Statements]:
        """One connection for the block: committed at its end, rolled back on an exception."""
        ...

    def stream(
        self,
        sql: LiteralString,
        parameters: Parameters = None,
        *,
        batch_rows: int = BATCH_ROWS,
    ) -> AbstractContextManager[Iterator[list[Row]]]:
        """A result of any size, batch by batch, each fetched when it is asked for.

        A cursor on the server and one connection of the pool are held until the end of the block, and
        with them the snapshot that the rows come from.
        """
        ...

    def gauges(self) -> Mapping[str, float]:
        """`db_pool_size`, `db_pool_busy`, `db_pool_waiting`."""
        ...


class AsyncDatabase:
    """The pool of the event-loop lanes: as `Database`, awaited. Open it with `async with`."""

    def __init__(self, url: str, *, size: int, pool_timeout_s: float = POOL_TIMEOUT_S) -> None:
        self._pool = async_pool(
            url,
            kwargs=dict(CONNECTION_SETTINGS),
            min_size=_checked(size),
            max_size=size,
            timeout=pool_timeout_s,
            open=False,
        )

    async def open(self) -> None:
        """Connect all; returns when the pool is full. Raises: PeerError when it stays empty."""
        with opening_errors(self._pool.timeout):
            await self._pool.open(wait=True, timeout=self._pool.timeout)

    async def close(self) -> None:
        """Give every connection back to the server."""
        await self._pool.close()

    async def fetch_all(self, sql: LiteralString, parameters: Parameters = None) -> list[Row]:
        """All rows."""
        with database_errors():
            async with self._pool.connection() as connection:
                return await (await connection.execute(sql, parameters)).fetchall()

    async def fetch_one(self, sql: LiteralString, parameters: Parameters = None) -> Row | None:
        """The first row, or None."""
        with database_errors():
            async with self._pool.connection() as connection:
                return await (await connection.execute(sql, parameters)).fetchone()

    async def execute(self, sql: LiteralString, parameters: Parameters = None) -> int:
        """How many rows were affected."""
        with database_errors():
            async with self._pool.connection() as connection:
                return (await connection.execute(sql, parameters)).rowcount

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator["AsyncTransaction"]:
        """One connection for the block: committed at its end, rolled back on an exception."""
        with database_errors():
            async with self._pool.connection() as connection, connection.transaction():
                yield AsyncTransaction(connection)

    @asynccontextmanager
    async def stream(
        self,
        sql: LiteralString,
        parameters: Parameters = None,
        *,
        batch_rows: int = BATCH_ROWS,
    ) -> AsyncIterator[AsyncIterator[list[Row]]]:
        """A result of any size, batch by batch, each fetched when it is asked for.

        A cursor on the server and one connection of the pool are held until the end of the block, and
        with them the snapshot that the rows come from.
        """
        size = _checked_batch(batch_rows)
        with database_errors():
            async with (
                self._pool.connection() as connection,
                connection.transaction(),  # a cursor lives in one
                connection.cursor(name=CURSOR) as cursor,
            ):
                yield _AsyncBatches(await cursor.execute(sql, parameters), size)

    def gauges(self) -> Mapping[str, float]:
        """`db_pool_size`, `db_pool_busy`, `db_pool_waiting`."""
        return _gauges(self._pool.get_stats())

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncTransaction:
    """The three ways of asking on one connection, awaited."""

    def __init__(self, connection: "psycopg.AsyncConnection[Row]") -> None:
        self._connection = connection

    async def fetch_all(self, sql: LiteralString, parameters: Parameters = None) -> list[Row]:
        """All rows."""
        return await (await self._connection.execute(sql, parameters)).fetchall()

    async def fetch_one(self, sql: LiteralString, parameters: Parameters = None) -> Row | None:
        """The first row, or None."""
        return await (await self._connection.execute(sql, parameters)).fetchone()

    async def execute(self, sql: LiteralString, parameters: Parameters = None) -> int:
        """How many rows were affected."""
        return (await self._connection.execute(sql, parameters)).rowcount


class _AsyncBatches(AsyncIterator[list[Row]]):
    """Not a generator: one that nobody finished would be closed by the garbage collector."""

    def __init__(self, cursor: "psycopg.AsyncServerCursor[Row]", size: int) -> None:
        self._cursor = cursor
        self._size = size

    async def __anext__(self) -> list[Row]:
        rows = await self._cursor.fetchmany(self._size)
        if not rows:
            raise StopAsyncIteration
        return rows


class PlatformDatabase:
    """A pool that blocks the OS thread waiting for it."""

    def __init__(self, url: str, *, size: int, pool_timeout_s: float = POOL_TIMEOUT_S) -> None:
        self._pool = pool(
            url,
            kwargs=dict(CONNECTION_SETTINGS),
            min_size=_checked(size),
            max_size=size,
            timeout=pool_timeout_s,
            open=False,
        )

    def open(self) -> None:
        """Connect all; returns when the pool is full. Raises: PeerError when it stays empty."""
        with opening_errors(self._pool.timeout):
            self._pool.open(wait=True, timeout=self._pool.timeout)

    def close(self) -> None:
        """Give every connection back to the server."""
        self._pool.close()

    def fetch_all(self, sql: LiteralString, parameters: Parameters = None) -> list[Row]:
        """All rows."""
        with database_errors(), self._pool.connection() as connection:
            return connection.execute(sql, parameters).fetchall()

    def fetch_one(self, sql: LiteralString, parameters: Parameters = None) -> Row | None:
        """The first row, or None."""
        with database_errors(), self._pool.connection() as connection:
            return connection.execute(sql, parameters).fetchone()

    def execute(self, sql: LiteralString, parameters: Parameters = None) -> int:
        """How many rows were affected."""
        with database_errors(), self._pool.connection() as connection:
            return connection.execute(sql, parameters).rowcount

    @contextmanager
    def transaction(self) -> Iterator[Statements]:
        """One connection for the block: committed at its end, rolled back on an exception."""
        with database_errors(), self._pool.connection() as connection, connection.transaction():
            yield _PlatformTransaction(connection)

    @contextmanager
    def stream(
        self,
        sql: LiteralString,
        parameters: Parameters = None,
        *,
        batch_rows: int = BATCH_ROWS,
    ) -> Iterator[Iterator[list[Row]]]:
        """A result of any size, batch by batch; the OS thread blocks for each."""
        size = _checked_batch(batch_rows)
        with (
            database_errors(),
            self._pool.connection() as connection,
            connection.transaction(),  # a cursor lives in one
            connection.cursor(name=CURSOR) as cursor,
        ):
            cursor.execute(sql, parameters)
            yield iter(lambda: cursor.fetchmany(size), [])

    def gauges(self) -> Mapping[str, float]:
        """`db_pool_size`, `db_pool_busy`, `db_pool_waiting`."""
        return _gauges(self._pool.get_stats())


class _PlatformTransaction:
    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        self._connection = connection

    def fetch_all(self, sql: LiteralString, parameters: Parameters = None) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def fetch_one(self, sql: LiteralString, parameters: Parameters = None) -> Row | None:
        return self._connection.execute(sql, parameters).fetchone()

    def execute(self, sql: LiteralString, parameters: Parameters = None) -> int:
        return self._connection.execute(sql, parameters).rowcount


class VirtualDatabase:
    """A pool that parks the virtual thread waiting for it: `AsyncDatabase`, awaited for you."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    def fetch_all(self, sql: LiteralString, parameters: Parameters = None) -> list[Row]:
        """All rows."""
        return await_(self._database.fetch_all(sql, parameters))

    def fetch_one(self, sql: LiteralString, parameters: Parameters = None) -> Row | None:
        """The first row, or None."""
        return await_(self._database.fetch_one(sql, parameters))

    def execute(self, sql: LiteralString, parameters: Parameters = None) -> int:
        """How many rows were affected."""
        return await_(self._database.execute(sql, parameters))

    @contextmanager
    def transaction(self) -> Iterator[Statements]:
        """One connection for the block: committed at its end, rolled back on an exception."""
        opened = self._database.transaction()
        statements = _VirtualTransaction(await_(opened.__aenter__()))
        try:
            yield statements
        except BaseException as exc:
            if not await_(opened.__aexit__(type(exc), exc, exc.__traceback__)):
                raise
        else:
            await_(opened.__aexit__(None, None, None))

    @contextmanager
    def stream(
        self,
        sql: LiteralString,
        parameters: Parameters = None,
        *,
        batch_rows: int = BATCH_ROWS,
    ) -> Iterator[Iterator[list[Row]]]:
        """A result of any size, batch by batch; the virtual thread parks for each."""
        opened = self._database.stream(sql, parameters, batch_rows=batch_rows)
        batches = await_(opened.__aenter__())
        try:
            yield iter(lambda: await_(anext(batches, [])), [])
        except BaseException as exc:
            if not await_(opened.__aexit__(type(exc), exc, exc.__traceback__)):
                raise
        else:
            await_(opened.__aexit__(None, None, None))

    def gauges(self) -> Mapping[str, float]:
        """`db_pool_size`, `db_pool_busy`, `db_pool_waiting`."""
        return self._database.gauges()


class _VirtualTransaction:
    def __init__(self, transaction: AsyncTransaction) -> None:
        self._transaction = transaction

    def fetch_all(self, sql: LiteralString, parameters: Parameters = None) -> list[Row]:
        return await_(self._transaction.fetch_all(sql, parameters))

    def fetch_one(self, sql: LiteralString, parameters: Parameters = None) -> Row | None:
        return await_(self._transaction.fetch_one(sql, parameters))

    def execute(self, sql: LiteralString, parameters: Parameters = None) -> int:
        return await_(self._transaction.execute(sql, parameters))


def _gauges(stats: Mapping[str, int]) -> Mapping[str, float]:
    size = stats.get("pool_size", 0)
    return {
        "db_pool_size": size,
        "db_pool_busy": size - stats.get("pool_available", 0),
        "db_pool_waiting": stats.get("requests_waiting", 0),
    }


def _checked_batch(size: int) -> int:
    if size < 1:
        raise UsageError(f"batch_rows={size} would fetch nothing, for ever; give 1 or more")
    return size


def _checked(size: int) -> int:
    if size < 1:
        raise UsageError(
            f"a database pool of size {size} gives nobody a connection; give 1 or more"
        )
    return size
