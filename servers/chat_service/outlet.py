"""Where a stream's entries go: server-sent events or a WebSocket. Demand comes back through `write`.

Each `write` returns when the socket takes more: a reader who stops reading holds the writer, and nothing
is gathered for it. When the session ends while its writer is held, the writer is let go.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

import anyio
from starlette.types import Receive, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from labcore.kernel import LabError
from labcore.protocols import sse
from servers.chat_service.contract import GOING_AWAY, TRY_LATER
from servers.chat_service.entries import Entry
from servers.chat_service.rooms import Session

PARTING_S: Final = 1.0  # for a reader to take what is on its way
Write = Callable[[Sequence[Entry]], Awaitable[None]]
Produce = Callable[[Session, Write], Awaitable[None]]

_log = logging.getLogger(__name__)


class StreamEndedError(Exception):
    """The reader left, or the session ended while it did not read: there is nobody to write to."""


class Outlet(ABC):
    """One subscriber's way out. Lives on one event loop."""

    def __init__(self, session: Session) -> None:
        self.gone = False
        self._session = session
        self._writing: anyio.CancelScope | None = None
        self._parting: asyncio.TimerHandle | None = None

    async def pour(self, produce: Produce) -> None:
        """Produce until the session ends or its reader leaves; what fails ends the session too."""
        self._session.on_end = self._part
        try:
            with suppress(StreamEndedError):
                await produce(self._session, self.write)
        except LabError as exc:
            _log.warning("a stream was cut: %s", exc)
            self._session.end(TRY_LATER)
        finally:
            if self._parting is not None:
                self._parting.cancel()

    async def write(self, entries: Sequence[Entry]) -> None:
        """Send the entries, or a heartbeat when there are none. Raises: StreamEndedError."""
        if not self.gone:
            with anyio.CancelScope() as self._writing:
                await self._send(entries)
            self._writing = None
        if self.gone:
            raise StreamEndedError

    def leave(self) -> None:
        """The reader is gone: whoever writes, or waits for something to write, is let go."""
        self._give_up()
        self._session.end(GOING_AWAY)

    def _part(self) -> None:
        self._parting = asyncio.get_running_loop().call_later(PARTING_S, self._give_up)

    def _give_up(self) -> None:
        self.gone = True
        if self._writing is not None:
            self._writing.cancel()

    @abstractmethod
    async def _send(self, entries: Sequence[Entry]) -> None:
        """Hand over, and wait until more may follow."""


class Events(Outlet):
    """Server-sent events, after the head of the response."""

    HEARTBEAT = sse.encode_comment()

    def __init__(self, session: Session, send: Send) -> None:
        super().__init__(session)
        self._out = send

    async def until_gone(self, receive: Receive) -> None:
        """Notice the reader's leaving."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self.leave()

    async def _send(self, entries: Sequence[Entry]) -> None:
        body = b"".join(entry.sse for entry in entries) or self.HEARTBEAT
        await self._out({"type": "http.response.body", "body": body, "more_body": True})


class Texts(Outlet):
    """Messages of a WebSocket."""

    HEARTBEAT = '{"type":"heartbeat"}'

    def __init__(self, session: Session, socket: WebSocket) -> None:
        super().__init__(session)
        self._socket = socket

    async def _send(self, entries: Sequence[Entry]) -> None:
        try:
            for text in [entry.text for entry in entries] or [self.HEARTBEAT]:
                await self._socket.send_text(text)
        except WebSocketDisconnect:
            self.gone = True
