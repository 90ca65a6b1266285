"""Many clients that listen: what each event's way took, from its own stamp to each subscriber.

The counterpart of the open load for streams. Who publishes sets the pace; subscribers only listen, in a
process and on a core of their own. Each event received is a row of the same record that requests have:
*intended* is the moment the publisher stamped into it, *done* the moment its last byte was read.
Publisher and driver must share a clock, so this measures on one machine.
"""

import asyncio
import gc
import json
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, cast

import numpy as np
import pyarrow as pa
from httptools import HttpParserError, HttpResponseParser
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Child, ChildContext, Request
from labcore.measure.driver import POLL_S, raise_file_limit
from labcore.measure.pacing import new_event_loop
from labcore.measure.record import REQUEST_COLUMNS
from labcore.measure.recorder import write_requests
from labcore.measure.target import Target
from labcore.measure.witness import Witness
from labcore.protocols import sse

TARGET: Final = "labcore.measure.subscribers:run"
OPEN_PATIENCE_S: Final = 60.0
OPENING_AT_ONCE: Final = 256  # below any listening queue
STAMP: Final = "published_ns"

Kind = Literal["sse", "websocket"]


@dataclass(frozen=True, slots=True)
class StreamPlan:
    """So many subscribers to one stream, for so long.

    Events are JSON objects; the member `published_ns` is the publisher's monotonic time in nanoseconds,
    `id` (for SSE the event's own id) its place in the stream. Raises: UsageError for impossible numbers.
    """

    url: str
    requests_path: Path  # where the record goes, one row an event and subscriber
    subscribers: int
    duration_s: float
    kind: Kind = "sse"
    headers: tuple[tuple[str, str], ...] = ()
    cpus: frozenset[int] | None = None  # the cores of the driver process

    def __post_init__(self) -> None:
        if self.subscribers < 1 or not self.duration_s > 0:
            raise UsageError(
                f"subscribers={self.subscribers}, duration_s={self.duration_s}; give more than 0"
            )
        if self.kind not in {"sse", "websocket"}:
            raise UsageError(f"kind={self.kind!r}; give sse or websocket")

    def setting(self) -> dict[str, Any]:
        """The plan as JSON values."""
        return {**asdict(self), "requests_path": str(self.requests_path.absolute()), "cpus": None}

    @classmethod
    def from_setting(cls, setting: Mapping[str, Any]) -> "StreamPlan":
        """The plan a parent sent."""
        headers = tuple((name, value) for name, value in setting["headers"])
        path = Path(setting["requests_path"])
        return cls(**{**setting, "requests_path": path, "headers": headers})


@dataclass(frozen=True, slots=True)
class StreamResult:
    """What the subscribers saw. Shares are 0..1; NaN where there is nothing to tell."""

    requests_path: Path
    connected: int
    connect_failures: int
    ended: int  # streams that the server ended before the time was over
    events: int  # received, by all together
    repeated: int  # ids that a subscriber had seen before
    missing: int  # gaps in the ids that a subscriber saw; conflation makes them on purpose
    delay_p50_ms: float
    delay_p99_ms: float
    delay_max_ms: float
    cpu_share: float  # of one core, this driver's
    run_delay_share: float
    gc_pause_ms: float
    wall_s: float
    outcomes: Mapping[str, int] = field(default_factory=dict)  # of the connections


def listen(plan: StreamPlan, *, cancelled: threading.Event | None = None) -> StreamResult:
    """Subscribe in a process of its own and wait for the end. Blocks; may be called from any thread.

    The window begins when every subscriber is connected.

    Raises: UsageError for a plan that cannot be run; PeerError when nobody could connect, or the driver
        died.
    """
    results: list[dict[str, Any]] = []
    finished = threading.Event()

    def on_event(kind: str, payload: dict[str, Any]) -> None:
        if kind == "result":
            results.append(payload)
            finished.set()

    with Child(
        TARGET, plan.setting(), name="subscribers", on_event=on_event, cpus=plan.cpus
    ) as child:
        while not finished.wait(POLL_S) and child.alive:
            if cancelled is not None and cancelled.is_set():
                child.send("stop", {})
                cancelled = None
        if not finished.wait(POLL_S):
            child.wait_ready(POLL_S)  # raises what the driver raised
            raise PeerError(f"the subscribers died; their log ends:\n{child.log_tail()}")
    return StreamResult(**{**results[0], "requests_path": Path(results[0]["requests_path"])})


def run(context: ChildContext) -> None:
    """Inside the driver process: connect, listen, write the record, emit `result`."""
    plan = StreamPlan.from_setting(context.setting)
    raise_file_limit()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        context.emit("result", runner.run(_listen(context, plan)))


async def _listen(context: ChildContext, plan: StreamPlan) -> dict[str, Any]:
    crowd = Crowd(plan)
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stopped.set)

    context.on_stop(stop)
    context.on_command(lambda kind, _: stop() if kind == "stop" else None)
    witness = Witness()
    await crowd.open()
    gc.collect()
    gc.freeze()  # collections during the window stay short
    context.ready(connected=crowd.connected)
    crowd.begin()
    witness.begin()
    waiting = asyncio.create_task(stopped.wait())
    await asyncio.wait([waiting], timeout=plan.duration_s)
    waiting.cancel()
    testimony = witness.end()
    table = crowd.table()
    ended = crowd.ended
    crowd.close()
    write_requests(table, plan.requests_path)
    return {
        "requests_path": str(plan.requests_path),
        "connected": crowd.connected,
        "connect_failures": crowd.failures,
        "ended": ended,
        "repeated": crowd.repeated,
        "missing": crowd.missing,
        "cpu_share": testimony.cpu_share,
        "run_delay_share": testimony.run_delay_share,
        "gc_pause_ms": testimony.gc_pause_ms,
        "wall_s": testimony.wall_s,
        "outcomes": dict(crowd.outcomes),
        **_delays(table),
    }


def _delays(table: pa.Table) -> dict[str, Any]:
    delay_ms = (table["done_ns"].to_numpy() - table["intended_ns"].to_numpy()) / 1e6
    p50, p99, most = (
        [float(value) for value in np.percentile(delay_ms, (50, 99, 100))]
        if len(delay_ms)
        else [math.nan] * 3
    )
    return {
        "events": len(delay_ms),
        "delay_p50_ms": p50,
        "delay_p99_ms": p99,
        "delay_max_ms": most,
    }


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
        """The window begins: what comes from here on is recorded."""
        self._recording = True

    def received(self, subscriber: "Subscriber", data: str, event_id: int | None) -> None:
        """One event came."""
        if not self._recording:
            subscriber.last_id = event_id
            return
        now_ns = time.monotonic_ns()
        document = json.loads(data)
        if event_id is None:
            event_id = document.get("id")
        if event_id is not None:
            self._follow(subscriber, event_id)
        self._published_ns.append(document.get(STAMP, now_ns))
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

    def ask(self, plan: StreamPlan, target: Target) -> None:
        """The opening handshake."""
        path = target.prefix or "/"
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
