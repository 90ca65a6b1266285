"""The departures board's server: one stream of events out of the log, and three rules for who comes back.

The log is `labcore.stores.event_log`, in PostgreSQL; the server holds nothing that matters, so it may
be killed at any moment.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from labcore.lanes import Service, ServiceSetting
from labcore.protocols import sse
from labcore.stores import AsyncDatabase, event_log

STREAM: Final = "departures"
TARGET: Final = f"{__name__}:build"
RETRY_MS: Final = 100
MOST_QUEUED: Final = 1_000  # batches of one subscriber; a writer that is ahead by more waits

Rule = Callable[[int | None, event_log.Span], int]
RULES: Final[dict[str, Rule]] = {
    "now": lambda _, span: span.last_id,
    "start": lambda _, span: span.first_id - 1,
    "last": lambda last_id, span: span.last_id if last_id is None else last_id,
}


class Following:
    """One subscriber's frames: keeps the contract of `sse.EventStream`."""

    def __init__(self, frames: AsyncGenerator[bytes, None]) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(MOST_QUEUED)
        self._task = asyncio.create_task(self._fill(frames))

    async def _fill(self, frames: AsyncGenerator[bytes, None]) -> None:
        # Retention was quicker than this subscriber: it ends, comes back, and is told of its gap.
        with suppress(event_log.HistoryLostError):
            async with aclosing(frames):
                async for frame in frames:
                    await self._queue.put(frame)
        await self._queue.put(b"")

    async def take(self) -> bytes:
        """The next frames; waits while there are none."""
        return await self._queue.get()

    def attach(self, outlet: Callable[[bytes], bool]) -> None:
        """Everything goes through the queue."""

    def close(self) -> None:
        """The subscriber is gone."""
        self._task.cancel()


class Board:
    """The handlers, around one database."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url

    @asynccontextmanager
    async def lifespan(self, _: Starlette) -> AsyncIterator[None]:
        """The connections, as long as the server lives."""
        async with (
            AsyncDatabase(self._url, size=4) as self.database,
            event_log.tail(self._url) as self.tail,
        ):
            yield

    async def events(self, request: Request) -> sse.EventStream:
        """`GET /events?rule=now|start|last`, with `Last-Event-ID` where there is one."""
        asked = request.headers.get("last-event-id", "")
        span = await event_log.span(self.database, STREAM)
        after_id = RULES[request.query_params["rule"]](int(asked) if asked else None, span)
        return sse.EventStream(Following(self._frames(after_id, span)), heartbeat_s=1.0)

    async def _frames(self, after_id: int, span: event_log.Span) -> AsyncGenerator[bytes, None]:
        yield f"retry: {RETRY_MS}\n\n".encode()
        if span.lost_after(after_id):
            # Whoever is owed more than there is must be told: only it can fetch the state anew.
            lost = json.dumps({"type": "gap", "from": after_id + 1, "to": span.first_id - 1})
            after_id = span.first_id - 1
            yield sse.encode(lost, event="gap", event_id=str(after_id))
        batches = event_log.follow(self.database, self.tail, STREAM, after_id=after_id)
        async with aclosing(batches):
            async for batch in batches:
                for event in batch:
                    yield sse.encode(
                        json.dumps(event.body), event="departure", event_id=str(event.id)
                    )


def build(setting: ServiceSetting) -> Service:
    """The service. Its one setting is the database."""
    assert setting.database_url is not None
    board = Board(setting.database_url)
    return Service(Starlette(routes=[Route("/events", board.events)], lifespan=board.lifespan))
