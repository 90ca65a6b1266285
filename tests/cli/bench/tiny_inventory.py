# ruff: noqa: ARG002, D102  -  shapes that Starlette and protocols give
"""The smallest service that speaks the inventory's wire, and that can be told to resume wrongly.

It is the ground on which the delivery proof, the strangers and the page are tested by themselves: each
subscriber reads the log for itself, tokens and tickets are words without meaning.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import anyio
import psycopg
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from labcore.lanes import (
    Lane,
    Parameter,
    Scenario,
    Service,
    ServiceSetting,
    Values,
)
from labcore.lanes import (
    Request as Asked,
)
from labcore.protocols import sse
from labcore.stores import AsyncDatabase, event_log
from servers.inventory_service.live_page import routes

STREAM: Final = "stock"
WAREHOUSES: Final = ("east", "north", "south", "west")
PRODUCTS: Final = 10
CHANGE: Final = """
UPDATE stock SET quantity = quantity + %(delta)s
WHERE warehouse = %(warehouse)s AND sku = %(sku)s RETURNING quantity
"""
RESUMED: Final[dict[str, Callable[[int], int]]] = {
    "": lambda last_id: last_id,
    "loses": lambda last_id: last_id + 1,
    "repeats": lambda last_id: max(0, last_id - 1),
}


def prepare(url: str, values: Values) -> None:
    """A hundred pieces of each product."""
    with psycopg.connect(url) as connection:
        connection.execute(event_log.SCHEMA)
        connection.execute(
            "CREATE TABLE stock (warehouse text, sku text, quantity int, PRIMARY KEY (warehouse, sku))"
        )
        connection.execute(
            "INSERT INTO stock SELECT warehouse, 'sku-' || lpad(number::text, 2, '0'), 100"
            " FROM unnest(%s::text[]) AS warehouse, generate_series(1, %s) AS number",
            (list(WAREHOUSES), PRODUCTS),
        )


class Tiny:
    """The handlers. `fault` says what becomes of those who resume."""

    def __init__(self, setting: ServiceSetting) -> None:
        assert setting.database_url is not None
        self._url = setting.database_url
        self._resumed = RESUMED[str(setting.parameters["fault"])]

    @asynccontextmanager
    async def lifespan(self, app: Starlette) -> AsyncIterator[None]:
        async with (
            AsyncDatabase(self._url, size=5) as self.database,
            event_log.tail(self._url) as self.tail,
        ):
            yield

    async def mint(self, request: Request) -> JSONResponse:
        return JSONResponse({"token": "a-word", "ticket": "a-word", "expires_in_s": 30})

    async def stock(self, request: Request) -> JSONResponse:
        """The quantities, and the id of the last event in them."""
        asked = request.query_params.get("warehouse")
        chosen = asked.split(",") if asked else list(WAREHOUSES)
        id_and_rows = await self.database.fetch_all(
            "SELECT coalesce((SELECT last_id FROM event_streams), 0), sku, warehouse, quantity"
            " FROM stock WHERE warehouse = ANY(%(chosen)s) ORDER BY warehouse, sku",
            {"chosen": chosen},
        )
        names = ("sku", "warehouse", "quantity")
        stock = [dict(zip(names, row[1:], strict=True)) for row in id_and_rows]
        last_id = id_and_rows[0][0]
        return JSONResponse({"warehouses": list(WAREHOUSES), "stock": stock, "id": last_id})

    async def change(self, request: Request) -> JSONResponse:
        asked = {**await request.json(), "sku": request.path_params["sku"]}
        async with self.database.transaction() as transaction:
            row = await transaction.fetch_one(CHANGE, asked)
            assert row is not None
            body = {**asked, "quantity": row[0], "published_ns": time.monotonic_ns()}
            event = event_log.NewEvent("stock", body)
            last_id = await event_log.append(transaction, STREAM, [event])
        return JSONResponse({**body, "id": last_id})

    async def events(self, request: Request) -> sse.EventStream:
        query = request.query_params
        last_id = request.headers.get("Last-Event-ID", query.get("last_event_id"))
        return sse.EventStream(Following(self.follow(query["warehouse"].split(","), last_id)))

    async def socket(self, socket: WebSocket) -> None:
        await socket.accept()
        asked = await socket.receive_json()

        async def send() -> None:
            async with aclosing(self.follow(asked["warehouses"], asked["last_id"])) as batches:
                async for batch in batches:
                    for document in batch:
                        await socket.send_text(json.dumps(document))

        async with anyio.create_task_group() as group:
            group.start_soon(send)
            while (await socket.receive())["type"] != "websocket.disconnect":
                pass
            group.cancel_scope.cancel()

    async def follow(
        self, warehouses: Sequence[str], last_id: str | None
    ) -> AsyncGenerator[list[dict[str, Any]], None]:
        """What of the log these warehouses are owed, from the last id on."""
        found = await event_log.span(self.database, STREAM)
        after_id = found.last_id if last_id is None else self._resumed(int(last_id))
        if found.lost_after(after_id):
            first_kept = min(found.first_id, found.last_id + 1)
            yield [{"type": "gap", "from": after_id + 1, "to": first_kept - 1}]
            after_id = first_kept - 1
        batches = event_log.follow(self.database, self.tail, STREAM, after_id=after_id)
        async with aclosing(batches):
            async for batch in batches:
                yield [
                    {"id": event.id, **event.body}
                    for event in batch
                    if event.body["warehouse"] in warehouses
                ]


class Following:
    """One subscriber's frames."""

    def __init__(self, batches: AsyncGenerator[list[dict[str, Any]], None]) -> None:
        self._queue: asyncio.Queue[bytes] = asyncio.Queue()
        self._task = asyncio.create_task(self._fill(batches))

    async def _fill(self, batches: AsyncGenerator[list[dict[str, Any]], None]) -> None:
        try:
            async with aclosing(batches):
                async for batch in batches:
                    for document in batch:
                        kind = document.get("type", "stock")
                        event_id = str(document["to" if kind == "gap" else "id"])
                        frame = sse.encode(json.dumps(document), event=kind, event_id=event_id)
                        self._queue.put_nowait(frame)
        finally:
            self._queue.put_nowait(b"")  # whatever ended it, the stream ends too

    async def take(self) -> bytes:
        return await self._queue.get()

    def attach(self, outlet: Callable[[bytes], bool]) -> None:
        pass

    def close(self) -> None:
        self._task.cancel()


def build(setting: ServiceSetting) -> Service:
    """The service."""
    tiny = Tiny(setting)
    app = Starlette(
        routes=[
            *routes(),
            Route("/tokens", tiny.mint, methods=["POST"]),
            Route("/tickets", tiny.mint, methods=["POST"]),
            Route("/stock", tiny.stock),
            Route("/stock/events", tiny.events),
            WebSocketRoute("/stock/socket", tiny.socket),
            Route("/stock/{sku}/changes", tiny.change, methods=["POST"]),
        ],
        lifespan=tiny.lifespan,
    )
    return Service(app)


class NoWorkload:
    """Nothing is measured here."""

    answered: frozenset[str] = frozenset()

    def requests(self, *, seed: int, count: int, parameters: Values) -> list[Asked]:
        return []

    def outcome(self, status: int) -> str:
        return "ok"


SCENARIO = Scenario(
    name="tiny-inventory",
    title="The smallest inventory",
    question="Do the tools work?",
    lanes=(Lane("structured", "async/await", "a task", "-", f"{__name__}:build"),),
    baseline="structured",
    workload=NoWorkload(),
    parameters=(Parameter("fault", "", "", "loses, repeats: what becomes of those who resume"),),
    prepare=prepare,
)
