"""The HTTP layer of the webhook dispatcher, one and the same for every lane.

It reads and checks requests, bounds their size and their slowness, and turns answers into bytes. How an event
is stored and delivered is the lane's business.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from labcore.kernel import LabError, utc_now
from labcore.lanes import Service, ServiceSetting
from servers.partner_webhook_dispatcher import contract
from servers.partner_webhook_dispatcher.contract import Answer
from servers.partner_webhook_dispatcher.domain import Accepted
from servers.partner_webhook_dispatcher.wiring import OpenLane, desk_of, lab_of, open_lane

BODY_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)

Handler = Callable[[Request], Awaitable[Answer]]


class Dispatcher:
    """The routes' handlers. Runs on one event loop."""

    def __init__(self, setting: ServiceSetting) -> None:
        self._setting = setting
        self._lab = lab_of(setting)
        self._desk = desk_of(setting)
        self._opened: OpenLane | None = None

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:  # noqa: ARG002 - Starlette's signature
        """Dispatch for as long as the server runs."""
        async with open_lane(self._setting, self._desk, self._lab) as self._opened:
            yield
        self._opened = None

    async def publish(self, request: Request) -> Answer:
        """`POST /events`."""
        body = await _body(request)
        new = contract.read_event(request.headers.get(contract.KEY_HEADER), body, at=utc_now())
        wait_s = contract.wait_s(request.headers.get("Prefer"))
        if not wait_s:
            return contract.accepted(await self._lane.handlers.accept(new), new)
        self._desk.awaited.begin(new.id)
        try:
            event = await self._lane.handlers.accept(new)
            return contract.accepted(event, new, ended=await self._ended(event, wait_s))
        finally:
            self._desk.awaited.forget(new.id)

    async def show_event(self, request: Request) -> Answer:
        """`GET /events/{id}`."""
        name = request.path_params["id"]
        event = await self._lane.office.event(name)
        return contract.missing("event", name) if event is None else Answer(200, event)

    async def show_delivery(self, request: Request) -> Answer:
        """`GET /deliveries/{id}`."""
        number = contract.read_number(request.path_params["id"], "id")
        found = await self._lane.office.delivery(number)
        return contract.missing("delivery", number) if found is None else Answer(200, found)

    async def replay_one(self, request: Request) -> Answer:
        """`POST /deliveries/{id}/replay`."""
        number = contract.read_number(request.path_params["id"], "id")
        if await self._lane.office.replay(delivery_id=number):
            return Answer(202, {"replayed": 1})
        return contract.problem(409, f"delivery {number} is no dead letter")

    async def dead_letters(self, request: Request) -> Answer:
        """`GET /dead-letters`."""
        query = request.query_params
        after = contract.read_number(query.get("after", "0"), "after")
        found = await self._lane.office.dead_letters(query.get("partner"), after=after)
        return Answer(200, {"dead_letters": found})

    async def register(self, request: Request) -> Answer:
        """`POST /partners`."""
        partner, ours = contract.read_partner(await _body(request), self._lab)
        if await self._lane.office.register(partner):
            return contract.registered(partner, secret_is_ours=ours)
        return contract.problem(409, f"there is a partner {partner.id!r} already")

    async def partners(self, request: Request) -> Answer:
        """`GET /partners`."""
        after = request.query_params.get("after", "")
        return Answer(200, {"partners": await self._lane.office.partners(after=after)})

    async def show_partner(self, request: Request) -> Answer:
        """`GET /partners/{id}`."""
        name = request.path_params["id"]
        found = await self._lane.office.partners(name)
        return Answer(200, found[0]) if found else contract.missing("partner", name)

    async def rotate(self, request: Request) -> Answer:
        """`POST /partners/{id}/rotate`."""
        name, overlap_s = request.path_params["id"], contract.read_overlap_s(await _body(request))
        secret = await self._lane.office.rotate(name, overlap_s=overlap_s)
        if secret is None:
            return contract.missing("partner", name)
        return contract.rotated(secret, overlap_s=overlap_s)

    async def enable(self, request: Request) -> Answer:
        """`POST /partners/{id}/enable`."""
        name = request.path_params["id"]
        if await self._lane.office.enable(name):
            return Answer(200, {"id": name, "state": "enabled"})
        return contract.missing("partner", name)

    async def replay_all(self, request: Request) -> Answer:
        """`POST /partners/{id}/replay`."""
        name = request.path_params["id"]
        if not await self._lane.office.partners(name):
            return contract.missing("partner", name)
        return Answer(202, {"replayed": await self._lane.office.replay(partner_id=name)})

    async def healthy(self, request: Request) -> Answer:  # noqa: ARG002 - a handler's signature
        """`GET /healthz`."""
        return Answer(200, {"status": "ok", "lane": self._setting.lane})

    def gauges(self) -> Mapping[str, float]:
        """Deliveries in hand and counted, the backlog, and what the lane tells of its pools."""
        return self._desk.gauges() if self._opened is None else self._opened.gauges()

    async def stop(self) -> None:
        """Claim nothing more; what is in hand goes on."""
        self._desk.close()

    async def _ended(self, event: Accepted, wait_s: float) -> int:
        """How many of its deliveries have ended, once all have or the time is up."""
        awaited = self._desk.awaited
        ended = awaited.count(event.id)
        with anyio.move_on_after(wait_s):
            while ended < event.deliveries:
                await awaited.wait(event.id)
                ended = awaited.count(event.id)
                if ended < event.deliveries:
                    ended = await self._lane.office.ended(event.id)
        return ended

    @property
    def _lane(self) -> OpenLane:
        if self._opened is None:
            raise RuntimeError(
                "a request came before the lifespan began; run the app with lifespan"
            )
        return self._opened


def build(setting: ServiceSetting) -> Service:
    """The webhook dispatcher under the lane that the setting names.

    Raises: UsageError for an unknown lane or a setting that cannot work.
    """
    service = Dispatcher(setting)
    app = Starlette(
        routes=[
            _route("/events", service.publish, "POST"),
            _route("/events/{id}", service.show_event, "GET"),
            _route("/deliveries/{id}", service.show_delivery, "GET"),
            _route("/deliveries/{id}/replay", service.replay_one, "POST"),
            _route("/dead-letters", service.dead_letters, "GET"),
            _route("/partners", service.register, "POST"),
            _route("/partners", service.partners, "GET"),
            _route("/partners/{id}", service.show_partner, "GET"),
            _route("/partners/{id}/rotate", service.rotate, "POST"),
            _route("/partners/{id}/enable", service.enable, "POST"),
            _route("/partners/{id}/replay", service.replay_all, "POST"),
            _route("/healthz", service.healthy, "GET"),
        ],
        lifespan=service.lifespan,
        exception_handlers={HTTPException: _http_problem, LabError: _lost, Exception: _failure},
    )
    return Service(app, gauges=service.gauges, end_streams=service.stop)


def _route(path: str, handler: Handler, method: str) -> Route:
    async def answered(request: Request) -> Response:
        try:
            return _reply(await handler(request))
        except contract.ProblemError as exc:
            return _reply(exc.answer)

    return Route(path, answered, methods=[method])


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


async def _lost(request: Request, error: Exception) -> Response:
    _log.warning("%s %s could not be finished: %s", request.method, request.url.path, error)
    return _reply(contract.unfinished())


async def _failure(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return _reply(contract.problem(500, "the service failed; its log says why"))
