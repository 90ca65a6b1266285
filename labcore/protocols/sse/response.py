"""The server's end of a stream, as an ASGI response.

Source: WHATWG HTML, section 9.2.7 "Authoring notes" (comments against idle proxies); ASGI, "HTTP".
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, Protocol

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from labcore.kernel import UsageError
from labcore.protocols.sse.codec import encode_comment
from labcore.protocols.sse.reconnection import MEDIA_TYPE

HEARTBEAT_S: Final = 15.0  # proxies cut streams that are idle for 30 to 120 s
_HEARTBEAT: Final = encode_comment()
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would otherwise gather events
}


class Frames(Protocol):
    """Where a stream takes its bytes from: one subscriber's queue."""

    async def take(self) -> bytes:
        """All that is queued, joined; waits while nothing is; empty at the end.

        Cancelling it must lose nothing: it is cancelled for every heartbeat.
        """
        ...

    def attach(self, outlet: Callable[[bytes], bool]) -> None:
        """From now on `outlet(frame)` may write past `take`, while nothing is queued.

        It says False, and has written nothing, when the client does not keep up. A queue that
        has no use for it does nothing here.
        """
        ...

    def close(self) -> None:
        """The subscriber is gone."""
        ...


class EventStream(Response):
    """Encoded events to one client until the frames end, the client leaves or the server stops it.

    Frames are written as they are: encode an event once and give the same bytes to every subscriber.
    The client's leaving is noticed at once, also between events; a client that stops reading holds
    the sender back, and its queue in front must be bounded by whoever owns it. `frames` is closed
    in every case.

    uvicorn tells no stream that it is stopping: end the frames of all streams first, then the server.

    Args:
        frames: the subscriber's queue.
        heartbeat_s: a comment after so many seconds without an event.
        headers: further response headers.

    Raises: UsageError for a heartbeat that is not positive.
    """

    media_type = MEDIA_TYPE
    charset = "utf-8"

    def __init__(
        self,
        frames: Frames,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        if not heartbeat_s > 0:
            raise UsageError(f"heartbeat_s={heartbeat_s} must be above 0 seconds")
        super().__init__(headers={**_HEADERS, **(headers or {})})
        del self.headers["content-length"]
        self._frames = frames
        self._heartbeat_s = heartbeat_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve. A HEAD gets the headers alone."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            if scope["method"] != "HEAD":
                async with anyio.create_task_group() as group:
                    group.start_soon(_until_gone, receive, group.cancel_scope)
                    await self._pour(send)
                    group.cancel_scope.cancel()
        finally:
            self._frames.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _pour(self, send: Send) -> None:
        take = self._frames.take
        self._frames.attach(partial(_write_now, send))
        while True:
            frame = _HEARTBEAT
            with anyio.move_on_after(self._heartbeat_s):
                frame = await take()
            if not frame:
                return
            await send({"type": "http.response.body", "body": frame, "more_body": True})


def _write_now(send: Send, frame: bytes) -> bool:
    """Send without waiting, or not at all.

    uvicorn's `send` waits for room *before* it writes, and only when there is none: run by hand, it
    has either written when it returns, or, at its first wait, not yet. Middleware that queues what
    is sent breaks this promise; a stream belongs directly below the server.
    """
    sending = send({"type": "http.response.body", "body": frame, "more_body": True}).__await__()
    try:
        next(sending)
    except StopIteration:
        return True
    sending.close()
    return False


async def _until_gone(receive: Receive, scope: anyio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()
