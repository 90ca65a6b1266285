"""Streams of a real uvicorn to real clients."""

import asyncio
import socket
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from labcore.kernel import UsageError
from labcore.lanes.launch.http import HostedServer
from labcore.protocols.sse import EventSource, EventStream, Reconnection, encode, encode_comment


class Queue:
    """The smallest queue that keeps the contract of `Frames`."""

    def __init__(self) -> None:
        self.frames: deque[bytes] = deque()
        self.closed = asyncio.Event()
        self.taken = asyncio.Event()
        self._changed = asyncio.Event()
        self._ended = False

    def put(self, frame: bytes) -> None:
        """One more frame."""
        self.frames.append(frame)
        self._changed.set()

    def end(self) -> None:
        """No more frames."""
        self._ended = True
        self._changed.set()

    async def take(self) -> bytes:
        """All there is."""
        while not self.frames and not self._ended:
            self._changed.clear()
            self.taken.set()
            await self._changed.wait()
        joined = b"".join(self.frames)
        self.frames.clear()
        return joined

    def attach(self, outlet: Callable[[bytes], bool]) -> None:
        """Everything goes through `take` here."""

    def close(self) -> None:
        """Noted."""
        self.closed.set()


@asynccontextmanager
async def serving(queue: Queue, *, heartbeat_s: float = 15.0) -> AsyncIterator[str]:
    async def stream(_: Request) -> EventStream:
        return EventStream(queue, heartbeat_s=heartbeat_s, headers={"X-Extra": "1"})

    app = Starlette(routes=[Route("/", stream)])
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.bind(("127.0.0.1", 0))
        server = HostedServer(uvicorn.Config(app, log_level="critical", lifespan="off"))
        running = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            queue.end()
            server.should_exit = True
            await running


async def test_queued_events_arrive_in_order_and_the_end_ends():
    queue = Queue()
    for number in range(3):
        queue.put(encode(f"e{number}", event_id=str(number)))
    queue.end()
    async with serving(queue) as url, httpx.AsyncClient() as client:
        reply = await client.get(url)
    assert reply.content == b"".join(encode(f"e{n}", event_id=str(n)) for n in range(3))
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert reply.headers["cache-control"] == "no-store"
    assert reply.headers["x-extra"] == "1"
    assert queue.closed.is_set()


async def test_our_own_client_reads_it():
    queue = Queue()
    async with serving(queue) as url, httpx.AsyncClient() as client:
        source = aiter(EventSource(client, url, reconnection=Reconnection(base_s=0)))
        queue.put(encode("a", event="tick", event_id="5"))
        event = await anext(source)
        await source.aclose()
        assert (event.data, event.event, event.last_event_id) == ("a", "tick", "5")
        await queue.closed.wait()


async def test_an_idle_stream_has_a_heartbeat():
    queue = Queue()
    async with (
        serving(queue, heartbeat_s=0.01) as url,
        httpx.AsyncClient() as client,
        client.stream("GET", url) as reply,
    ):
        pieces = reply.aiter_raw()
        first = await anext(pieces)
        queue.put(encode("late"))
        seen = first
        while b"late" not in seen:
            seen += await anext(pieces)
    assert seen.startswith(encode_comment())
    assert seen.endswith(encode("late"))


async def test_a_client_that_leaves_an_idle_stream_is_noticed():
    queue = Queue()
    async with serving(queue) as url, httpx.AsyncClient() as client:
        async with client.stream("GET", url):
            await queue.taken.wait()
            assert not queue.closed.is_set()
        await queue.closed.wait()


async def test_head_gets_the_headers_alone():
    queue = Queue()
    async with serving(queue) as url, httpx.AsyncClient() as client:
        reply = await client.head(url)
    assert reply.status_code == 200
    assert queue.closed.is_set()


def test_a_heartbeat_must_take_time():
    with pytest.raises(UsageError, match="heartbeat_s=0"):
        EventStream(Queue(), heartbeat_s=0)
