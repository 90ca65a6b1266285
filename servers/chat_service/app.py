"""The HTTP layer of the chat service, one and the same for every lane.

It reads and checks requests, bounds their size and their slowness, lets members in, and turns answers
into bytes. How a message is stored and how a subscriber is served is the lane's business.
"""

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from labcore.kernel import LabError
from labcore.lanes import Service, ServiceSetting
from labcore.protocols.tokens import TICKET_S
from servers.chat_service import contract, entries
from servers.chat_service.contract import Answer
from servers.chat_service.conversation import converse
from servers.chat_service.listening import EventsResponse, Visits
from servers.chat_service.wiring import OpenLane, checked_lane, open_lane

BODY_TIMEOUT_S: Final = 5.0

_log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Answer | Response]]


class ChatService:
    """The routes' handlers. Runs on one event loop."""

    def __init__(self, setting: ServiceSetting) -> None:
        self._setting = setting
        self._lane_name = checked_lane(setting)
        self._opened: OpenLane | None = None

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:  # noqa: ARG002 - Starlette's signature
        """Open the lane for as long as the server runs."""
        async with open_lane(self._setting) as self._opened:
            yield
        self._opened = None

    async def send(self, request: Request) -> Answer:
        """`POST /rooms/{room}/messages`."""
        room = _room(request)
        granted = self.lane.doorman.member(request, room)
        document = contract.read_object(await _body(request))
        new = contract.read_message(
            document, room=room, member=granted.subject, published_ns=time.monotonic_ns()
        )
        return contract.accepted(await self.lane.handlers.send(new), new)

    async def history(self, request: Request) -> Answer:
        """`GET /rooms/{room}/messages`."""
        room = _room(request)
        self.lane.doorman.member(request, room)
        page = contract.read_page(room, request.query_params)
        return Answer(200, entries.history(room, await self.lane.handlers.history(page)))

    async def ack(self, request: Request) -> Answer:
        """`POST /rooms/{room}/acks`."""
        room = _room(request)
        member = self.lane.doorman.member(request, room).subject
        up_to = contract.read_up_to(contract.read_object(await _body(request)))
        last_id = await self.lane.handlers.ack(room, member, up_to)
        return contract.acked(last_id, room=room, member=member)

    async def here(self, request: Request) -> Answer:
        """`GET /rooms/{room}/presence`."""
        room = _room(request)
        self.lane.doorman.member(request, room)
        return contract.present(room, self.lane.attendance.presence.here(room))

    async def beat(self, request: Request) -> Answer:
        """`POST /rooms/{room}/presence`."""
        room = _room(request)
        member = self.lane.doorman.member(request, room).subject
        tab = contract.read_name(contract.read_object(await _body(request)), "tab")
        return contract.present(room, await self.lane.attendance.beat(room, member, tab))

    async def leave(self, request: Request) -> Answer:
        """`DELETE /rooms/{room}/presence`."""
        room = _room(request)
        member = self.lane.doorman.member(request, room).subject
        tab = contract.read_name(request.query_params, "tab")
        return contract.present(room, await self.lane.attendance.leave(room, member, tab))

    async def listen(self, request: Request) -> Response:
        """`GET /rooms/{room}/events`."""
        room = _room(request)
        granted = self.lane.doorman.listener(request, room)
        slow = contract.read_slow(request.query_params.get("slow"))
        header = request.headers.get("Last-Event-ID")
        asked = contract.read_last_id(header, "Last-Event-ID")
        if asked is None:
            asked = contract.read_last_id(request.query_params.get("last_id"), "last_id")
        visit = self._visits.visit(granted, room, last_id=asked, slow=slow)
        return EventsResponse(visit, self.lane.handlers.stream, failed=_unfinished)

    async def ticket(self, request: Request) -> Answer:
        """`POST /tickets`."""
        granted = self.lane.doorman.bearer(request)
        path = contract.read_object(await _body(request)).get("path")
        ticket = self.lane.doorman.ticket(granted, path if isinstance(path, str) else "")
        return Answer(201, {"ticket": ticket, "expires_in_s": TICKET_S})

    async def mint(self, request: Request) -> Answer:
        """`POST /tokens`: the lab's only."""
        wish = contract.read_wish(contract.read_object(await _body(request)))
        return Answer(201, {"token": self.lane.doorman.mint(*wish), "lab_only": True})

    async def revoke(self, request: Request) -> Answer:
        """`DELETE /tokens`."""
        self.lane.doorman.revoke(self.lane.doorman.bearer(request))
        return Answer(200, {"revoked": True})

    async def healthy(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's signature
        """`GET /healthz`."""
        return Answer(200, {"status": "ok", "lane": self._lane_name})

    def gauges(self) -> Mapping[str, float]:
        """Streams, rooms, members, and what the lane tells of its pools."""
        return {} if self._opened is None else self._opened.gauges()

    async def end_streams(self) -> None:
        """End the streams; called before the HTTP server stops, which never tells them."""
        await self.lane.feed.end()

    @property
    def lane(self) -> OpenLane:
        """The lane at work."""
        if self._opened is None:
            raise RuntimeError(
                "a request came before the lifespan began; run the app with lifespan"
            )
        return self._opened

    @property
    def _visits(self) -> Visits:
        return Visits(self.lane, self._setting.parameters)

    async def converse(self, socket: WebSocket) -> None:
        """`GET /rooms/{room}/socket`."""
        await converse(socket, self.lane, self._visits)


def build(setting: ServiceSetting) -> Service:
    """The chat service under the lane that the setting names.

    Raises: UsageError for an unknown lane.
    """
    service = ChatService(setting)
    room = "/rooms/{room}"
    app = Starlette(
        routes=[
            _route(f"{room}/messages", service.send, "POST"),
            _route(f"{room}/messages", service.history, "GET"),
            _route(f"{room}/acks", service.ack, "POST"),
            _route(f"{room}/presence", service.here, "GET"),
            _route(f"{room}/presence", service.beat, "POST"),
            _route(f"{room}/presence", service.leave, "DELETE"),
            _route(f"{room}/events", service.listen, "GET"),
            WebSocketRoute(f"{room}/socket", service.converse),
            _route("/tickets", service.ticket, "POST"),
            _route("/tokens", service.mint, "POST"),
            _route("/tokens", service.revoke, "DELETE"),
            _route("/healthz", service.healthy, "GET"),
        ],
        lifespan=service.lifespan,
        exception_handlers={HTTPException: _http_problem, LabError: _lost, Exception: _failure},
    )
    return Service(app, gauges=service.gauges, end_streams=service.end_streams)


def _route(path: str, handler: Handler, method: str) -> Route:
    async def answered(request: Request) -> Response:
        try:
            answer = await handler(request)
        except contract.ProblemError as exc:
            answer = exc.answer
        return _reply(answer) if isinstance(answer, Answer) else answer

    return Route(path, answered, methods=[method])


def _room(request: Request) -> str:
    return contract.read_room(request.path_params["room"])


async def _body(request: Request) -> bytes:
    """The whole body. Raises: ProblemError when it is too large or too slow."""
    announced = request.headers.get("Content-Length", "0")
    if announced.isdigit() and int(announced) > contract.MOST_BODY_BYTES:
        raise contract.ProblemError(contract.too_large())
    body = bytearray()
    try:
        with anyio.fail_after(BODY_TIMEOUT_S):
            async for chunk in request.stream():
                body += chunk
                if len(body) > contract.MOST_BODY_BYTES:
                    raise contract.ProblemError(contract.too_large())
    except (TimeoutError, ClientDisconnect) as exc:
        raise contract.ProblemError(contract.too_slow(BODY_TIMEOUT_S)) from exc
    return bytes(body)


def _reply(answer: Answer) -> Response:
    return Response(
        answer.body(), answer.status, headers=answer.headers, media_type=answer.media_type
    )


async def _http_problem(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _reply(contract.problem(status, f"{request.method} {request.url.path} is not served"))


def _unfinished(error: Exception) -> Response:
    _log.warning("a request could not be finished: %s", error)
    return _reply(contract.unfinished())


async def _lost(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return _unfinished(error)


async def _failure(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return _reply(contract.problem(500, "the service failed; its log says why"))
