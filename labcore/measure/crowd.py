"""The subscribers themselves: raw protocols on one event loop, and when each event reached them.

As for the load driver, a library's client would cost more than the server that it listens to.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from typing import Final, cast

import pyarrow as pa
from httptools import HttpParserError, HttpResponseParser
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from labcore.kernel import PeerError
from labcore.lanes import Request
from labcore.measure.record import REQUEST_COLUMNS
from labcore.measure.stream_plan import StreamPlan
from labcore.measure.target import Target
from labcore.protocols import sse

OPEN_PATIENCE_S: Final = 60.0
OPENING_AT_ONCE: Final = 256  # below any listening queue
STAMP: Final = "published_ns"


class Crowd:
    """All subscribers of one plan, on one event loop."""

    def __init__(self, plan: StreamPlan) -> None:
        self.connected = 0
        self.failures = 0
        self.ended = 0
        self.repeated = 0
        self.missing = 0
        self.outcomes: Counter[str] = Counter()
        self._plan = plan
        self._target = Target.resolve(plan.url)
        self._subscribers: list[Subscriber] = []
        self._published_ns: list[int] = []
        self._received_ns: list[int] = []
        self._numbers: list[int] = []
        self._recording = False
        self._closing = False

    async def open(self) -> None:
        """Connect everybody. Raises: PeerError when nobody could be connected."""
        slots = asyncio.Semaphore(OPENING_AT_ONCE)
        await asyncio.gather(
            *(self._open(number, slots) for number in range(self._plan.subscribers))
        )
        if not self.connected:
            raise PeerError(
                f"no subscriber could connect to {self._plan.url}: {dict(self.outcomes)}"
            )

    def begin(self) -> None:
        """The window begins: what comes from here on is recorded, what came before is forgotten."""
        self._recording = True
        self.repeated = self.missing = 0
        for column in (self._published_ns, self._received_ns, self._numbers):
            column.clear()

    def received(self, subscriber: "Subscriber", data: str, event_id: int | None) -> None:
        """One event came."""
        if not self._recording:
            subscriber.last_id = event_id
            return
        now_ns = time.monotonic_ns()
        document = json.loads(data)
        if STAMP not in document:
            return  # a word about the stream, such as a greeting, and no event of it
        if event_id is None:
            event_id = document.get("id")
        if event_id is not None:
            self._follow(subscriber, event_id)
        self._published_ns.append(document[STAMP])
        self._received_ns.append(now_ns)
        self._numbers.append(subscriber.number)

    def opened(self) -> None:
        """One more is connected."""
        self.connected += 1
        self.outcomes["connected"] += 1

    def refused(self, why: str) -> None:
        """One could not connect."""
        self.failures += 1
        self.outcomes[why] += 1

    def lost(self) -> None:
        """A stream ended that we did not end."""
        if not self._closing:
            self.ended += 1
            self.outcomes["ended by the server"] += 1

    def table(self) -> pa.Table:
        """The record: the columns of `REQUEST_COLUMNS`, a row an event and subscriber."""
        count = len(self._received_ns)
        columns = {
            "intended_ns": self._published_ns,
            "woke_ns": self._published_ns,
            "sent_ns": self._published_ns,
            "first_byte_ns": self._received_ns,
            "done_ns": self._received_ns,
            "status": [200] * count,
            "outcome": ["ok"] * count,
            "connection": self._numbers,
        }
        schema = pa.schema(
            [(name, pa.type_for_alias(alias)) for name, alias in REQUEST_COLUMNS.items()]
        )
        return pa.table(columns, schema=schema)

    def close(self) -> None:
        """Leave, without a word: the measurement is over."""
        self._closing = True
        for subscriber in self._subscribers:
            subscriber.close()

    def _follow(self, subscriber: "Subscriber", event_id: int) -> None:
        last = subscriber.last_id
        subscriber.last_id = event_id
        if last is None or event_id == last + 1:
            return
        if event_id <= last:
            self.repeated += 1
        else:
            self.missing += event_id - last - 1

    async def _open(self, number: int, slots: asyncio.Semaphore) -> None:
        make: Callable[[Crowd, int], Subscriber] = (
            SseSubscriber if self._plan.kind == "sse" else WebSocketSubscriber
        )
        subscriber = make(self, number)
        loop = asyncio.get_running_loop()
        host, port = self._target.address[:2]
        async with slots:
            try:
                async with asyncio.timeout(OPEN_PATIENCE_S):
                    await loop.create_connection(lambda: subscriber, host, port)
                    subscriber.ask(self._plan, self._target)
                    await subscriber.answered
            except (OSError, PeerError) as exc:
                self.refused(type(exc).__name__ if isinstance(exc, OSError) else str(exc))
                subscriber.close()
                return
        self._subscribers.append(subscriber)
        self.opened()


class Subscriber(asyncio.Protocol):
    """One connection. `answered` is done when the server has agreed to the stream."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.number = number
        self.last_id: int | None = None
        self.answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crowd = crowd
        self._transport: asyncio.Transport | None = None

    def ask(self, plan: StreamPlan, target: Target) -> None:
        """Ask for the stream."""
        raise NotImplementedError

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio hands the transport over."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """The server, or we, ended it."""
        if self.answered.done():
            self._crowd.lost()
        else:
            self.answered.set_exception(PeerError("closed before the answer"))

    def agree(self, status: int, *, expected: int) -> None:
        """The server answered. The subscriber is connected if with the right status."""
        if self.answered.done():
            return
        if status == expected:
            self.answered.set_result(None)
        else:
            self.answered.set_exception(PeerError(f"status {status}"))

    def write(self, data: bytes) -> None:
        """Send."""
        if self._transport is not None:
            self._transport.write(data)

    def close(self) -> None:
        """Leave at once."""
        if self._transport is not None:
            self._transport.abort()


class SseSubscriber(Subscriber):
    """Server-sent events over HTTP/1.1."""

    def __init__(self, crowd: Crowd, number: int) -> None:
        super().__init__(crowd, number)
        self._parser = HttpResponseParser(self)
        self._decoder = sse.Decoder()

    def ask(self, plan: StreamPlan, target: Target) -> None:
        """A GET for an event stream. Raises: UsageError for headers that cannot be sent."""
        headers = (("Accept", "text/event-stream"), ("Cache-Control", "no-store"), *plan.headers)
        bare = Target(target.url, target.family, target.address, target.host, "")
        self.write(bare.encode(Request("GET", target.prefix or "/", headers)))

    def data_received(self, data: bytes) -> None:
        """Bytes of the answer."""
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.close()

    def on_headers_complete(self) -> None:
        """httptools: the status is known."""
        self.agree(self._parser.get_status_code(), expected=200)

    def on_body(self, piece: bytes) -> None:
        """httptools: a piece of the stream."""
        for event in self._decoder.feed(piece):
            text = event.last_event_id
            event_id = int(text) if text.isascii() and text.isdigit() else None
            self._crowd.received(self, event.data, event_id)

    def on_message_complete(self) -> None:
        """httptools: the server has ended the stream."""
        self.close()


class WebSocketSubscriber(Subscriber):
    """Text messages over a WebSocket, by the `websockets` library's protocol without I/O."""

    _opening = ""

    def ask(self, plan: StreamPlan, target: Target) -> None:
        """The opening handshake."""
        path = target.prefix or "/"
        self._opening = plan.opening
        uri = parse_uri(f"ws://{target.host}{path}")
        self._protocol = ClientProtocol(uri, max_size=None)
        request = self._protocol.connect()
        request.headers.update(plan.headers)
        self._protocol.send_request(request)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """Bytes of frames."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Response):
                self.agree(event.status_code, expected=101)
                if self._opening and event.status_code == 101:
                    self._protocol.send_text(self._opening.encode())
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._crowd.received(self, bytes(event.data).decode(), None)
        self._flush()

    def eof_received(self) -> None:
        """The server closes."""
        self._protocol.receive_eof()
        self._flush()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self.write(data)
