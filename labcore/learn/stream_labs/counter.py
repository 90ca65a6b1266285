"""The stock server of the streaming chapter: one hub, and for each subscriber the policy it asks for."""

import asyncio
import json
import random
import time
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from labcore.lanes import Service, ServiceSetting
from labcore.protocols import Frame, Hub, Slow, sse

TARGET: Final = f"{__name__}:build"
POLICIES: Final = {
    "conflate": Slow.CONFLATE,
    "disconnect": Slow.DISCONNECT,
    "drop": Slow.DROP_OLDEST,
}


class Counter:
    """The stock, and everybody who watches it."""

    def __init__(self, *, skus: int, most: int, padding_bytes: int, seed: int) -> None:
        self.hub = Hub()
        self._stock = {f"sku-{number:02}": 100 for number in range(1, skus + 1)}
        self._most = most
        self._padding = "x" * padding_bytes
        self._draw = random.Random(seed)
        self._last_id = 0

    async def events(self, request: Request) -> sse.EventStream:
        """`GET /stock/events?slow=conflate|disconnect|drop`."""
        slow = POLICIES[request.query_params["slow"]]
        return sse.EventStream(self.hub.subscribe(slow, most=self._most))

    async def stock(self, _: Request) -> JSONResponse:
        """`GET /stock`: the quantities as they are, and what the hub counted."""
        return JSONResponse({"stock": self._stock, "hub": dict(self.hub.gauges())})

    async def sell(self, request: Request) -> JSONResponse:
        """`POST /sales` `{"count", "rate_per_s"}`: change the stock so often at that rate, then answer."""
        asked = await request.json()
        began_s = time.monotonic()
        for number in range(asked["count"]):
            ahead_s = began_s + number / asked["rate_per_s"] - time.monotonic()
            await asyncio.sleep(max(0.0, ahead_s))
            self._change()
        return JSONResponse({"id": self._last_id})

    def _change(self) -> None:
        sku = self._draw.choice(list(self._stock))
        self._stock[sku] += self._draw.choice((-1, 1))
        self._last_id += 1
        document = {
            "id": self._last_id,
            "sku": sku,
            "quantity": self._stock[sku],
            "published_ns": time.monotonic_ns(),
            "padding": self._padding,
        }
        data = sse.encode(json.dumps(document), event="stock", event_id=str(self._last_id))
        self.hub.publish(Frame(data, key=sku))

    async def end(self) -> None:
        """Before the server stops."""
        self.hub.end()


def build(setting: ServiceSetting) -> Service:
    """The service; its settings are the arguments of `Counter`."""
    given = setting.parameters
    counter = Counter(
        skus=int(given["skus"]),
        most=int(given["most"]),
        padding_bytes=int(given["padding_bytes"]),
        seed=int(given["seed"]),
    )
    routes = [
        Route("/stock/events", counter.events),
        Route("/stock", counter.stock),
        Route("/sales", counter.sell, methods=["POST"]),
    ]
    return Service(Starlette(routes=routes), end_streams=counter.end)
