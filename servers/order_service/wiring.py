"""How each lane is opened: its pool, its HTTP client, its executor. All by the same numbers.

A lane's modules are imported when it is opened, so that a server holds in memory what its model needs
and nothing of the others: memory is one of the things compared.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

import anyio
import httpx

from labcore.kernel import UsageError
from labcore.lanes import ServiceSetting, Values
from labcore.stores import AsyncDatabase
from labcore.virtual import async_http_client
from servers.order_service.domain import NewOrder, Order, Product
from servers.order_service.payments import ADAPTER, Shop, policy_of
from servers.order_service.reconcile import Reconciler, new_instance

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


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane at work."""

    handlers: Handlers
    gauges: Gauges
    reconciler: Reconciler


Opener = Callable[[str, Shop, Values], AbstractAsyncContextManager[tuple[Handlers, Gauges]]]


@asynccontextmanager
async def open_lane(setting: ServiceSetting) -> AsyncIterator[OpenLane]:
    """The lane that the setting names, its pools open and its reconciliation running.

    Raises: UsageError for an unknown lane, a missing database or payment adapter.
    """
    if setting.lane not in OPENERS:
        raise UsageError(f"no lane {setting.lane!r}; there are: {', '.join(OPENERS)}")
    if setting.database_url is None or ADAPTER not in setting.peers:
        raise UsageError(f"the order service needs a database URL and the peer {ADAPTER!r}")
    shop = Shop(policy_of(setting.parameters), setting.peers[ADAPTER], new_instance())
    url = setting.database_url
    async with (
        async_http_client() as http,
        anyio.create_task_group() as group,
        OPENERS[setting.lane](url, shop, setting.parameters) as (handlers, gauges),
    ):
        reconciler = Reconciler(url, http, shop=shop)
        await group.start(reconciler.run)
        yield OpenLane(handlers, gauges, reconciler)
        group.cancel_scope.cancel()


@asynccontextmanager
async def _open_reactive(
    url: str, shop: Shop, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:
    from servers.order_service.lane_reactive import ReactiveLane

    async with _asynchronous(url, values) as (database, http):
        yield ReactiveLane(database, http, shop), database.gauges


@asynccontextmanager
async def _open_structured(
    url: str, shop: Shop, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:
    from servers.order_service.lane_structured import StructuredLane

    async with _asynchronous(url, values) as (database, http):
        yield StructuredLane(database, http, shop), database.gauges


@asynccontextmanager
async def _asynchronous(
    url: str, values: Values
) -> AsyncIterator[tuple[AsyncDatabase, httpx.AsyncClient]]:
    size = int(values["db_pool"])
    async with AsyncDatabase(url, size=size) as database, async_http_client() as http:
        yield database, http


OPENERS: Mapping[str, Opener] = {
    "reactive": _open_reactive,
    "structured": _open_structured,
}
