"""A client that takes nothing is cut, whoever ends the conversation; one that reads is closed in order."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from websockets.asyncio.client import connect

from labcore.cli.bench.websocket import PASSED, echo, judged
from labcore.lanes.launch.http import HostedServer
from labcore.lanes.launch.sockets import WEBSOCKETS, BoundedProtocol

App = Callable[[Scope, Receive, Send], Awaitable[None]]


@asynccontextmanager
async def serving(app: App, **settings: Any) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """The app on our engine with short patience: its port, and whether a connection was lost."""
    lost = asyncio.Event()

    class Watched(BoundedProtocol):
        linger_s = 0.1

        def connection_lost(self, exc: Exception | None) -> None:
            """Tell."""
            super().connection_lost(exc)
            lost.set()

    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, lifespan="off", log_level="critical", **{**WEBSOCKETS, "ws": Watched, **settings}
        )
        server = HostedServer(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.serving.wait()
        try:
            yield listener.getsockname()[1], lost
        finally:
            server.should_exit = True
            await running


async def flood(send: Send) -> None:
    with anyio.move_on_after(0.3):
        while True:
            await send({"type": "websocket.send", "text": "x" * 65_536})


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


@pytest.mark.parametrize("waits", [False, True])
async def test_a_client_that_reads_nothing_is_cut(waits: bool):
    """Both where the service ends, and where it waits and only the unanswered ping tells."""

    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await flood(send)
        if waits:
            assert (await receive())["type"] == "websocket.disconnect"

    pings = {"ws_ping_interval": 0.1, "ws_ping_timeout": 0.1} if waits else {}
    async with serving(app, **pings) as (port, lost):
        with socket.create_connection(("127.0.0.1", port)) as stuck:
            stuck.sendall(HANDSHAKE)
            await lost.wait()


@pytest.mark.slow
@pytest.mark.timeout(60)
async def test_the_cut_breaks_no_case_of_autobahn():
    """Nothing fails but 7.1.5, by the choice of the library's authors."""
    async with serving(echo) as (port, _):
        url, cases = f"ws://127.0.0.1:{port}/", ["1.*", "2.*", "5.*", "7.*"]
        words = await anyio.to_thread.run_sync(judged, url, cases)
    assert len(words) > 80
    assert {case for case, word in words.items() if word not in PASSED} <= {"7.1.5"}


async def test_a_client_that_reads_is_closed_in_order():
    async def app(_: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 1001, "reason": "bye"})

    async with serving(app) as (port, lost):
        async with connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
            await client.wait_closed()
        await lost.wait()
    assert (client.close_code, client.close_reason) == (1001, "bye")
    assert client.response is not None
    assert "Sec-WebSocket-Extensions" not in client.response.headers
