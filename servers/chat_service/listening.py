"""A member's visit as a listener, from the door to the end; and the response that carries it as SSE."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

import anyio
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from labcore.kernel import LabError
from labcore.lanes import Values
from labcore.protocols import sse
from labcore.protocols.tokens import Grant
from servers.chat_service.contract import RETRY_OVERLOADED_MS, TOKEN_ENDED
from servers.chat_service.domain import Slow
from servers.chat_service.doorman import FullError
from servers.chat_service.outlet import Events, Produce
from servers.chat_service.rooms import Session
from servers.chat_service.wiring import OpenLane

Visit = AbstractAsyncContextManager[Session]
_COME_LATER = sse.encode_comment("overloaded") + f"retry: {RETRY_OVERLOADED_MS}\n\n".encode()


class Visits:
    """Makes sessions: a place, a followed room, and where the member begins."""

    def __init__(self, lane: OpenLane, values: Values) -> None:
        self._lane = lane
        self._heartbeat_s = float(values["heartbeat_s"])
        self._most_behind = int(values["most_behind"])

    @asynccontextmanager
    async def visit(
        self, granted: Grant, room: str, *, last_id: int | None, slow: Slow
    ) -> AsyncIterator[Session]:
        """A session that ends with its token.

        Raises: FullError without a place; PeerError, RefusedError when the database is lost or busy.
        """
        lane = self._lane
        lane.doorman.check_place(granted)
        async with lane.feed.room(room) as followed:
            opening = await lane.handlers.enter(room, granted.subject)
            session = Session(
                followed,
                after_id=opening.begin_after(last_id),
                slow=slow,
                most_behind=self._most_behind,
                heartbeat_s=self._heartbeat_s,
            )
            with lane.doorman.place(granted, partial(session.end, TOKEN_ENDED)):
                lane.feed.enter(session)
                try:
                    yield session
                finally:
                    lane.feed.leave(session)


class EventsResponse(Response):
    """A visit as server-sent events; a failure before it begins is a problem document.

    A server without a place answers 200 and asks to come later: for an EventSource any other status is the end.
    """

    media_type = "text/event-stream"

    def __init__(
        self, visit: Visit, produce: Produce, *, failed: Callable[[LabError], Response]
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._visit = visit
        self._produce = produce
        self._failed = failed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve the visit to its end. A HEAD gets the headers alone."""
        if scope["method"] == "HEAD":
            await self._head(send)
            await send({"type": "http.response.body", "body": b""})
            return
        try:
            async with self._visit as session:
                await self._serve(session, receive, send)
        except FullError:
            await self._head(send)
            await send({"type": "http.response.body", "body": _COME_LATER})
        except LabError as exc:  # before the head: what comes later ends the session
            await self._failed(exc)(scope, receive, send)

    async def _serve(self, session: Session, receive: Receive, send: Send) -> None:
        outlet = Events(session, send)
        await self._head(send)
        async with anyio.create_task_group() as group:
            group.start_soon(outlet.until_gone, receive)
            await outlet.pour(self._produce)
            group.cancel_scope.cancel()
        if not outlet.gone:  # one that does not read would hold this as well; uvicorn cuts it
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _head(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
