"""The HTTP layer of the order service, one and the same for every lane.

It reads and checks requests, bounds their size and their slowness, admits a bounded number of orders, and
turns answers into bytes. How an order is placed is the lane's business.
"""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from labcore.kernel import LabError
from labcore.lanes import Service, ServiceSetting
from servers.order_service import contract, listing, openapi
from servers.order_service.admission import Admission
from servers.order_service.domain import NewOrder, Order
from servers.order_service.streaming import Streamed, Streams
from servers.order_service.wiring import OpenLane, open_lane, shop_of

_log = logging.getLogger(__name__)


class OrderService:
    """The routes' handlers, behind the admission of orders. Runs on one event loop."""

    def __init__(self, setting: ServiceSetting) -> None:
        self._setting = setting
        self._shop = shop_of(setting)
        self._admission = Admission(
            max_in_flight=int(setting.parameters["max_in_flight"]),
            max_queue=int(setting.parameters["max_queue"]),
        )
        self._streams = Streams(int(setting.parameters["max_streams"]))
        self._body_timeout_s = float(setting.parameters["body_timeout_ms"]) / 1e3
        self._opened: OpenLane | None = None

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:  # noqa: ARG002 - Starlette's signature
        """Open the lane for as long as the server runs."""
        async with open_lane(self._setting, self._shop) as self._opened:
            yield
        self._opened = None

    async def place(self, request: Request) -> Response:
        """`POST /orders`. Whoever is slow or wrong is answered before a place is taken."""
        try:
            body = await self._body(request)
            new = contract.read_order(request.headers.get(contract.KEY_HEADER), body)
        except contract.ProblemError as exc:
            return _reply(exc.answer)
        if not await self._admission.enter():
            return _reply(contract.shed())
        try:
            return _reply(contract.placed(await self._placed(new), new))
        except (LabError, BaseExceptionGroup) as exc:
            if not _is_expected(exc):
                raise
            return _unfinished(exc)
        finally:
            self._admission.leave()

    async def show(self, request: Request) -> Response:
        """`GET /orders/{id}`."""
        order_id = request.path_params["id"]
        known = contract.is_order_id(order_id)
        order = await self._lane.handlers.find_order(order_id) if known else None
        return _reply(contract.found(order, order_id))

    async def list_orders(self, request: Request) -> Response:
        """`GET /orders`: a stream, at most so many at a time; each holds a database connection."""
        try:
            wanted = listing.read_listing(request.query_params)
        except contract.ProblemError as exc:
            return _reply(exc.answer)
        handlers = self._lane.handlers
        return Streamed(
            lambda write: handlers.list_orders(wanted, write),
            self._streams,
            media_type=listing.MEDIA_TYPE,
            refusal=_reply(contract.too_many_streams()),
            failed=_unfinished,
        )

    async def show_product(self, request: Request) -> Response:
        """`GET /products/{sku}`."""
        sku = request.path_params["sku"]
        known = contract.is_sku(sku)
        product = await self._lane.handlers.find_product(sku) if known else None
        return _reply(contract.stocked(product, sku))

    async def healthy(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """`GET /healthz`."""
        return _reply(contract.Answer(200, {"status": "ok", "lane": self._setting.lane}))

    async def describe(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """`GET /openapi.json`."""
        return _reply(contract.Answer(200, openapi.document()))

    def gauges(self) -> Mapping[str, float]:
        """Orders inside and in line, payment calls under way, and what the lane tells of its pools."""
        inner = {} if self._opened is None else self._opened.gauges()
        downstream = {"downstream_in_flight": self._shop.downstream.under_way}
        return {**self._admission.gauges(), **self._streams.gauges(), **downstream, **inner}

    async def end_streams(self) -> None:
        """End the streams; called before the HTTP server stops, which never tells them."""
        await self._streams.end()

    @property
    def _lane(self) -> OpenLane:
        if self._opened is None:
            raise RuntimeError(
                "a request came before the lifespan began; run the app with lifespan"
            )
        return self._opened

    async def _placed(self, new: NewOrder) -> Order:
        try:
            return await self._lane.handlers.place(new)
        except BaseException:  # whatever ended it, the order may be half placed
            self._lane.reconciler.abandon(new.idempotency_key)
            raise

    async def _body(self, request: Request) -> bytes:
        """The whole body. Raises: ProblemError when it is too large or too slow."""
        announced = request.headers.get("Content-Length", "0")
        if announced.isdigit() and int(announced) > contract.MOST_BODY_BYTES:
            raise contract.ProblemError(contract.too_large())
        body = bytearray()
        try:
            with anyio.fail_after(self._body_timeout_s):
                async for chunk in request.stream():
                    body += chunk
                    if len(body) > contract.MOST_BODY_BYTES:
                        raise contract.ProblemError(contract.too_large())
        except (TimeoutError, ClientDisconnect) as exc:
            raise contract.ProblemError(contract.too_slow(self._body_timeout_s)) from exc
        return bytes(body)


def build(setting: ServiceSetting) -> Service:
    """The order service under the lane that the setting names.

    Raises: UsageError for an unknown lane or a setting that cannot work.
    """
    service = OrderService(setting)
    app = Starlette(
        routes=[
            Route("/orders", service.place, methods=["POST"]),
            Route("/orders", service.list_orders, methods=["GET"]),
            Route("/orders/{id}", service.show, methods=["GET"]),
            Route("/products/{sku}", service.show_product, methods=["GET"]),
            Route("/healthz", service.healthy, methods=["GET"]),
            Route("/openapi.json", service.describe, methods=["GET"]),
        ],
        lifespan=service.lifespan,
        exception_handlers={
            HTTPException: _http_problem,
            LabError: _lost,
            Exception: _failure,
        },
    )
    return Service(app, gauges=service.gauges, end_streams=service.end_streams)


def _is_expected(error: BaseException) -> bool:
    """Whether a pool was exhausted or a peer lost, alone or as all the failures of a task group."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(LabError)[1] is None
    return isinstance(error, LabError)


def _unfinished(error: BaseException) -> Response:
    _log.warning("a request could not be finished: %s", error)
    return _reply(contract.unfinished())


def _reply(answer: contract.Answer) -> Response:
    return Response(
        answer.body(), answer.status, headers=answer.headers, media_type=answer.media_type
    )


async def _http_problem(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 500
    return _reply(contract.problem(status, f"{request.method} {request.url.path} is not served"))


async def _lost(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return _unfinished(error)


async def _failure(request: Request, error: Exception) -> Response:  # noqa: ARG001 - Starlette's signature
    return _reply(contract.problem(500, "the service failed; its log says why"))
