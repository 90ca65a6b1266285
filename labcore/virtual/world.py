"""The world of a blocking lane: everything it may wait for, injected.

Its source never knows whether an OS thread blocks or a virtual thread parks.
"""

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from labcore.virtual import thread
from labcore.virtual.database import (
    POOL_TIMEOUT_S,
    AsyncDatabase,
    Database,
    PlatformDatabase,
    VirtualDatabase,
)
from labcore.virtual.executor import (
    BlockingExecutor,
    PlatformThreadExecutor,
    VirtualThreadExecutor,
)
from labcore.virtual.http import (
    HttpClient,
    PlatformHttpClient,
    VirtualHttpClient,
    async_http_client,
)
from labcore.virtual.scope import Policy, StructuredTaskScope
from labcore.virtual.tracing import blocking


class Sleep(Protocol):
    """Waiting for time to pass."""

    def __call__(self, seconds: float, /) -> None:
        """Wait for that many seconds."""
        ...


@dataclass(frozen=True, slots=True)
class World:
    """Database, HTTP, time and structured concurrency, blocking style."""

    database: Database
    http: HttpClient
    sleep: Sleep
    forks: BlockingExecutor

    def now_s(self) -> float:
        """Monotonic seconds, from no particular beginning."""
        return time.monotonic()

    def scope(
        self,
        *,
        limit: int | None = None,
        deadline_s: float | None = None,
        policy: Policy = Policy.SHUTDOWN_ON_FAILURE,
    ) -> StructuredTaskScope:
        """A structured task scope whose forks run as this world's threads do."""
        return StructuredTaskScope(self.forks, limit=limit, deadline_s=deadline_s, policy=policy)

    def gauges(self) -> Mapping[str, float]:
        """How full the database pool is."""
        return self.database.gauges()


@asynccontextmanager
async def platform_world(
    *,
    database_url: str,
    pool_size: int,
    fork_workers: int,
    pool_timeout_s: float = POOL_TIMEOUT_S,
) -> AsyncIterator[World]:
    """A world that blocks OS threads. Forks have a pool of their own, so no nested wait deadlocks.

    Raises:
        PeerError: PostgreSQL did not give all connections within `pool_timeout_s`.
    """
    forks = PlatformThreadExecutor(fork_workers, name="fork")
    database = PlatformDatabase(database_url, size=pool_size, pool_timeout_s=pool_timeout_s)
    http = PlatformHttpClient()
    try:
        await forks.call(database.open)
        yield World(database, http, blocking("sleep", time.sleep), forks)
    finally:
        await forks.call(database.close)
        forks.shutdown()
        http.close()


@asynccontextmanager
async def virtual_world(
    *, database_url: str, pool_size: int, pool_timeout_s: float = POOL_TIMEOUT_S
) -> AsyncIterator[World]:
    """A world that parks virtual threads on the running event loop.

    Raises:
        PeerError: PostgreSQL did not give all connections within `pool_timeout_s`.
    """
    forks = VirtualThreadExecutor(name="fork")
    async with (
        AsyncDatabase(database_url, size=pool_size, pool_timeout_s=pool_timeout_s) as database,
        async_http_client() as http,
    ):
        yield World(VirtualDatabase(database), VirtualHttpClient(http), thread.sleep, forks)
