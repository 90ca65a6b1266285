"""One event to many subscribers: our hub beside what others would use, on the same HTTP server."""

import asyncio
import os
import selectors
import socket
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, Final

import numpy as np
import pandas as pd
import psutil
import sse_starlette
import uvicorn
import websockets
import websockets.asyncio.server
from starlette.types import ASGIApp, Receive, Scope, Send

from labcore.lanes import Child, ChildContext
from labcore.protocols import Frame, Hub, Slow, sse

SUMMARY = "fan-out: events to 100, 1,000 and 5,000 subscribers, beside sse-starlette and websockets"

TARGET: Final = "labcore.cli.bench.fanout:serve"
DELIVERIES_PER_S: Final = 5_000  # offered, so that every kind can keep up and CPU is what differs
BURSTS: Final = (1, 10)  # events published together: a log is read in batches
PAYLOAD: Final = "x" * 170  # with id and field names an event of some 200 bytes
PATIENCE_S: Final = 30.0
HANDSHAKE: Final = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
ASKING: Final = b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n"


def run(*, quick: bool) -> pd.DataFrame:
    """Medians over interleaved rounds; one row a kind and number of subscribers.

    `deliveries_per_cpu_s` is what a whole core of the server would deliver. Delay runs from just before
    an event is published to its last byte read by the client, which reads with one thread on the other core.
    """
    seconds, rounds = (2.0, 1) if quick else (5.0, 3)
    rows = [
        _measure(kind, subscribers, burst, seconds)
        for _ in range(rounds)
        for subscribers in ((100, 1_000) if quick else (100, 1_000, 5_000))
        for burst in BURSTS
        for kind in KINDS
    ]
    cell = ["subscribers", "burst"]
    table = pd.DataFrame(rows).groupby([*cell, "kind"], sort=False).median().reset_index()
    for peer in ("sse-starlette", "bare send", "websockets"):
        base = table[table.kind == peer].set_index(cell).deliveries_per_cpu_s
        own = pd.MultiIndex.from_frame(table[cell])
        table[f"over {peer}"] = table.deliveries_per_cpu_s / base.reindex(own).to_numpy()
    return table.round(2)


def _measure(kind: str, subscribers: int, burst: int, seconds: float) -> dict[str, Any]:
    cores = sorted(os.sched_getaffinity(0))
    setting = {
        "kind": kind, "burst": burst, "rate_per_s": DELIVERIES_PER_S / subscribers / burst,
    }  # fmt: skip
    with Child(TARGET, setting, name=f"fanout {kind}", cpus=frozenset({cores[0]})) as server:
        port = server.wait_ready(PATIENCE_S)["port"]
        process = psutil.Process(server.pid)
        idle_mb = process.memory_info().rss / 1e6
        os.sched_setaffinity(0, {cores[-1]})
        try:
            readers = _connect(port, subscribers, websocket=kind == "websockets")
            server.send("publish", {})
            began_s = process.cpu_times()
            delays_ms, events = _read(readers, seconds)
            ended_s = process.cpu_times()
        finally:
            os.sched_setaffinity(0, cores)
        held_mb = process.memory_info().rss / 1e6 - idle_mb
        for reader in readers:
            reader.close()
    cpu_s = (ended_s.user + ended_s.system) - (began_s.user + began_s.system)
    return {
        "kind": kind,
        "subscribers": subscribers,
        "burst": burst,
        "deliveries_per_s": events / seconds,
        "deliveries_per_cpu_s": events / cpu_s,
        "delay_p50_ms": np.quantile(delays_ms, 0.5),
        "delay_p99_ms": np.quantile(delays_ms, 0.99),
        "kb_per_subscriber": held_mb * 1e3 / subscribers,
    }


def _connect(port: int, count: int, *, websocket: bool) -> list[socket.socket]:
    found = []
    for _ in range(count):
        reader = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        reader.sendall(HANDSHAKE if websocket else ASKING)
        head = b""
        while b"\r\n\r\n" not in head:
            head += reader.recv(4_096)
        reader.setblocking(False)
        found.append(reader)
    return found


def _read(readers: list[socket.socket], seconds: float) -> tuple[list[float], int]:
    """Delays of the events of each hundredth reader, and how many events came in all."""
    delays_ms: list[float] = []
    events = 0
    with selectors.DefaultSelector() as selector:
        for number, reader in enumerate(readers):
            selector.register(reader, selectors.EVENT_READ, (reader, number % 100 == 0))
        until_s = time.monotonic() + seconds
        while time.monotonic() < until_s:
            for key, _ in selector.select(0.1):
                reader, is_sampled = key.data
                piece = reader.recv(65_536)
                events += piece.count(MARK)
                if is_sampled:
                    now_ns = time.monotonic_ns()
                    delays_ms += [(now_ns - stamp) / 1e6 for stamp in _stamps(piece)]
    return delays_ms, events


MARK: Final = b"at="


def _stamps(piece: bytes) -> list[int]:
    return [int(part.split(b";", 1)[0]) for part in piece.split(MARK)[1:] if b";" in part]


def _text() -> str:
    return f"at={time.monotonic_ns()};{PAYLOAD}"


def serve(context: ChildContext) -> None:
    """A server of the kind in the setting that publishes from the command `publish` on."""
    uvicorn_loop = uvicorn.Config(lambda: None).get_loop_factory()
    with asyncio.Runner(loop_factory=uvicorn_loop) as runner:
        runner.run(_serve(context))


async def _serve(context: ChildContext) -> None:
    loop = asyncio.get_running_loop()
    stop, start = asyncio.Event(), asyncio.Event()
    context.on_stop(lambda: loop.call_soon_threadsafe(stop.set))

    def begin(kind: str, payload: dict[str, Any]) -> None:  # noqa: ARG001 - there is one command
        loop.call_soon_threadsafe(start.set)

    context.on_command(begin)
    kind = context.setting["kind"]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(8_192)
        async with asyncio.TaskGroup() as group:
            publish = await KINDS[kind](listener, group)
            group.create_task(_publish(publish, context.setting, start))
            context.ready(port=listener.getsockname()[1])
            await stop.wait()
            os._exit(0)  # thousands of streams are open, and nothing here is worth their farewell


async def _publish(publish: "Publish", setting: Mapping[str, Any], start: asyncio.Event) -> None:
    await start.wait()
    loop = asyncio.get_running_loop()
    due_s = loop.time()
    while True:
        publish([_text() for _ in range(setting["burst"])])
        due_s += 1 / setting["rate_per_s"]
        await asyncio.sleep(max(0.0, due_s - loop.time()))


def _uvicorn(app: ASGIApp, listener: socket.socket, group: asyncio.TaskGroup) -> None:
    config = uvicorn.Config(
        app, http="httptools", lifespan="off", log_level="error", access_log=False, backlog=8_192
    )
    group.create_task(uvicorn.Server(config).serve(sockets=[listener]))


Publish = Callable[[list[str]], object]


async def _hub(listener: socket.socket, group: asyncio.TaskGroup) -> Publish:
    hub = Hub()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        stream = sse.EventStream(hub.subscribe(Slow.DISCONNECT, most=100))
        await stream(scope, receive, send)

    _uvicorn(app, listener, group)
    return lambda texts: hub.publish(*(Frame(sse.encode(text)) for text in texts))


async def _bare(listener: socket.socket, group: asyncio.TaskGroup) -> Publish:
    """A queue and a task a subscriber, one ASGI send an event."""
    queues: list[asyncio.Queue[bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        queues.append(queue)
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": True})
        while True:
            body = await queue.get()
            await send({"type": "http.response.body", "body": body, "more_body": True})

    def publish(texts: list[str]) -> None:
        for data in [sse.encode(text) for text in texts]:
            for queue in queues:
                queue.put_nowait(data)

    _uvicorn(app, listener, group)
    return publish


async def _sse_starlette(listener: socket.socket, group: asyncio.TaskGroup) -> Publish:
    queues: list[asyncio.Queue[str]] = []

    async def events(queue: asyncio.Queue[str]) -> AsyncIterator[dict[str, str]]:
        while True:
            yield {"data": await queue.get()}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        queue: asyncio.Queue[str] = asyncio.Queue()
        queues.append(queue)
        await sse_starlette.EventSourceResponse(events(queue))(scope, receive, send)

    def publish(texts: list[str]) -> None:
        for text in texts:
            for queue in queues:
                queue.put_nowait(text)

    _uvicorn(app, listener, group)
    return publish


async def _websockets(listener: socket.socket, group: asyncio.TaskGroup) -> Publish:  # noqa: ARG001 - as the others
    """The library's own server and broadcast, without compression, which small events do not repay."""
    clients: deque[websockets.asyncio.server.ServerConnection] = deque()

    async def handler(client: websockets.asyncio.server.ServerConnection) -> None:
        clients.append(client)
        await client.wait_closed()

    await websockets.serve(handler, sock=listener, compression=None, backlog=8_192)

    def publish(texts: list[str]) -> None:
        for text in texts:
            websockets.broadcast(clients, text)

    return publish


Opener = Callable[[socket.socket, asyncio.TaskGroup], Awaitable[Publish]]
KINDS: Final[dict[str, Opener]] = {
    "hub": _hub,
    "bare send": _bare,
    "sse-starlette": _sse_starlette,
    "websockets": _websockets,
}
