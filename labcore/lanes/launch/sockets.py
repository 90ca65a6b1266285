"""The WebSocket engine of every service: uvicorn's over `websockets`, and a bound on how long it lingers.

Compression is off: a small message costs half again as much CPU with it (`labcore bench websocket`). The
engine pings each 20 s and closes 20 s after a ping without an answer, yet `close` waits for ever until
a client has taken what was sent before: one that reads nothing would hold its connection, and its
memory, until it leaves. Here it is cut.

Source: RFC 6455, section 7.1.1 (an endpoint may close the connection at any time when it must).
"""

from asyncio import Task, TimerHandle
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LINGER_S: Final = 5.0
PING_S: Final = 20.0
MOST_MESSAGE_BYTES: Final = 1024 * 1024


class BoundedProtocol(WebSocketsSansIOProtocol):
    """uvicorn's sansio protocol that is gone `linger_s` after it has nothing more to say."""

    linger_s = LINGER_S
    _cut: TimerHandle | None = None

    def on_task_complete(self, task: Task[None]) -> None:
        """The service is done with it."""
        super().on_task_complete(task)
        self._arm()

    def keepalive_timeout(self) -> None:
        """A ping was not answered: the service hears of it when the connection is lost."""
        super().keepalive_timeout()
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the deadline."""
        if self._cut is not None:
            self._cut.cancel()
        super().connection_lost(exc)

    def _arm(self) -> None:
        if self._cut is None and not self.disconnected:
            self._cut = self.loop.call_later(self.linger_s, self.transport.abort)


WEBSOCKETS: Final[dict[str, Any]] = {
    "ws": BoundedProtocol,
    "ws_max_size": MOST_MESSAGE_BYTES,
    "ws_ping_interval": PING_S,
    "ws_ping_timeout": PING_S,
    "ws_per_message_deflate": False,
}
"""uvicorn's settings for WebSockets, the same in every lane."""
