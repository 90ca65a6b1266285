"""How each lane is opened: its pool, its HTTP client, its executor. All by the same numbers."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Any, Protocol

import anyio
import httpx

from labcore.kernel import UsageError
from labcore.lanes import ServiceSetting, Values
from labcore.virtual import (
    AsyncDatabase,
    BlockingExecutor,
    PlatformThreadExecutor,
    VirtualThreadExecutor,
    World,
    async_http_client,
    await_,
    platform_world,
    virtual_world,
)
from servers.order_service import lane_blocking
from servers.order_service.domain import NewOrder, Order, Product
from servers.order_service.guard import Guard, guard_of
from servers.order_service.lane_reactive import ReactiveLane
from servers.order_service.lane_structured import StructuredLane
from servers.order_service.listing import Listing
from servers.order_service.payments import ADAPTER, Shop, policy_of
from servers.order_service.reconcile import Reconciler, new_instance
from servers.order_service.streaming import Write

Gauges = Callable[[], Mapping[str, float]]


class Handlers(Protocol):
    """What every lane can do, in its own style of waiting."""

    async def place(self, new: NewOrder) -> Order:
        """Place an order, or give the answer that its key already has."""
        ...

    async def find_order(self, order_id: str) -> Order | None:
        """The stored order, or None."""
        ...

    async def find_product(self, sku: str) -> Product | None:
        """Price and stock, or None."""
        ...

    async def list_orders(self, listing: Listing, write: Write) -> None:
        """Write the orders as fast as they are taken."""
        ...


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane at work."""

    handlers: Handlers
    gauges: Gauges
    reconciler: Reconciler


Opener = Callable[[str, Shop, Guard, Values], AbstractAsyncContextManager[tuple[Handlers, Gauges]]]


def shop_of(setting: ServiceSetting) -> Shop:
    """What the lanes are told, from what the process was told.

    Raises: UsageError for an unknown lane, a missing payment adapter, or numbers that contradict each other.
    """
    if setting.lane not in OPENERS:
        raise UsageError(f"no lane {setting.lane!r}; there are: {', '.join(OPENERS)}")
    if ADAPTER not in setting.peers:
        raise UsageError(f"the order service needs the peer {ADAPTER!r}; got {[*setting.peers]}")
    return Shop(policy_of(setting.parameters), setting.peers[ADAPTER], new_instance())


@asynccontextmanager
async def open_lane(setting: ServiceSetting, shop: Shop) -> AsyncIterator[OpenLane]:
    """The lane that the setting names, its pools open and its reconciliation running.

    Raises: UsageError without a database; PeerError when the database does not answer.
    """
    guard = guard_of(setting.parameters, shop.policy)
    url = setting.database_url
    if url is None:
        raise UsageError("the order service needs a database URL")
    async with (
        async_http_client() as http,
        anyio.create_task_group() as group,
        OPENERS[setting.lane](url, shop, guard, setting.parameters) as (handlers, gauges),
    ):
        reconciler = Reconciler(url, http, shop=shop, guard=guard)
        await group.start(reconciler.run)
        yield OpenLane(handlers, lambda: {**guard.paying.gauges(), **gauges()}, reconciler)
        group.cancel_scope.cancel()


@dataclass(frozen=True, slots=True)
class BlockingHandlers:
    """The functions of `lane_blocking`, called on an executor: all that `threads` and `virtual` differ in."""

    executor: BlockingExecutor
    world: World
    shop: Shop
    guard: Guard
    wait_for: Callable[[Coroutine[Any, Any, None]], None]

    async def place(self, new: NewOrder) -> Order:
        """Place an order, or give the answer that its key already has."""
        return await self.executor.call(
            lane_blocking.place_order, self.world, self.shop, self.guard, new
        )

    async def find_order(self, order_id: str) -> Order | None:
        """The stored order, or None."""
        return await self.executor.call(lane_blocking.find_order, self.world, order_id)

    async def find_product(self, sku: str) -> Product | None:
        """Price and stock, or None."""
        return await self.executor.call(lane_blocking.find_product, self.world, sku)

    async def list_orders(self, listing: Listing, write: Write) -> None:
        """Write the orders as fast as they are taken."""

        def blocking(data: bytes) -> None:
            self.wait_for(_written(write, data))

        await self.executor.call(lane_blocking.list_orders, self.world, listing, blocking)

    def gauges(self) -> Mapping[str, float]:
        """The executor's and the world's; forks in line for a thread count as waiting for a connection.

        Forks only ask the database and have as many threads as it has connections, so the line before
        those threads is the line for a connection, which the pool itself never sees.
        """
        world = self.world.gauges()
        forks_queued = self.world.forks.gauges().get("worker_pool_queued", 0)
        waiting = world["db_pool_waiting"] + forks_queued
        return {**self.executor.gauges(), **world, "db_pool_waiting": waiting}


@asynccontextmanager
async def _open_reactive(
    url: str, shop: Shop, guard: Guard, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:

    async with _asynchronous(url, values) as (database, http):
        yield ReactiveLane(database, http, shop=shop, guard=guard), database.gauges


@asynccontextmanager
async def _open_structured(
    url: str, shop: Shop, guard: Guard, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:

    async with _asynchronous(url, values) as (database, http):
        yield StructuredLane(database, http, shop, guard), database.gauges


@asynccontextmanager
async def _asynchronous(
    url: str, values: Values
) -> AsyncIterator[tuple[AsyncDatabase, httpx.AsyncClient]]:
    size = int(values["db_pool"])
    async with AsyncDatabase(url, size=size) as database, async_http_client() as http:
        yield database, http


@asynccontextmanager
async def _open_threads(
    url: str, shop: Shop, guard: Guard, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:
    pool = int(values["db_pool"])
    loop = asyncio.get_running_loop()

    def wait_for(writing: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(writing, loop).result()

    # Forks only ask the database: more of them than connections would wait in line for nothing.
    async with platform_world(database_url=url, pool_size=pool, fork_workers=pool) as world:
        with PlatformThreadExecutor(int(values["workers"]), name="worker") as executor:
            handlers = BlockingHandlers(executor, world, shop, guard, wait_for)
            yield handlers, handlers.gauges


@asynccontextmanager
async def _open_virtual(
    url: str, shop: Shop, guard: Guard, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:
    async with virtual_world(database_url=url, pool_size=int(values["db_pool"])) as world:
        executor = VirtualThreadExecutor(name="order")
        handlers = BlockingHandlers(executor, world, shop, guard, await_)
        yield handlers, handlers.gauges


async def _written(write: Write, data: bytes) -> None:
    await write(data)


OPENERS: Mapping[str, Opener] = {
    "reactive": _open_reactive,
    "threads": _open_threads,
    "virtual": _open_virtual,
    "structured": _open_structured,
}
