"""An append-only log of streams in PostgreSQL, with ids that have no gaps and never go back.

A sequence would not do: its numbers are drawn before the commit, so a reader can see 8 before 7 exists
and miss it for ever. Here the next id lies in the stream's own row; the row stays locked from the
append to the commit, so ids become visible in their order, and a rollback gives its ids back. Writers
of one stream therefore queue; writers of different streams do not.

`Tail` wakes readers by LISTEN/NOTIFY, in every process that shares the database; readers look again
after a while, so a lost notification delays and loses nothing.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final, LiteralString, Protocol

import anyio
import psycopg

from labcore.kernel import PeerError, UsageError
from labcore.stores.databases import place

CHANNEL: Final = "labcore_events"
MOST_READ: Final = 1_000
LOOK_AGAIN_S: Final = 5.0
RECONNECT_S: Final = 0.5

SCHEMA: Final[LiteralString] = """
CREATE TABLE event_streams (
    stream text PRIMARY KEY,
    first_id bigint NOT NULL DEFAULT 1,  -- the oldest that retention has left
    last_id bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);  -- room for the next value beside each row
CREATE TABLE events (
    stream text NOT NULL,
    id bigint NOT NULL,
    kind text NOT NULL,
    key text NOT NULL,
    scope text NOT NULL,
    body jsonb NOT NULL,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, id)
);
"""

# One statement, so it can stand alone or be a step of a caller's transaction.
APPEND: Final[LiteralString] = """
WITH next AS (
    INSERT INTO event_streams AS held (stream, last_id)
    VALUES (%(stream)s, jsonb_array_length(%(events)s::jsonb))
    ON CONFLICT (stream) DO UPDATE SET last_id = held.last_id + excluded.last_id
    RETURNING last_id
), written AS (
    INSERT INTO events (stream, id, kind, key, scope, body)
    SELECT %(stream)s, last_id - jsonb_array_length(%(events)s::jsonb) + place,
           event ->> 'kind', event ->> 'key', event ->> 'scope', event -> 'body'
    FROM next, jsonb_array_elements(%(events)s::jsonb) WITH ORDINALITY AS given (event, place)
)
SELECT last_id, pg_notify('labcore_events', %(stream)s) FROM next
"""

READ: Final[LiteralString] = """
SELECT id, kind, key, scope, body, extract(epoch FROM at)::float8
FROM events WHERE stream = %(stream)s AND id > %(after_id)s ORDER BY id LIMIT %(most)s
"""

SPAN: Final[LiteralString] = """
SELECT first_id, last_id FROM event_streams WHERE stream = %(stream)s
"""

# The row is locked first: a reader that asks for the span afterwards knows what is gone.
RETAIN: Final[LiteralString] = """
WITH cut AS (
    UPDATE event_streams SET first_id = greatest(first_id, last_id - %(keep)s + 1)
    WHERE stream = %(stream)s RETURNING first_id
)
DELETE FROM events USING cut WHERE stream = %(stream)s AND id < cut.first_id
"""


class HistoryLostError(PeerError):
    """The events after the reader's last are gone: it must fetch the state anew.

    `span` says what is there.
    """

    def __init__(self, stream: str, after_id: int, found: "Span") -> None:
        super().__init__(
            f"stream {stream!r} holds {found.first_id} to {found.last_id}; what follows {after_id} is gone"
        )
        self.span = found


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event to be appended.

    `key` says what it is about (a conflating subscriber keeps the latest of each key), `scope` who may
    see it.
    """

    kind: str
    body: Mapping[str, Any]
    key: str = ""
    scope: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the log. `at_s` is Unix time, seconds."""

    id: int
    kind: str
    key: str
    scope: str
    body: Mapping[str, Any]
    at_s: float


@dataclass(frozen=True, slots=True)
class Span:
    """What of a stream is there: ids `first_id` to `last_id`; nothing when the first lies beyond the last."""

    first_id: int
    last_id: int

    def lost_after(self, after_id: int) -> bool:
        """Whether a reader that has seen `after_id` would miss events, or asks for an id never given."""
        return after_id < self.first_id - 1 or after_id > self.last_id


class Asking(Protocol):
    """A database or a transaction of it, awaited."""

    async def fetch_all(self, sql: LiteralString, parameters: Any = None) -> list[Any]:
        """All rows."""
        ...

    async def fetch_one(self, sql: LiteralString, parameters: Any = None) -> Any:
        """The first row, or None."""
        ...

    async def execute(self, sql: LiteralString, parameters: Any = None) -> int:
        """How many rows were affected."""
        ...


def appending(stream: str, events: Sequence[NewEvent]) -> dict[str, Any]:
    """The parameters of `APPEND`, for callers of any colour. Raises: UsageError for no events."""
    if not events:
        raise UsageError(
            f"there is nothing to append to stream {stream!r}; give at least one event"
        )
    wire = [
        {"kind": event.kind, "key": event.key, "scope": event.scope, "body": event.body}
        for event in events
    ]
    return {"stream": stream, "events": json.dumps(wire)}


def event_of(row: Sequence[Any]) -> Event:
    """A row of `READ`."""
    return Event(*row)


async def append(database: Asking, stream: str, events: Sequence[NewEvent]) -> int:
    """Append in one statement; returns the id of the last.

    Within a transaction the stream stays locked until its end: append last, and commit.

    Raises: UsageError for no events; PeerError when the database is lost.
    """
    row = await database.fetch_one(APPEND, appending(stream, events))
    return int(row[0])


async def read(
    database: Asking, stream: str, *, after_id: int, most: int = MOST_READ
) -> list[Event]:
    """The next events in order, at most `most`; none when the reader has seen all."""
    rows = await database.fetch_all(READ, {"stream": stream, "after_id": after_id, "most": most})
    return [event_of(row) for row in rows]


async def span(database: Asking, stream: str) -> Span:
    """What of the stream is there; an unknown stream is an empty one."""
    row = await database.fetch_one(SPAN, {"stream": stream})
    return Span(1, 0) if row is None else Span(*row)


async def retain(database: Asking, stream: str, *, keep: int) -> int:
    """Delete all but the last `keep` events; returns how many went. Raises: UsageError below 0."""
    if keep < 0:
        raise UsageError(f"keep={keep} must be 0 or more events")
    return await database.execute(RETAIN, {"stream": stream, "keep": keep})


@dataclass(slots=True)
class Tail:
    """Wakes whoever waits for more of a stream. Open it with `tail(url)`."""

    wakes: int = 0
    reconnects: int = 0
    _waiting: dict[str, set[asyncio.Event]] = field(default_factory=dict)

    @asynccontextmanager
    async def watching(self, stream: str) -> AsyncIterator["Grown"]:
        """Notes every append from here on: read, `await grown(patience_s)`, read again."""
        flag = asyncio.Event()
        self._waiting.setdefault(stream, set()).add(flag)

        async def grown(patience_s: float = LOOK_AGAIN_S) -> bool:
            with anyio.move_on_after(patience_s):
                await flag.wait()
            told = flag.is_set()
            flag.clear()
            return told

        try:
            yield grown
        finally:
            watchers = self._waiting[stream]
            watchers.discard(flag)
            if not watchers:
                del self._waiting[stream]

    def wake(self, stream: str | None = None) -> None:
        """Wake the readers of a stream, or of all."""
        self.wakes += 1
        names = list(self._waiting) if stream is None else [stream]
        for name in names:
            for flag in self._waiting.get(name, ()):
                flag.set()


class Grown(Protocol):
    """Waits until a stream may have grown."""

    async def __call__(self, patience_s: float = LOOK_AGAIN_S) -> bool:
        """True when told so, False when patience ended."""
        ...


@asynccontextmanager
async def tail(url: str) -> AsyncIterator[Tail]:
    """A listener on a connection of its own, which is made anew when it is lost.

    Raises: PeerError when the first connection cannot be made.
    """
    found = Tail()
    try:
        connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
    except psycopg.OperationalError as exc:
        raise PeerError(f"nobody listens for events at {place(url)}") from exc
    async with anyio.create_task_group() as group:
        group.start_soon(_listen, url, connection, found)
        try:
            yield found
        finally:
            group.cancel_scope.cancel()


async def _listen(url: str, first: psycopg.AsyncConnection[Any], found: Tail) -> None:
    connection: psycopg.AsyncConnection[Any] | None = first
    while True:
        with suppress(psycopg.OperationalError):  # lost: everybody looks, and it is made anew
            if connection is None:
                connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
                found.reconnects += 1
            try:
                await connection.execute("LISTEN labcore_events")
                found.wake()  # what came before the LISTEN was told to nobody
                async for notice in connection.notifies():
                    found.wake(notice.payload)
            finally:
                await connection.close()
        connection = None
        found.wake()
        await anyio.sleep(RECONNECT_S)


async def follow(
    database: Asking, listener: Tail, stream: str, *, after_id: int
) -> AsyncGenerator[list[Event], None]:
    """Batches of events in order and without a gap, for ever; waits where there is nothing new.

    Close it with `aclosing` when you leave it early.

    Raises: HistoryLostError when retention was quicker, or the id was never given.
    """
    found = await span(database, stream)
    if found.lost_after(after_id):
        raise HistoryLostError(stream, after_id, found)
    async with listener.watching(stream) as grown:
        while True:
            events = await read(database, stream, after_id=after_id)
            if events and events[0].id != after_id + 1:
                raise HistoryLostError(stream, after_id, await span(database, stream))
            if events:
                after_id = events[-1].id
                yield events
            if len(events) < MOST_READ:
                await grown()
