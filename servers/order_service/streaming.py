"""How a stream goes out: demand from the socket up to whoever produces, and an end for each of them.

A producer writes, and each `write` returns when the HTTP layer takes more: a reader who stops stops
the producer. A reader who leaves, or a server that stops, makes the write raise, so that the producer
lets go of its cursor and its connection in its own style, be it a task, a pipeline or a thread.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from labcore.kernel import LabError

Write = Callable[[bytes], Awaitable[None]]
Produce = Callable[[Write], Awaitable[None]]

_log = logging.getLogger(__name__)


class StreamEndedError(Exception):
    """The reader left, or the server stops: there is nobody to write to."""


class Outlet:
    """Where one stream's bytes go. Lives on one event loop."""

    def __init__(self, send: Send, *, media_type: str) -> None:
        self._send = send
        self._media_type = media_type
        self._writing: anyio.CancelScope | None = None
        self.begun = self.ended = False

    async def write(self, data: bytes) -> None:
        """Send, and wait until more may follow. Raises: StreamEndedError."""
        await self._out(data, more=True)

    async def finish(self) -> None:
        """Tell that this was all. Raises: StreamEndedError."""
        await self._out(b"", more=False)

    def end(self) -> None:
        """No more: whoever waits in `write` is let go."""
        self.ended = True
        if self._writing is not None:
            self._writing.cancel()

    async def _out(self, data: bytes, *, more: bool) -> None:
        if not self.ended:
            with anyio.CancelScope() as self._writing:
                if not self.begun:
                    self.begun = True
                    await self._send(self._head())
                await self._send({"type": "http.response.body", "body": data, "more_body": more})
            self._writing = None
        if self.ended:
            raise StreamEndedError

    def _head(self) -> dict[str, object]:
        headers = [(b"content-type", self._media_type.encode()), (b"cache-control", b"no-store")]
        return {"type": "http.response.start", "status": 200, "headers": headers}


class Streams:
    """The open streams of a server: how many there may be, and the end of all. One event loop."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Outlet] = set()
        self._empty: anyio.Event | None = None  # there is one once the end has begun

    @property
    def full(self) -> bool:
        """Whether there is no place for another."""
        return self._empty is not None or len(self._open) >= self._most

    def gauges(self) -> Mapping[str, float]:
        """`streams`, those open."""
        return {"streams": len(self._open)}

    async def end(self) -> None:
        """End all, let no more begin, and return when their producers let go."""
        self._empty = anyio.Event()
        for outlet in self._open:
            outlet.end()
        if self._open:
            await self._empty.wait()

    def enter(self, outlet: Outlet) -> None:
        """One more."""
        self._open.add(outlet)

    def leave(self, outlet: Outlet) -> None:
        """One less."""
        self._open.discard(outlet)
        if self._empty is not None and not self._open:
            self._empty.set()


class Streamed(Response):
    """A response that is produced as it is read.

    `refusal` answers when there is no place; `failed` when the producer fails before its first byte.
    A failure after that cuts the stream, which its reader notices by the missing end.
    """

    def __init__(
        self,
        produce: Produce,
        streams: Streams,
        *,
        media_type: str,
        refusal: Response,
        failed: Callable[[LabError], Response],
    ) -> None:
        super().__init__(media_type=media_type)
        self._produce = produce
        self._streams = streams
        self._refusal = refusal
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Produce until the end, the reader's or ours."""
        if self._streams.full:
            await self._refusal(scope, receive, send)
            return
        outlet = Outlet(send, media_type=self.media_type or "")
        self._streams.enter(outlet)
        try:
            failure = await self._run(outlet, receive)
        finally:
            self._streams.leave(outlet)
        if failure is not None and not outlet.begun:
            await self._failed(failure)(scope, receive, send)

    async def _run(self, outlet: Outlet, receive: Receive) -> LabError | None:
        failure: LabError | None = None
        async with anyio.create_task_group() as group:
            group.start_soon(_end_when_gone, receive, outlet)
            with suppress(StreamEndedError):
                try:
                    await self._produce(outlet.write)
                    await outlet.finish()
                except LabError as exc:
                    failure = exc
                    _log.warning("a stream was cut: %s", exc)
            group.cancel_scope.cancel()
        return failure


async def _end_when_gone(receive: Receive, outlet: Outlet) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    outlet.end()
