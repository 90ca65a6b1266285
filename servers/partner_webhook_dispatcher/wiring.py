"""How each lane is opened: its pool, its HTTP client, its executor. All by the same numbers."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import urlsplit

import anyio
import httpx

from labcore.kernel import UsageError
from labcore.lanes import ServiceSetting, Values
from labcore.protocols.webhook import FullJitter
from labcore.virtual import (
    AsyncDatabase,
    BlockingExecutor,
    PlatformThreadExecutor,
    VirtualFuture,
    VirtualThreadExecutor,
    platform_world,
    virtual_world,
)
from servers.partner_webhook_dispatcher import lane_blocking
from servers.partner_webhook_dispatcher.contract import Lab
from servers.partner_webhook_dispatcher.desk import Desk
from servers.partner_webhook_dispatcher.domain import Accepted, NewEvent
from servers.partner_webhook_dispatcher.guard import RATE_WAIT_S, rules_of
from servers.partner_webhook_dispatcher.lane_blocking import Shift
from servers.partner_webhook_dispatcher.lane_reactive import ReactiveLane
from servers.partner_webhook_dispatcher.lane_structured import StructuredLane
from servers.partner_webhook_dispatcher.office import Office
from servers.partner_webhook_dispatcher.outbound import PlatformClient, async_client
from servers.partner_webhook_dispatcher.seeding import seed
from servers.partner_webhook_dispatcher.sending import async_send, platform_send, virtual_send

OFFICE_CONNECTIONS = 2
GRACE_S = 2.0  # for deliveries under way at the end, below the patience of the host's stop

_log = logging.getLogger(__name__)

Gauges = Callable[[], Mapping[str, float]]


class Handlers(Protocol):
    """What every lane can do, in its own style of waiting."""

    async def accept(self, new: NewEvent) -> Accepted:
        """Store the event with its deliveries, or find the one that its key already has."""
        ...

    async def dispatch(self) -> None:
        """Claim and deliver until the desk closes and nothing is in hand."""
        ...


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane at work."""

    handlers: Handlers
    gauges: Gauges
    office: Office


Opener = Callable[[str, Desk, Lab, Values], AbstractAsyncContextManager[tuple[Handlers, Gauges]]]


def desk_of(setting: ServiceSetting) -> Desk:
    """An empty desk by the parameters.

    Raises: UsageError for an unknown lane, or a lease shorter than an attempt may take.
    """
    if setting.lane not in OPENERS:
        raise UsageError(f"no lane {setting.lane!r}; there are: {', '.join(OPENERS)}")
    values = setting.parameters
    lease_s, attempt_s = float(values["lease_s"]), float(values["timeout_ms"]) / 1e3
    if lease_s <= attempt_s + RATE_WAIT_S:
        raise UsageError(
            f"lease_s={lease_s:g} would end before an attempt of {attempt_s:g} s that waited "
            f"{RATE_WAIT_S:g} s for its rate; give more"
        )
    concurrency = int(values["concurrency"])
    if setting.lane == "threads":  # a claim that waits for a thread only wastes its lease
        concurrency = min(concurrency, int(values["workers"]))
    instance = secrets.randbits(62)
    return Desk(instance, rules_of(values), concurrency=concurrency, lease_s=lease_s)


def lab_of(setting: ServiceSetting) -> Lab:
    """What registrations are judged by: this scenario's receivers are the only private ones."""
    values = setting.parameters
    places = [urlsplit(url) for url in setting.peers.values()]
    return Lab(
        places=int(values["places"]),
        rate_per_s=float(values["rate_per_s"]),
        timeout_s=float(values["timeout_ms"]) / 1e3,
        retry=FullJitter(
            float(values["retry_base_ms"]) / 1e3,
            float(values["retry_ceiling_ms"]) / 1e3,
            int(values["attempts"]),
        ),
        receivers=[(place.hostname or "", place.port or 0) for place in places],
    )


@asynccontextmanager
async def open_lane(setting: ServiceSetting, desk: Desk, lab: Lab) -> AsyncIterator[OpenLane]:
    """The lane that the setting names, at work; at the end it finishes or gives back what it holds.

    Raises: UsageError without a database; PeerError when the database does not answer.
    """
    url = setting.database_url
    if url is None:
        raise UsageError("the dispatcher needs a database URL")
    async with (
        AsyncDatabase(url, size=OFFICE_CONNECTIONS) as database,
        OPENERS[setting.lane](url, desk, lab, setting.parameters) as (handlers, gauges),
        anyio.create_task_group() as group,
    ):
        office = Office(database, desk)
        await seed(office, setting, lab)
        await office.refresh()
        group.start_soon(office.keep)
        ended = asyncio.Event()
        group.start_soon(_dispatch, handlers.dispatch, ended)
        try:
            yield OpenLane(handlers, lambda: {**desk.gauges(), **gauges()}, office)
        finally:
            desk.close()
            with anyio.CancelScope(shield=True):
                with anyio.move_on_after(GRACE_S):
                    await ended.wait()
                if left := desk.in_hand():
                    _log.info("%d deliveries are given back", len(left))
                    await office.give_back(left)
            group.cancel_scope.cancel()


@dataclass(frozen=True, slots=True)
class BlockingHandlers:
    """The functions of `lane_blocking`, called on executors: all that `threads` and `virtual` differ in."""

    clerks: BlockingExecutor
    shift: Shift

    async def accept(self, new: NewEvent) -> Accepted:
        """Store the event with its deliveries, or find the one that its key already has."""
        return await self.clerks.call(lane_blocking.accept, self.shift, new)

    async def dispatch(self) -> None:
        """Claim and deliver until the desk closes and nothing is in hand."""
        await self.clerks.call(lane_blocking.dispatch, self.shift)

    def gauges(self) -> Mapping[str, float]:
        """The couriers' and the world's."""
        return {**self.shift.couriers.gauges(), **self.shift.world.gauges()}


async def _dispatch(dispatch: Callable[[], Awaitable[None]], ended: asyncio.Event) -> None:
    try:
        await dispatch()
    finally:
        ended.set()


@asynccontextmanager
async def _open_reactive(
    url: str, desk: Desk, lab: Lab, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:
    async with _asynchronous(url, lab, values) as (database, http):
        concurrency = int(values["concurrency"])
        lane = ReactiveLane(database, async_send(http), desk=desk, concurrency=concurrency)
        yield lane, database.gauges


@asynccontextmanager
async def _open_structured(
    url: str, desk: Desk, lab: Lab, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:
    async with _asynchronous(url, lab, values) as (database, http):
        yield StructuredLane(database, async_send(http), desk), database.gauges


@asynccontextmanager
async def _asynchronous(
    url: str, lab: Lab, values: Values
) -> AsyncIterator[tuple[AsyncDatabase, httpx.AsyncClient]]:
    size = int(values["db_pool"])
    connections = int(values["concurrency"])
    async with (
        AsyncDatabase(url, size=size) as database,
        async_client(lab.receivers, connections=connections) as http,
    ):
        yield database, http


@asynccontextmanager
async def _open_threads(
    url: str, desk: Desk, lab: Lab, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:
    pool, workers = int(values["db_pool"]), int(values["workers"])
    with PlatformClient(lab.receivers, connections=workers) as http:
        async with platform_world(database_url=url, pool_size=pool, fork_workers=1) as world:
            with (
                PlatformThreadExecutor(pool + 1, name="clerk") as clerks,  # one of them claims
                PlatformThreadExecutor(workers, name="courier") as couriers,
            ):
                shift = Shift(world, couriers, platform_send(http), desk, Future.cancel)
                handlers = BlockingHandlers(clerks, shift)
                yield handlers, handlers.gauges


@asynccontextmanager
async def _open_virtual(
    url: str, desk: Desk, lab: Lab, values: Values
) -> AsyncIterator[tuple[Handlers, Gauges]]:
    async with (
        virtual_world(database_url=url, pool_size=int(values["db_pool"])) as world,
        async_client(lab.receivers, connections=int(values["concurrency"])) as http,
    ):
        couriers = VirtualThreadExecutor(name="courier")
        clerks = VirtualThreadExecutor(name="clerk")
        shift = Shift(world, couriers, virtual_send(http), desk, _interrupt)
        handlers = BlockingHandlers(clerks, shift)
        yield handlers, handlers.gauges


def _interrupt(delivery: Future[None]) -> None:
    assert isinstance(delivery, VirtualFuture)
    delivery.interrupt()


OPENERS: Mapping[str, Opener] = {
    "reactive": _open_reactive,
    "threads": _open_threads,
    "virtual": _open_virtual,
    "structured": _open_structured,
}
