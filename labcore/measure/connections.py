"""Connections of the load driver: one request at a time on each, more of them when none is idle.

An open load never waits for an answer before it sends: while no connection is idle a request waits
in a queue and the pool grows, up to a cap. Idle connections take turns, the longest idle first, so
that none is left for the server to close; one idle longer than `keep_alive_s` is closed from here,
since a request sent into a connection that the server is closing would be lost to a race.

A response is parsed by httptools (llhttp), which on uvloop costs a tenth more CPU than wrk.
"""

import asyncio
import itertools
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, cast

from httptools import HttpParserError, HttpResponseParser

from labcore.kernel import UsageError
from labcore.measure.recorder import ANSWERED, MALFORMED, OVERLOAD, REFUSED, RESET, Recorder
from labcore.measure.target import Target

NS_PER_S: Final = 1_000_000_000
IDLE: Final = -1  # instead of a request's number
CLOSING: Final = -2
HEAD_BYTES: Final = 65_536  # more than servers allow for a response's header section
BODY_BYTES: Final = 65_536  # kept of a sampled body

monotonic_ns = time.monotonic_ns


@dataclass(frozen=True, slots=True)
class Limits:
    """The bounds of a load. Raises: UsageError for a bound that leaves no room to work."""

    max_connections: int = 1_024
    connections: int = 64  # opened and warmed by one request each before the clock starts
    timeout_s: float = 10.0  # from the intended start to the end of the answer
    max_waiting: int = 100_000  # requests without a connection; beyond it they end as `overload`
    keep_alive_s: float = (
        4.0  # below the 5 s after which uvicorn and others close an idle connection
    )

    def __post_init__(self) -> None:
        if not 1 <= self.connections <= self.max_connections:
            raise UsageError(
                f"connections={self.connections}; give a number from 1 to max_connections, "
                f"{self.max_connections}"
            )
        for name in ("timeout_s", "max_waiting", "keep_alive_s"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name}={getattr(self, name)}; give a number above 0")


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection; its parser's callbacks and its stamps."""

    __slots__ = (
        "_complete",
        "_head",
        "_keep",
        "_parser",
        "_pool",
        "_recorder",
        "_socket",
        "_transport",
        "idle_since_ns",
        "number",
        "request",
    )

    def __init__(self, pool: "Pool", number: int, sock: socket.socket) -> None:
        self.number = number
        self.request = IDLE
        self.idle_since_ns = 0
        self._pool = pool
        self._recorder = pool.recorder
        self._socket = sock
        self._parser = HttpResponseParser(self)
        self._complete = False
        self._keep = False
        self._head = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio hands the transport over."""
        # uvloop's transports have the methods of asyncio's and not its class.
        self._transport = cast("asyncio.Transport", transport)

    def send(self, request: int, now_ns: int) -> None:
        """Write one request now; the connection must be idle."""
        self.request = request
        recorder = self._recorder
        recorder.sent[request] = now_ns
        recorder.connection[request] = self.number
        payloads = self._pool.payloads
        payload = payloads[request % len(payloads)]
        # Past the transport, which would write at the end of the loop's turn: the stamp is then true
        # and a copy is saved. Nothing can be queued in the transport: the answer before is complete.
        try:
            written = self._socket.send(payload)
        except BlockingIOError:
            written = 0
        except OSError:  # the peer is gone; asyncio reports it once more as connection_lost
            self._transport.abort()
            return
        if written < len(payload):
            self._transport.write(payload[written:])

    def data_received(self, data: bytes) -> None:
        """Parse what came; a complete answer frees the connection."""
        now_ns = monotonic_ns()
        request = self.request
        if request < 0:  # nobody asked: the server and we no longer agree on this connection
            self.close()
            return
        if not self._recorder.first_byte[request]:
            self._recorder.first_byte[request] = now_ns
        try:
            self._parser.feed_data(data)
        except HttpParserError:
            self.close()
            self._pool.settle(request, now_ns, 0, MALFORMED)
            return
        if self._complete:
            self._complete = False
            self._head = b""
            self._pool.answered(self, now_ns, self._parser.get_status_code(), keep=self._keep)
        elif len(self._head) < HEAD_BYTES:
            self._head += data

    def on_message_complete(self) -> None:
        """httptools: one message has ended, possibly an interim one (1xx), which is no answer."""
        if self._parser.get_status_code() >= 200:
            self._complete = True
            self._keep = self._parser.should_keep_alive()  # true only until the callback returns

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone: the end of an answer that has no length, or a reset."""
        request = self.request
        if request == IDLE:
            self._pool.forget(self)
        self.request = CLOSING
        self._pool.lost(self)
        if request >= 0:
            status = status_ended_by_close(self._head) if exc is None else 0
            outcome = ANSWERED if status else RESET
            self._pool.settle(request, monotonic_ns(), status, outcome)

    def close(self) -> None:
        """End the connection from here; its request, if any, is the caller's to settle."""
        if self.request == IDLE:
            self._pool.forget(self)
        self.request = CLOSING
        self._transport.abort()


class SamplingConnection(Connection):
    """A connection that keeps the bodies of chosen requests; others pay nothing for the callback."""

    __slots__ = ()

    def on_body(self, data: bytes) -> None:
        """httptools: a piece of the body."""
        kept = self._pool.bodies.get(self.request)
        if kept is not None and len(kept) < BODY_BYTES:
            kept.extend(data[: BODY_BYTES - len(kept)])


class Pool:
    """The connections of a load: at most `limits.max_connections`, grown while requests wait.

    Lives on one running event loop. `on_settled` is called after the end of each request, when its
    connection is already free.
    """

    def __init__(
        self,
        target: Target,
        payloads: Sequence[bytes],
        recorder: Recorder,
        *,
        limits: Limits,
        on_settled: Callable[[], None],
    ) -> None:
        self.payloads = payloads
        self.recorder = recorder
        self.bodies: dict[int, bytearray] = {}  # to be kept: filled by whoever wants samples
        self.opened = 0
        self.failures = 0
        self._target = target
        self._limits = limits
        self.on_settled = on_settled
        self._loop = asyncio.get_running_loop()
        self._numbers = itertools.count()
        self._idle: deque[Connection] = deque()
        self._waiting: deque[int] = deque()
        self._connections: dict[int, Connection] = {}
        self._connecting: set[asyncio.Task[None]] = set()
        self._emptied = asyncio.Event()

    async def open(self, count: int) -> int:
        """Open `count` connections; returns how many could be opened."""
        await asyncio.wait([self._start_connecting() for _ in range(count)])
        return self.opened

    def dispatch(self, request: int, now_ns: int) -> None:
        """Send the request on the longest idle connection, or let it wait and grow."""
        if self._idle:
            self._idle.popleft().send(request, now_ns)
        elif len(self._waiting) >= self._limits.max_waiting:
            self.settle(request, now_ns, 0, OVERLOAD)
        else:
            self._waiting.append(request)
            self._grow()

    def settle(self, request: int, now_ns: int, status: int, outcome: str) -> None:
        """Record the end of a request."""
        self.recorder.settle(request, now_ns, status, outcome)
        self.on_settled()

    def answered(self, connection: Connection, now_ns: int, status: int, *, keep: bool) -> None:
        """A complete answer came: free its connection first, so the next request finds it idle."""
        request = connection.request
        if keep:
            self._release(connection, now_ns)
        else:
            connection.close()
        self.recorder.settle(request, now_ns, status, ANSWERED)
        self.on_settled()

    def give_up(self, request: int, now_ns: int, outcome: str) -> None:
        """End a request that is waiting or under way; its connection cannot be used again."""
        connection = self._connections.get(self.recorder.connection[request])
        if connection is not None and connection.request == request:
            connection.close()
        self.settle(request, now_ns, 0, outcome)
        self._drop_settled_from_queue()

    def close_idle(self, now_ns: int) -> None:
        """Close what has been idle so long that the server may be about to."""
        oldest_ns = now_ns - int(self._limits.keep_alive_s * NS_PER_S)
        while self._idle and self._idle[0].idle_since_ns < oldest_ns:
            self._idle[0].close()

    def forget(self, connection: Connection) -> None:
        """An idle connection is no longer to be used."""
        self._idle.remove(connection)

    def lost(self, connection: Connection) -> None:
        """A connection is gone; if requests wait, another is opened in its place."""
        self._connections.pop(connection.number, None)
        if not self._connections:
            self._emptied.set()
        self._grow()

    def abandon(self) -> None:
        """Open nothing more: attempts end, and nobody waits."""
        self._waiting.clear()
        for attempt in self._connecting:
            attempt.cancel()

    async def close(self) -> None:
        """Close every connection; returns when they are gone."""
        self.abandon()
        if self._connecting:
            await asyncio.wait(self._connecting)
        self._emptied.clear()
        for connection in list(self._connections.values()):
            connection.close()
        if self._connections:
            await self._emptied.wait()  # connection_lost is called in the loop's next turns

    def _release(self, connection: Connection, now_ns: int) -> None:
        self._drop_settled_from_queue()
        if self._waiting:
            connection.send(self._waiting.popleft(), monotonic_ns())
        else:
            connection.request = IDLE
            connection.idle_since_ns = now_ns
            self._idle.append(connection)

    def _drop_settled_from_queue(self) -> None:
        # Requests wait in the order of their intended starts, so those that timed out lie in front.
        waiting, done = self._waiting, self.recorder.done
        while waiting and done[waiting[0]]:
            waiting.popleft()

    def _grow(self) -> None:
        room = self._limits.max_connections - len(self._connections)
        while len(self._connecting) < min(len(self._waiting), room):
            self._start_connecting()

    def _start_connecting(self) -> asyncio.Task[None]:
        attempt = self._loop.create_task(self._connect(next(self._numbers)))
        self._connecting.add(attempt)
        attempt.add_done_callback(self._end_connecting)
        return attempt

    def _end_connecting(self, attempt: asyncio.Task[None]) -> None:
        self._connecting.discard(attempt)
        self._grow()  # a timed-out attempt leaves the request that asked for it waiting

    async def _connect(self, number: int) -> None:
        sock = socket.socket(self._target.family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.timeout(self._limits.timeout_s):
                await self._loop.sock_connect(sock, self._target.address)
            kind = SamplingConnection if self.bodies else Connection
            _, connection = await self._loop.create_connection(
                lambda: kind(self, number, sock), sock=sock
            )
        except OSError as exc:
            sock.close()
            self._failed(exc)
        except BaseException:
            sock.close()
            raise
        else:
            self.opened += 1
            self._connections[number] = connection
            self._release(connection, monotonic_ns())

    def _failed(self, exc: OSError) -> None:
        """A connection could not be made: the request that asked for it ends, unless time ends it."""
        self.failures += 1
        self._drop_settled_from_queue()
        if self._waiting and not isinstance(exc, TimeoutError):
            self.settle(self._waiting.popleft(), monotonic_ns(), 0, REFUSED)


class _HeaderProbe:
    """Sees whether a response announces where its body ends."""

    def __init__(self) -> None:
        self.framed = False
        self.complete = False

    def on_header(self, name: bytes, _value: bytes) -> None:
        self.framed |= name.lower() in {b"content-length", b"transfer-encoding"}

    def on_headers_complete(self) -> None:
        self.complete = True


def status_ended_by_close(head: bytes) -> int:
    """The status of a response that only the end of its connection ends; 0 for any other.

    Source: RFC 9112 section 6.3, rule 8. The parser does not say that it waits for the end, so the
    beginning is parsed again; only interrupted responses ever come here.
    """
    probe = _HeaderProbe()
    parser = HttpResponseParser(probe)
    try:
        parser.feed_data(head)
    except HttpParserError:
        return 0
    return parser.get_status_code() if probe.complete and not probe.framed else 0
