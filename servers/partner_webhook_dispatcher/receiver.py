"""Partners' endpoints, simulated: the peer of the scenario, one process for all of them, never measured.

    POST /partners/{name}   a delivery; answered as that partner is told to
    PUT  /partners/{name}   how it behaves from now on: {delay_ms, status, retry_after_s, failure_share,
                            failures, hang_share, secret}; what is not named is as at the beginning
    GET  /ledger            ?partner=: what came, a JSON document a line, oldest first

An entry says `verified` when the partner was given a secret: true, or false for a signature that it refused.
The ledger is bounded; the oldest entries leave it.
"""

import asyncio
import json
import random
import time
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from labcore.kernel import UsageError
from labcore.lanes import Service, ServiceSetting, Values
from labcore.protocols.webhook import Secret, SignatureError, verify

LEDGER_ENTRIES = 200_000
ID_HEADER = "webhook-id"


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What one partner does with its deliveries. `failures`: so many first, whatever the share."""

    delay_ms: float = 0.0
    status: int = 200
    retry_after_s: int = 0
    failure_share: float = 0.0
    failures: int = 0
    hang_share: float = 0.0
    secret: Secret | None = field(default=None, repr=False)


class Receiver:
    """All partners. Runs on one event loop."""

    def __init__(self, values: Values) -> None:
        self._values = values
        self._behaviours: dict[str, Behaviour] = {}
        self._failed: Counter[str] = Counter()
        self._ledger: deque[Mapping[str, Any]] = deque(maxlen=LEDGER_ENTRIES)
        self._draw = random.Random(int(values["fault_seed"]))
        self._under_way = 0
        self._stopping = asyncio.Event()

    async def receive(self, request: Request) -> Response:
        """`POST /partners/{name}`."""
        name = request.path_params["name"]
        behaviour = self._behaviours.get(name) or initial(name, self._values)
        try:
            body = await request.body()
        except ClientDisconnect:
            return Response(status_code=408)
        self._under_way += 1
        try:
            if self._draw.random() < behaviour.hang_share:
                await self._until_left(request)
                return Response(status_code=503)
            await asyncio.sleep(behaviour.delay_ms / 1e3)
            return self._answer(name, behaviour, request.headers, body)
        finally:
            self._under_way -= 1

    async def behave(self, request: Request) -> Response:
        """`PUT /partners/{name}`."""
        name = request.path_params["name"]
        try:
            wanted = dict(await request.json())
            if "secret" in wanted:
                wanted["secret"] = Secret.parse(wanted["secret"])
            self._behaviours[name] = replace(initial(name, self._values), **wanted)
        except (ValueError, TypeError, UsageError) as exc:
            return JSONResponse({"detail": f"no behaviour: {type(exc).__name__}"}, 422)
        self._failed[name] = 0
        return JSONResponse({"partner": name})

    async def ledger(self, request: Request) -> Response:
        """`GET /ledger`."""
        wanted = request.query_params.get("partner")
        lines = (
            json.dumps(entry) + "\n"
            for entry in self._ledger
            if wanted is None or entry["partner"] == wanted
        )
        return Response("".join(lines), media_type="application/x-ndjson")

    def gauges(self) -> Mapping[str, float]:
        """For a sampler."""
        return {"deliveries_under_way": self._under_way, "deliveries_seen": len(self._ledger)}

    async def stop(self) -> None:
        """Let go of what hangs."""
        self._stopping.set()

    def _answer(
        self, name: str, behaviour: Behaviour, headers: Mapping[str, str], body: bytes
    ) -> Response:
        status, verified = behaviour.status, None
        if behaviour.secret is not None:
            verified = _verified(headers, body, behaviour.secret)
            status = status if verified else 401
        if self._fails(name, behaviour):
            status = 503
        entry = {
            "partner": name,
            "id": headers.get(ID_HEADER),
            "at_s": time.monotonic(),
            "status": status,
            "verified": verified,
        }
        self._ledger.append(entry)
        patience = {"Retry-After": str(behaviour.retry_after_s)} if behaviour.retry_after_s else {}
        return Response(status_code=status, headers=patience)

    def _fails(self, name: str, behaviour: Behaviour) -> bool:
        if self._failed[name] < behaviour.failures:
            self._failed[name] += 1
            return True
        return self._draw.random() < behaviour.failure_share

    async def _until_left(self, request: Request) -> None:
        """Until the dispatcher gives up, or we stop."""
        leaving = asyncio.ensure_future(request.receive())
        stopping = asyncio.ensure_future(self._stopping.wait())
        await asyncio.wait((leaving, stopping), return_when=asyncio.FIRST_COMPLETED)
        for each in (leaving, stopping):
            each.cancel()


def initial(name: str, values: Values) -> Behaviour:
    """How a partner behaves unless told otherwise: the last ones of a run are the slow, then the hanging."""
    behaviour = Behaviour(
        delay_ms=float(values["partner_ms"]), failure_share=float(values["failure_share"])
    )
    prefix, _, number = name.partition("-")
    if prefix != "partner" or not number.isdigit():
        return Behaviour()
    from_last = int(values["partners"]) - 1 - int(number)
    if from_last < int(values["hanging_partners"]):
        return replace(behaviour, hang_share=1.0)
    if from_last < int(values["hanging_partners"]) + int(values["slow_partners"]):
        return replace(behaviour, delay_ms=float(values["slow_ms"]))
    return behaviour


def build(setting: ServiceSetting) -> Service:
    """The simulated partners."""
    receiver = Receiver(setting.parameters)
    app = Starlette(
        routes=[
            Route("/partners/{name}", receiver.receive, methods=["POST"]),
            Route("/partners/{name}", receiver.behave, methods=["PUT"]),
            Route("/ledger", receiver.ledger, methods=["GET"]),
        ]
    )
    return Service(app, gauges=receiver.gauges, end_streams=receiver.stop)


def _verified(headers: Mapping[str, str], body: bytes, secret: Secret) -> bool:
    try:
        verify(headers, body, secrets=[secret], now_s=time.time())
    except SignatureError:
        return False
    return True
