"""A real server whose one endpoint a test writes."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from labcore.lanes.launch.http import HostedServer

Endpoint = Callable[[WebSocket], Awaitable[None]]
Opener = Callable[[Endpoint], AbstractAsyncContextManager[str]]


@asynccontextmanager
async def serving(endpoint: Endpoint) -> AsyncIterator[str]:
    """Serve it at the URL given, until left."""
    app = Starlette(routes=[WebSocketRoute("/", endpoint)])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        config = uvicorn.Config(
            app, log_level="critical", lifespan="off", ws="websockets-sansio",
            ws_per_message_deflate=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        server = HostedServer(config)
        running = asyncio.create_task(server.serve(sockets=[listener]))
        await server.serving.wait()
        try:
            yield f"ws://127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            server.should_exit = True
            await running


@pytest.fixture
def endpoint_server() -> Opener:
    """Opens a server with that endpoint."""
    return serving
