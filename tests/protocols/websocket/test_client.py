"""The reconnecting client against servers that do what a test tells them to."""

import json
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing
from typing import Any

import pytest
from starlette.responses import Response
from starlette.websockets import WebSocket

from labcore.kernel import PeerError, UsageError
from labcore.protocols.sse import Reconnection
from labcore.protocols.websocket import ResumingSocket, State

Opener = Callable[[Any], AbstractAsyncContextManager[str]]
Visit = Callable[[WebSocket], Awaitable[None]]
AT_ONCE = Reconnection(base_s=0, ceiling_s=0)


class Server:
    """Does one thing a visit, the last of them ever after; keeps what clients said first."""

    def __init__(self, *visits: Visit) -> None:
        self.openings: list[dict[str, Any]] = []
        self.tokens: list[str | None] = []
        self._visits = list(visits)

    async def endpoint(self, websocket: WebSocket) -> None:
        """One visit."""
        self.tokens.append(websocket.headers.get("authorization"))
        visit = self._visits.pop(0) if len(self._visits) > 1 else self._visits[0]
        await visit(websocket)

    def says(self, *messages: Mapping[str, Any], code: int | None = 1000) -> Visit:
        """Accepts, sends these and closes; without a code it just drops the connection."""

        async def visit(websocket: WebSocket) -> None:
            await websocket.accept()
            self.openings.append(await websocket.receive_json())
            for message in messages:
                await websocket.send_json(message)
            if code is not None:
                await websocket.close(code)

        return visit


def refuses(status: int, **headers: str) -> Visit:
    async def visit(websocket: WebSocket) -> None:
        await websocket.send_denial_response(Response("", status, headers=headers))

    return visit


def event(number: int) -> dict[str, Any]:
    return {"id": number}


async def all_of(socket: ResumingSocket) -> list[dict[str, Any]]:
    async with aclosing(aiter(socket)) as messages:
        return [message async for message in messages]


async def test_it_resumes_by_the_last_id_and_drops_what_is_repeated(endpoint_server: Opener):
    server = Server()
    server._visits = [
        server.says(event(1), event(2), code=None),
        server.says(event(2), event(3), code=1001),
        server.says(event(4)),
    ]
    async with endpoint_server(server.endpoint) as url:
        socket = ResumingSocket(url, opening={"warehouses": ["north"]}, reconnection=AT_ONCE)
        assert [message["id"] for message in await all_of(socket)] == [1, 2, 3, 4]
    assert server.openings == [
        {"type": "resume", "warehouses": ["north"], "last_id": last_id}
        for last_id in (None, "2", "3")
    ]
    assert (socket.reconnects, socket.duplicates, socket.last_id) == (2, 1, 4)


async def test_heartbeats_are_kept_back_and_a_gap_moves_the_last_id(endpoint_server: Opener):
    gap = {"type": "gap", "from": 3, "to": 9}
    server = Server()
    server._visits = [server.says({"type": "heartbeat"}, gap, code=1012), server.says(event(10))]
    async with endpoint_server(server.endpoint) as url:
        assert await all_of(ResumingSocket(url, last_id=2, reconnection=AT_ONCE)) == [
            gap,
            event(10),
        ]
    assert [opening["last_id"] for opening in server.openings] == ["2", "9"]


async def test_the_states_are_told(endpoint_server: Opener):
    server = Server()
    server._visits = [server.says(code=1001), server.says(event(1))]
    states: list[State] = []
    async with endpoint_server(server.endpoint) as url:
        await all_of(ResumingSocket(url, reconnection=AT_ONCE, on_state=states.append))
    assert states == [State.OPEN, State.CONNECTING, State.OPEN, State.CLOSED]


@pytest.mark.parametrize("code", [1003, 1008, 1009, 4001, 4003])
async def test_codes_that_end_for_good(endpoint_server: Opener, code: int):
    server = Server()
    server._visits = [server.says(code=code)]
    async with endpoint_server(server.endpoint) as url:
        with pytest.raises(PeerError, match=f"closed with {code}"):
            await all_of(ResumingSocket(url, reconnection=AT_ONCE))
    assert len(server.openings) == 1


@pytest.mark.parametrize("status", [401, 403, 404])
async def test_a_handshake_refused_for_good(endpoint_server: Opener, status: int):
    async with endpoint_server(Server(refuses(status)).endpoint) as url:
        with pytest.raises(PeerError, match=f"answered {status}"):
            await all_of(ResumingSocket(url, reconnection=AT_ONCE))


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_an_overloaded_server_is_asked_again(endpoint_server: Opener, status: int):
    server = Server()
    server._visits = [refuses(status, **{"Retry-After": "0"}), server.says(event(1))]
    async with endpoint_server(server.endpoint) as url:
        assert await all_of(ResumingSocket(url, reconnection=AT_ONCE)) == [event(1)]


async def test_an_ended_token_is_replaced(endpoint_server: Opener):
    minted = iter(["old", "new"])

    async def credentials() -> dict[str, str]:
        return {"Authorization": next(minted)}

    server = Server()
    server._visits = [server.says(event(1), code=4001), server.says(event(2))]
    async with endpoint_server(server.endpoint) as url:
        socket = ResumingSocket(url, credentials=credentials, reconnection=AT_ONCE)
        assert await all_of(socket) == [event(1), event(2)]
    assert server.tokens == ["old", "new"]


async def test_a_mint_whose_tokens_are_refused_is_not_asked_for_ever(endpoint_server: Opener):
    async def credentials() -> dict[str, str]:
        return {"Authorization": "bad"}

    server = Server(refuses(401))
    async with endpoint_server(server.endpoint) as url:
        with pytest.raises(PeerError, match="answered 401"):
            await all_of(ResumingSocket(url, credentials=credentials, reconnection=AT_ONCE))
    assert server.tokens == ["bad", "bad"]


async def test_waits_grow_while_the_server_is_overloaded_even_if_messages_came(
    endpoint_server: Opener,
):
    failures: list[int] = []

    class Noted(Reconnection):
        def wait_s(self, count: int, *, retry_ms: int | None, draw: float) -> float:  # noqa: ARG002 - Reconnection's shape
            failures.append(count)
            return 0

    server = Server()
    server._visits = [
        server.says(event(1), code=1013),
        server.says(event(2), code=1013),
        server.says(event(3), code=1001),
        server.says(event(4)),
    ]
    async with endpoint_server(server.endpoint) as url:
        await all_of(ResumingSocket(url, reconnection=Noted()))
    assert failures == [1, 2, 0]


async def test_a_silent_stream_is_taken_for_dead(endpoint_server: Opener):
    async def silent(websocket: WebSocket) -> None:
        await websocket.accept()
        while (await websocket.receive())["type"] != "websocket.disconnect":
            pass

    server = Server()
    server._visits = [silent, server.says(event(1))]
    async with endpoint_server(server.endpoint) as url:
        socket = ResumingSocket(url, idle_timeout_s=0.1, reconnection=AT_ONCE)
        assert await all_of(socket) == [event(1)]


async def test_what_is_no_object_is_the_servers_fault(endpoint_server: Opener):
    async def odd(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive()
        await websocket.send_text(json.dumps([1]))
        await websocket.receive()

    async with endpoint_server(odd) as url:
        with pytest.raises(PeerError, match=r"sent '\[1\]'"):
            await all_of(ResumingSocket(url, reconnection=AT_ONCE))


def test_only_addresses_of_websockets_are_taken():
    with pytest.raises(UsageError, match="'http://localhost' is no address of a WebSocket"):
        ResumingSocket("http://localhost")
