"""A deadline for requests that do not arrive: slowloris gets 408 and its connection is closed.

uvicorn waits for ever for the rest of a request. Here a connection has `deadline_s` seconds from its
opening, or from the first byte of a later request, until its head is complete, and a body may not
pause longer than that. A connection idle between requests is uvicorn's keep-alive, not ours.

A request that arrives whole, the usual case, arms no timer.

Source: RFC 9110, section 15.5.9 (408 Request Timeout); the slowloris attack, 2009.
"""

from asyncio import AbstractEventLoop, TimerHandle, Transport
from enum import Enum, auto
from typing import Any

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

DEADLINE_S = 10.0
_REPLY = (
    b"HTTP/1.1 408 Request Timeout\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 15\r\nconnection: close\r\n\r\n"
    b"Request Timeout"
)


class _Arrival(Enum):
    BETWEEN = auto()  # no request is arriving
    HEAD = auto()
    BODY = auto()


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's httptools protocol with a deadline on what the client still owes."""

    deadline_s = DEADLINE_S

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._arrival = _Arrival.BETWEEN
        self._deadline: TimerHandle | None = None

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Give a new connection its deadline."""
        super().connection_made(transport)
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        self._disarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse, then arm or disarm by what is still owed."""
        super().data_received(data)
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            self._disarm()  # refused, or handed over to a WebSocket
        elif self._arrival is _Arrival.BODY:
            self._disarm()  # any part of a body is progress
            self._arm()
        elif self._arrival is _Arrival.HEAD or self._only_blank_lines():
            self._arm()
        else:
            self._disarm()

    def on_message_begin(self) -> None:
        """A request began."""
        self._arrival = _Arrival.HEAD
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._arrival = _Arrival.BODY
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """It is there whole."""
        self._arrival = _Arrival.BETWEEN
        super().on_message_complete()

    def _only_blank_lines(self) -> bool:
        # Line ends between requests are legal, begin no request and cancel uvicorn's keep-alive timer.
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is None or cycle.response_complete

    def _arm(self) -> None:
        if self._deadline is None:
            self._deadline = self.loop.call_later(self.deadline_s, self._expire)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _expire(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is None or cycle.response_complete or not cycle.response_started:
            self.transport.write(_REPLY)  # never into the middle of an answer
        self.transport.close()


def guarded(deadline_s: float) -> type[GuardedProtocol]:
    """The protocol with that deadline, as the class that uvicorn asks for."""
    return type("GuardedProtocol", (GuardedProtocol,), {"deadline_s": deadline_s})
