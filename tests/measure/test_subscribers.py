"""Subscribers of a real server that stamps what it publishes."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event

import anyio.to_thread
import pandas as pd
import pytest
import uvicorn
import websockets
import websockets.asyncio.server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from labcore.kernel import PeerError, UsageError
from labcore.lanes import StreamKind
from labcore.lanes.launch.http import HostedServer
from labcore.measure.stream_plan import StreamPlan
from labcore.measure.subscribers import listen
from labcore.protocols import Frame, Hub, sse

pytestmark = pytest.mark.timeout(60)
SUBSCRIBERS = 20
Publish = Callable[[int], object]


def document(number: int) -> str:
    return json.dumps({"id": number, "published_ns": time.monotonic_ns()})


@asynccontextmanager
async def events(hub: Hub) -> AsyncIterator[tuple[str, Publish]]:
    async def stream(_: Request) -> Response:
        return sse.EventStream(hub.subscribe())

    app = Starlette(routes=[Route("/", stream)])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = HostedServer(uvicorn.Config(app, log_level="critical", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.serving.wait()

        def publish(number: int) -> None:
            hub.publish(Frame(sse.encode(document(number), event_id=str(number))))

        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}", publish
        finally:
            hub.end()
            server.should_exit = True
            await running


@asynccontextmanager
async def messages(hub: Hub) -> AsyncIterator[tuple[str, Publish]]:
    clients: list[websockets.asyncio.server.ServerConnection] = []

    async def handler(client: websockets.asyncio.server.ServerConnection) -> None:
        subscription = hub.subscribe()  # so that both kinds are counted alike
        clients.append(client)
        await client.wait_closed()
        subscription.close()

    async with websockets.serve(handler, "127.0.0.1", 0, compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        yield (
            f"http://127.0.0.1:{port}",
            lambda number: websockets.broadcast(clients, document(number)),
        )


async def publish_until(
    done: asyncio.Event, hub: Hub, publish: Publish, numbers: list[int]
) -> None:
    """From the moment everybody is there, until the listening is over."""
    number = 0
    while not done.is_set():
        await pause(done)
        if len(hub) >= SUBSCRIBERS:
            number += 1
            publish(number)
            numbers.append(number)


async def pause(done: asyncio.Event) -> None:
    with anyio.move_on_after(0.02):
        await done.wait()


@pytest.mark.parametrize("kind", ["sse", "websocket"])
async def test_every_subscriber_gets_every_event(tmp_path: Path, kind: StreamKind):
    hub, done, numbers = Hub(), asyncio.Event(), list[int]()
    opened = events(hub) if kind == "sse" else messages(hub)
    async with opened as (url, publish):
        plan = StreamPlan(url, tmp_path / "e.parquet", SUBSCRIBERS, 1.0, kind=kind)
        publishing = asyncio.create_task(publish_until(done, hub, publish, numbers))
        result = await anyio.to_thread.run_sync(listen, plan)
        done.set()
        await publishing
    assert (result.connected, result.connect_failures, result.ended) == (SUBSCRIBERS, 0, 0)
    assert (result.missing, result.repeated) == (0, 0)
    table = pd.read_parquet(plan.requests_path)
    assert len(table) == result.events
    received = table.groupby("connection").size()
    assert len(received) == SUBSCRIBERS
    # The window opens and closes at a moment of its own: at its edges an event may be one side's.
    assert received.max() - received.min() <= 2
    assert received.min() > 5
    assert (table.done_ns > table.intended_ns).all()
    assert result.delay_p50_ms > 0


async def test_a_stream_that_repeats_and_skips_is_found_out(tmp_path: Path):
    hub, done = Hub(), asyncio.Event()
    order = iter([1, 2, 3, 3, 2, 6, *range(7, 10_000)])
    async with events(hub) as (url, publish):
        plan = StreamPlan(url, tmp_path / "e.parquet", 1, 1.0)

        async def misbehave() -> None:
            while not done.is_set():
                await pause(done)
                # Before the window begins ids are only remembered, so the first stays 1 for long.
                if len(hub):
                    publish(next(order) if result_is_near.is_set() else 1)

        result_is_near = asyncio.Event()
        asyncio.get_running_loop().call_later(1.2, result_is_near.set)
        publishing = asyncio.create_task(misbehave())
        result = await anyio.to_thread.run_sync(listen, replace(plan, duration_s=3.0))
        done.set()
        await publishing
    assert result.repeated >= 2
    assert result.missing >= 3


async def test_who_is_refused_is_counted_and_nobody_connected_is_an_error(tmp_path: Path):
    async def full(_: Request) -> Response:
        return Response(status_code=503)

    app = Starlette(routes=[Route("/", full)])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = HostedServer(uvicorn.Config(app, log_level="critical", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.serving.wait()
        plan = StreamPlan(
            f"http://127.0.0.1:{listener.getsockname()[1]}", tmp_path / "e.parquet", 3, 1.0
        )
        with pytest.raises(PeerError, match="status 503"):
            await anyio.to_thread.run_sync(listen, plan)
        server.should_exit = True
        await running


async def test_the_server_s_end_is_counted(tmp_path: Path):
    hub = Hub()
    async with events(hub) as (url, _):
        plan = StreamPlan(url, tmp_path / "e.parquet", SUBSCRIBERS, 2.0)
        listening = asyncio.create_task(anyio.to_thread.run_sync(listen, plan))
        while len(hub) < SUBSCRIBERS:
            await asyncio.wait([listening], timeout=0.02)
        asyncio.get_running_loop().call_later(1.0, hub.end)
        result = await listening
    assert result.ended == SUBSCRIBERS
    assert result.outcomes["ended by the server"] == SUBSCRIBERS


async def test_a_cancelled_listening_keeps_what_came(tmp_path: Path):
    hub, cancelled = Hub(), Event()
    async with events(hub) as (url, _):
        plan = StreamPlan(url, tmp_path / "e.parquet", 2, 600.0)
        listening = asyncio.create_task(
            anyio.to_thread.run_sync(lambda: listen(plan, cancelled=cancelled))
        )
        while len(hub) < 2:
            await asyncio.wait([listening], timeout=0.02)
        cancelled.set()
        result = await listening
    assert result.wall_s < 600
    assert plan.requests_path.is_file()


@pytest.mark.parametrize(
    "changes", [{"subscribers": 0}, {"duration_s": 0.0}, {"kind": "carrier pigeon"}]
)
def test_an_impossible_plan_is_refused(tmp_path: Path, changes: dict[str, object]):
    plan = StreamPlan("http://127.0.0.1:1", tmp_path / "e.parquet", 1, 1.0)
    with pytest.raises(UsageError):
        replace(plan, **changes)  # type: ignore[arg-type] # that is the point
