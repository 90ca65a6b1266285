"""How each lane is opened: its pool and its executors, all by the same numbers; and what they share."""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Protocol

import anyio

from labcore.kernel import UsageError
from labcore.lanes import ServiceSetting, Values
from labcore.protocols.tokens import KeySet
from labcore.stores import AsyncDatabase, event_log
from labcore.stores.event_log import Event
from labcore.virtual import (
    BlockingExecutor,
    PlatformThreadExecutor,
    VirtualThreadExecutor,
    World,
    await_,
    platform_world,
    virtual_world,
)
from servers.chat_service import lane_blocking, statements
from servers.chat_service.attendance import Attendance
from servers.chat_service.domain import Accepted, Change, NewMessage, Opening, Page
from servers.chat_service.doorman import Doorman
from servers.chat_service.entries import Entry
from servers.chat_service.feed import Feed
from servers.chat_service.lane_reactive import ReactiveLane
from servers.chat_service.lane_structured import StructuredLane
from servers.chat_service.outlet import Write
from servers.chat_service.rooms import Session

SECRET_VARIABLE: Final = "LABCORE_TOKEN_SECRET"  # noqa: S105 - a name, not a secret
LEAST_SECRET_BYTES: Final = 32  # RFC 7518, section 3.2: as long as the hash
FEED_CONNECTIONS: Final = 2

Gauges = Callable[[], Mapping[str, float]]


class Handlers(Protocol):
    """What every lane can do, in its own style of waiting."""

    async def send(self, new: NewMessage) -> Accepted | None:
        """Store the message, or find the place that its client id has; None if that is kept no more."""
        ...

    async def history(self, page: Page) -> list[Event]:
        """A piece of a room's messages, oldest first."""
        ...

    async def ack(self, room: str, member: str, up_to: int) -> int | None:
        """The member's acknowledgement from now on; None for an id that was never given."""
        ...

    async def enter(self, room: str, member: str) -> Opening:
        """What the member finds; the first visit acknowledges what was said before."""
        ...

    async def announce(self, change: Change) -> None:
        """Tell the room."""
        ...

    async def stream(self, session: Session, write: Write) -> None:
        """Serve a subscriber to its end."""
        ...


@dataclass(frozen=True, slots=True)
class OpenLane:
    """A lane at work."""

    handlers: Handlers
    gauges: Gauges
    feed: Feed
    attendance: Attendance
    doorman: Doorman


Opener = Callable[[str, Values], AbstractAsyncContextManager[tuple[Handlers, Gauges]]]


def checked_lane(setting: ServiceSetting) -> str:
    """The setting's lane. Raises: UsageError for an unknown one."""
    if setting.lane not in OPENERS:
        raise UsageError(f"no lane {setting.lane!r}; there are: {', '.join(OPENERS)}")
    return setting.lane


@asynccontextmanager
async def open_lane(setting: ServiceSetting) -> AsyncIterator[OpenLane]:
    """The lane that the setting names, at work.

    Raises: UsageError without a database; PeerError when the database does not answer.
    """
    url, values = setting.database_url, setting.parameters
    if url is None:
        raise UsageError("the chat service needs a database URL")
    async with (
        AsyncDatabase(url, size=FEED_CONNECTIONS) as database,
        event_log.tail(url) as tail,
        OPENERS[setting.lane](url, values) as (handlers, gauges),
        anyio.create_task_group() as group,
    ):
        feed = Feed(database, tail, group, recent=int(values["recent"]))
        attendance = Attendance(float(values["presence_s"]), handlers.announce)
        doorman = await _doorman(database, setting)
        await attendance.recall(database)
        group.start_soon(attendance.keep)
        shared = (feed.gauges, doorman.gauges, attendance.presence.gauges, gauges)
        yield OpenLane(
            handlers,
            lambda: {name: value for each in shared for name, value in each().items()},
            feed,
            attendance,
            doorman,
        )
        group.cancel_scope.cancel()


async def _doorman(database: AsyncDatabase, setting: ServiceSetting) -> Doorman:
    values = setting.parameters
    secret = os.environ.get(SECRET_VARIABLE, "").encode()
    if secret and len(secret) < LEAST_SECRET_BYTES:
        raise UsageError(
            f"{SECRET_VARIABLE} has {len(secret)} bytes; give {LEAST_SECRET_BYTES} or more"
        )
    if not secret:
        row = await database.fetch_one(statements.SIGNING_KEY)
        assert row is not None
        secret = row[0]
    most = int(values["max_streams"])
    if setting.lane == "threads":  # a stream without a thread would only wait in line for one
        most = min(most, int(values["workers"]))
    return Doorman(
        KeySet({"chat": secret}),
        lab=bool(values["lab_tokens"]),
        most=most,
        most_each=int(values["streams_per_member"]),
    )


@dataclass(frozen=True, slots=True)
class BlockingHandlers:
    """The functions of `lane_blocking`, called on executors: all that `threads` and `virtual` differ in."""

    clerks: BlockingExecutor
    readers: BlockingExecutor
    world: World
    wait_for: Callable[[Coroutine[Any, Any, None]], None]

    async def send(self, new: NewMessage) -> Accepted | None:
        """Store the message, or find the place that its client id has; None if that is kept no more."""
        return await self.clerks.call(lane_blocking.send, self.world, new)

    async def history(self, page: Page) -> list[Event]:
        """A piece of a room's messages, oldest first."""
        return await self.clerks.call(lane_blocking.history, self.world, page)

    async def ack(self, room: str, member: str, up_to: int) -> int | None:
        """The member's acknowledgement from now on; None for an id that was never given."""
        return await self.clerks.call(lane_blocking.ack, self.world, room, member, up_to)

    async def enter(self, room: str, member: str) -> Opening:
        """What the member finds; the first visit acknowledges what was said before."""
        return await self.clerks.call(lane_blocking.enter, self.world, room, member)

    async def announce(self, change: Change) -> None:
        """Tell the room."""
        await self.clerks.call(lane_blocking.announce, self.world, change)

    async def stream(self, session: Session, write: Write) -> None:
        """Serve a subscriber to its end, on a thread of its own."""

        def blocking(entries: Sequence[Entry]) -> None:
            self.wait_for(_written(write, entries))

        latch = self.readers.latch
        await self.readers.call(lane_blocking.stream, self.world, latch, session, blocking)

    def gauges(self) -> Mapping[str, float]:
        """The readers' threads and the world's pool."""
        return {**self.readers.gauges(), **self.world.gauges()}


async def _written(write: Write, entries: Sequence[Entry]) -> None:
    await write(entries)


@asynccontextmanager
async def _open_reactive(url: str, values: Values) -> AsyncIterator[tuple[Handlers, Gauges]]:
    async with AsyncDatabase(url, size=int(values["db_pool"])) as database:
        yield ReactiveLane(database), database.gauges


@asynccontextmanager
async def _open_structured(url: str, values: Values) -> AsyncIterator[tuple[Handlers, Gauges]]:
    async with AsyncDatabase(url, size=int(values["db_pool"])) as database:
        yield StructuredLane(database), database.gauges


@asynccontextmanager
async def _open_threads(url: str, values: Values) -> AsyncIterator[tuple[Handlers, Gauges]]:
    pool = int(values["db_pool"])
    loop = asyncio.get_running_loop()
    async with platform_world(database_url=url, pool_size=pool, fork_workers=1) as world:
        with (
            PlatformThreadExecutor(pool, name="clerk") as clerks,
            PlatformThreadExecutor(int(values["workers"]), name="reader") as readers,
        ):
            handlers = BlockingHandlers(clerks, readers, world, partial(_blocked, loop))
            yield handlers, handlers.gauges


def _blocked(loop: asyncio.AbstractEventLoop, writing: Coroutine[Any, Any, None]) -> None:
    asyncio.run_coroutine_threadsafe(writing, loop).result()


@asynccontextmanager
async def _open_virtual(url: str, values: Values) -> AsyncIterator[tuple[Handlers, Gauges]]:
    async with virtual_world(database_url=url, pool_size=int(values["db_pool"])) as world:
        clerks = VirtualThreadExecutor(name="clerk")
        readers = VirtualThreadExecutor(name="reader")
        handlers = BlockingHandlers(clerks, readers, world, await_)
        yield handlers, handlers.gauges


OPENERS: Mapping[str, Opener] = {
    "reactive": _open_reactive,
    "threads": _open_threads,
    "virtual": _open_virtual,
    "structured": _open_structured,
}
