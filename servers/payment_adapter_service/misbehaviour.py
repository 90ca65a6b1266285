"""Answers that go wrong on the wire: none at all, one cut by a reset, one that drips.

The reset needs the TCP connection, which ASGI does not offer: uvicorn's `send` is a bound method
of the object that holds the transport, and that is where it is taken from.
"""

import asyncio
import socket
import struct

import anyio
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from labcore.kernel import EnvironmentFault

_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # linger for no time at all


class Misbehaviour:
    """Who is being kept waiting, so that a stop can let go of them."""

    def __init__(self) -> None:
        self._kept: set[anyio.CancelScope] = set()
        self._ended = False

    async def hang(self, receive: Receive) -> None:
        """Return only when the client left, or at the end."""
        with anyio.CancelScope() as scope:
            self._keep(scope)
            await _gone(receive)
        self._kept.discard(scope)

    async def drip(self, body: bytes, receive: Receive, *, pause_s: float, send: Send) -> None:
        """Send byte by byte; stops when the client left, or at the end."""
        async with anyio.create_task_group() as group:
            self._keep(group.cancel_scope)
            group.start_soon(_cancel_when_gone, receive, group.cancel_scope)
            for index in range(len(body)):
                await anyio.sleep(pause_s)
                await send(_part(body[index : index + 1], more=index + 1 < len(body)))
            group.cancel_scope.cancel()
        self._kept.discard(group.cancel_scope)

    def end(self) -> None:
        """Let go of everybody, now and from now on."""
        self._ended = True
        for scope in self._kept:
            scope.cancel()

    def _keep(self, scope: anyio.CancelScope) -> None:
        self._kept.add(scope)
        if self._ended:
            scope.cancel()


class Reset(Response):
    """An answer whose connection is reset after half of its body."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.body, answer.status_code, media_type=answer.media_type)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send the half, then break the connection."""
        transport = _transport(scope)
        await send(_head(self))
        await send(_part(bytes(self.body[: len(self.body) // 2]), more=True))
        connection: socket.socket = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()


class Dripped(Response):
    """An answer whose head comes at once and whose body comes byte by byte."""

    def __init__(self, answer: Response, misbehaviour: Misbehaviour, *, pause_s: float) -> None:
        super().__init__(answer.body, answer.status_code, media_type=answer.media_type)
        self._misbehaviour = misbehaviour
        self._pause_s = pause_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI
        """Send it, slowly."""
        await send(_head(self))
        body = bytes(self.body)
        await self._misbehaviour.drip(body, receive, pause_s=self._pause_s, send=send)


class Reachable:
    """The application, with the connection of each request in its scope."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass through."""
        scope["transport"] = getattr(getattr(send, "__self__", None), "transport", None)
        await self._app(scope, receive, send)


def _transport(scope: Scope) -> asyncio.Transport:
    transport: asyncio.Transport | None = scope.get("transport")
    if transport is None:
        raise EnvironmentFault("only a connection of uvicorn can be reset; there is none here")
    return transport


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _cancel_when_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    await _gone(receive)
    scope.cancel()


def _head(answer: Response) -> Message:
    return {
        "type": "http.response.start",
        "status": answer.status_code,
        "headers": answer.raw_headers,
    }


def _part(data: bytes, *, more: bool) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}
