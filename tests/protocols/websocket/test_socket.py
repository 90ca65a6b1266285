"""Sockets of a real uvicorn to the clients of the `websockets` library."""

import asyncio
import json
import socket as sockets
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio.lowlevel
import pytest
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from labcore.kernel import PeerError
from labcore.protocols import Frame, Hub, Slow
from labcore.protocols.websocket import LISTENED_TO, Limits, Socket, State, encode_message

Opener = Callable[[Any], AbstractAsyncContextManager[str]]


@dataclass
class Service:
    """A hub whose every client gets all, and what became of them."""

    limits: Limits = LISTENED_TO
    slow: Slow = Slow.DISCONNECT
    most: int = 1_000
    hub: Hub = field(default_factory=Hub)
    heard: list[dict[str, Any]] = field(default_factory=list)
    openings: list[dict[str, Any]] = field(default_factory=list)
    poured: asyncio.Queue[Socket] = field(default_factory=asyncio.Queue)
    ended: asyncio.Queue[int | str] = field(default_factory=asyncio.Queue)

    async def __call__(self, websocket: WebSocket) -> None:
        """Serve one client."""
        socket = Socket(websocket, limits=self.limits)
        try:
            self.openings.append(await socket.opening())
        except PeerError as exc:
            self.ended.put_nowait(str(exc))
            return
        frames = self.hub.subscribe(self.slow, most=self.most)
        self.poured.put_nowait(socket)
        self.ended.put_nowait(await socket.pour(frames, hear=self.hear))

    async def hear(self, document: dict[str, Any]) -> None:
        """Note it."""
        self.heard.append(document)

    def publish(self, *numbers: int, padding: str = "") -> None:
        """Together."""
        documents = [{"id": number, "padding": padding} for number in numbers]
        self.hub.publish(*(Frame(encode_message(each), key=str(each["id"])) for each in documents))


@asynccontextmanager
async def subscribed(
    opener: Opener, service: Service
) -> AsyncIterator[tuple[ClientConnection, Socket]]:
    async def endpoint(
        websocket: WebSocket,
    ) -> None:  # a callable object is no function to Starlette
        await service(websocket)

    async with opener(endpoint) as url, connect(url, proxy=None, compression=None) as client:
        await client.send('{"type":"resume","last_id":"17"}')
        yield client, await service.poured.get()
        service.hub.end()


async def ids(client: ClientConnection, count: int) -> list[int]:
    return [json.loads(await client.recv())["id"] for _ in range(count)]


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    with suppress(ConnectionClosed):
        while True:
            await client.recv()
    return client.close_code, client.close_reason


async def test_messages_arrive_one_by_one_and_in_order(endpoint_server: Opener):
    service = Service()
    async with subscribed(endpoint_server, service) as (client, _):
        service.publish(1)
        service.publish(2, 3, 4)
        assert await ids(client, 4) == [1, 2, 3, 4]
        assert service.openings == [{"type": "resume", "last_id": "17"}]


async def test_a_burst_that_fills_the_socket_midway_stays_whole(endpoint_server: Opener):
    service = Service()
    async with subscribed(endpoint_server, service) as (client, _):
        for burst in range(3):
            numbers = range(500 * burst, 500 * (burst + 1))
            service.publish(*numbers, padding="x" * 4_096)
            assert await ids(client, 500) == list(numbers)


async def test_a_hub_that_ends_sends_what_is_queued_and_then_1001(endpoint_server: Opener):
    service = Service()
    async with subscribed(endpoint_server, service) as (client, _):
        service.publish(1, 2)
        service.hub.end()
        assert await ids(client, 2) == [1, 2]
        assert await closed(client) == (1001, "")
        assert await service.ended.get() == 1001
    assert len(service.hub) == 0


async def test_an_ended_token_closes_at_once_with_its_code(endpoint_server: Opener):
    service = Service()
    async with subscribed(endpoint_server, service) as (client, socket):
        socket.end(4001, "token expired")
        socket.end(1001)
        assert await closed(client) == (4001, "token expired")
        assert await service.ended.get() == 4001


async def test_a_client_that_leaves_is_noticed(endpoint_server: Opener):
    service = Service()
    async with subscribed(endpoint_server, service) as (client, socket):
        await client.close(1000)
        assert await service.ended.get() == 1000
        assert socket.state is State.CLOSED
        assert len(service.hub) == 0


async def test_a_connection_that_is_cut_is_noticed(endpoint_server: Opener):
    service = Service()
    async with subscribed(endpoint_server, service) as (client, _):
        client.transport.abort()
        assert await service.ended.get() == 1006


async def test_what_the_client_says_is_heard(endpoint_server: Opener):
    service = Service()
    async with subscribed(endpoint_server, service) as (client, _):
        await client.send('{"type":"ack","up_to":3}')
        await client.close()
        await service.ended.get()
    assert service.heard == [{"type": "ack", "up_to": 3}]


async def test_an_idle_page_sees_heartbeats(endpoint_server: Opener):
    service = Service(limits=Limits(ping_every_s=0.01, pong_within_s=None))
    async with subscribed(endpoint_server, service) as (client, _):
        assert [await client.recv() for _ in range(3)] == ['{"type":"heartbeat"}'] * 3


async def test_a_client_that_owes_an_answer_and_gives_none_is_ended(endpoint_server: Opener):
    service = Service(limits=Limits(ping_every_s=0.01, pong_within_s=0.01))
    async with subscribed(endpoint_server, service) as (client, _):
        assert await closed(client) == (1011, "no answer to a ping")


@pytest.mark.parametrize(
    ("said", "code"), [("[]", 1008), ("no", 1008), ("[" * 100_000, 1008), (b"{}", 1003)]
)
async def test_what_is_no_json_object_ends_it(
    endpoint_server: Opener, said: str | bytes, code: int
):
    service = Service()
    async with subscribed(endpoint_server, service) as (client, _):
        await client.send(said)
        assert (await closed(client))[0] == code


async def test_a_message_beyond_the_limit_ends_it(endpoint_server: Opener):
    service = Service(limits=Limits(most_message_bytes=40))
    async with subscribed(endpoint_server, service) as (client, _):
        await client.send(json.dumps({"text": "x" * 40}))
        assert await closed(client) == (1009, "at most 40 bytes")


@pytest.mark.parametrize(
    "first", ['{"type":"hello"}', '{"type":"resume","last_id":17}', "[]", None]
)
async def test_who_does_not_resume_is_closed(endpoint_server: Opener, first: str | None):
    service = Service(limits=Limits(open_within_s=0.05))

    async def endpoint(websocket: WebSocket) -> None:
        await service(websocket)

    async with endpoint_server(endpoint) as url, connect(url, proxy=None) as client:
        if first is not None:
            await client.send(first)
        assert (await closed(client))[0] == 1008
        assert await service.ended.get() == "a client did not resume, and was closed with 1008"


@pytest.mark.parametrize(("slow", "most"), [(Slow.DISCONNECT, 100), (Slow.DROP_OLDEST, 100)])
async def test_a_client_that_does_not_read_is_bounded_and_let_go(
    endpoint_server: Opener, slow: Slow, most: int
):
    service = Service(slow=slow, most=most, limits=Limits(stall_within_s=0.2, close_within_s=0.2))

    async def endpoint(websocket: WebSocket) -> None:
        await service(websocket)

    async with endpoint_server(endpoint) as url:
        stuck = sockets.socket(sockets.AF_INET, sockets.SOCK_STREAM, sockets.IPPROTO_TCP)
        stuck.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4_096)
        stuck.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(stuck, ("127.0.0.1", int(url.rsplit(":", 1)[1].strip("/"))))
        async with connect(url, sock=stuck, proxy=None, compression=None, max_queue=1) as client:
            await client.send('{"type":"resume","last_id":null}')
            await service.poured.get()
            for number in range(3_000):
                service.publish(number, padding="x" * 4_096)
                await anyio.lowlevel.checkpoint()
            assert await service.ended.get() == 1013
            assert len(service.hub) == 0
            client.transport.abort()
