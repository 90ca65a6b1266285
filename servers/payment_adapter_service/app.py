"""The payment adapter: one service behind every lane, never measured, in front of a simulated acquirer.

    POST /payments             Idempotency-Key, {amount_cents, payment_token}: 201, 402, 409, 429, 503
    GET  /payments/{key}       what became of a key
    POST /payments/{key}/void  take it back, or make sure that it never happens
    GET  /payments?limit=      the ledger: sums, and the newest entries
    GET|PUT /settings          the simulated acquirer, changeable while it runs
    POST /bad-day              {"seed": 1, "speed": 10}: begin a scripted day of troubles; PUT /settings ends it
    GET  /bad-day              what is on now

One key is one charge at most, however many attempts arrive. Voiding an unknown key leaves a mark, so
that an attempt still under way cannot charge later. The ledger lives in memory and ends with the process.
"""

import asyncio
import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from labcore.kernel import UsageError, new_id
from labcore.lanes import Service, ServiceSetting, Values
from servers.payment_adapter_service.acquirer import (
    Fault,
    RateLimit,
    Settings,
    changed,
    fate,
    in_outage,
)
from servers.payment_adapter_service.bad_day import Scene, bad_day, scene_at
from servers.payment_adapter_service.ledger import MOST_KEYS, Entry, Ledger
from servers.payment_adapter_service.misbehaviour import Dripped, Misbehaviour, Reachable, Reset

MOST_BODY_BYTES = 16 * 1024
LISTED = 1_000  # newest entries in the ledger's document, unless `limit` says otherwise


class Adapter:
    """The ledger and the acquirer before it. Lives on one event loop; nothing in it is thread-safe."""

    def __init__(self, settings: Settings, *, scenes: tuple[Scene, ...] = ()) -> None:
        self._scenes: tuple[Scene, ...] = (Scene(0.0, "as set", settings),)
        self._since_s = time.monotonic()
        self._due = scenes  # a bad day that begins with the first payment
        self._ledger = Ledger()
        self._rate_limit = RateLimit()
        self._misbehaviour = Misbehaviour()
        self._in_flight = self._attempts = 0

    async def authorise(self, request: Request) -> Response:
        """Charge a card once."""
        key = request.headers.get("Idempotency-Key", "")
        document = await _document(request)
        amount, token = document.get("amount_cents"), document.get("payment_token")
        if not key or type(amount) is not int or amount < 1 or not isinstance(token, str):
            return _problem(422, "needs Idempotency-Key, amount_cents >= 1 and payment_token")
        if self._due:
            self._play(self._due)
        now_s = time.monotonic()
        entry = self._ledger.open(key, amount_cents=amount, payment_token=token, now_s=now_s)
        if entry is None:
            return _problem(503, "the ledger is full of payments that may still be voided")
        if entry.amount_cents != amount and entry.status != "voided":
            return _problem(409, f"the key was used for {entry.amount_cents} cents")
        self._in_flight += 1
        try:
            return await self._attempt(request, entry)
        finally:
            self._in_flight -= 1

    async def show(self, request: Request) -> Response:
        """What became of a key."""
        entry = self._ledger.find(request.path_params["key"])
        return _problem(404, "no such key") if entry is None else _json(200, entry.document())

    async def void(self, request: Request) -> Response:
        """Take a charge back, or mark the key so that it is never charged."""
        if self._out():
            return _problem(503, "the acquirer is out (simulated)")
        entry = self._ledger.open(request.path_params["key"], now_s=time.monotonic())
        if entry is None:
            return _problem(503, "the ledger is full of payments that may still be voided")
        entry.status = "voided"
        return _json(200, entry.document())

    async def ledger(self, request: Request) -> Response:
        """Sums over all keys and the newest entries."""
        limit = request.query_params.get("limit", str(LISTED))
        if not limit.isdecimal() or int(limit) > MOST_KEYS:
            return _problem(422, f"limit={limit!r} must be a whole number from 0 to {MOST_KEYS}")
        return _json(200, self._ledger.document(most_listed=int(limit)))

    async def show_settings(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """The acquirer's settings."""
        return _json(200, asdict(self._scene().settings))

    async def change_settings(self, request: Request) -> Response:
        """Change some settings at once, which ends a bad day; outages count from now."""
        try:
            settings = changed(self._scene().settings, await _document(request))
        except UsageError as exc:
            return _problem(422, str(exc))
        self._play((Scene(0.0, "as set", settings),))
        return _json(200, asdict(settings))

    async def begin_bad_day(self, request: Request) -> Response:
        """Begin a scripted day now, its calm as the settings are; the answer is its script."""
        document = await _document(request)
        seed, speed = document.get("seed", 1), document.get("speed", 1.0)
        if type(seed) is not int or isinstance(speed, bool) or not isinstance(speed, int | float):
            return _problem(422, f"seed={seed!r} must be a whole number, speed={speed!r} a number")
        try:
            scenes = bad_day(seed, self._scene().settings, speed=speed)
        except UsageError as exc:
            return _problem(422, str(exc))
        self._play(scenes)
        return _json(200, {"scenes": [asdict(scene) for scene in scenes]})

    async def show_bad_day(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """The scene that is on, and how long the script goes on."""
        left_s = max(0.0, self._scenes[-1].at_s - self._elapsed_s())
        return _json(200, {"scene": self._scene().name, "left_s": left_s})

    def gauges(self) -> Mapping[str, float]:
        """Payments under way, and attempts so far, voids left aside."""
        return {"in_flight": self._in_flight, "attempts_total": self._attempts}

    async def end_streams(self) -> None:
        """Let go of those who hang and drip."""
        self._misbehaviour.end()

    async def _attempt(self, request: Request, entry: Entry) -> Response:
        entry.attempts += 1
        self._attempts += 1
        settings = self._scene().settings
        wait_s = self._rate_limit.wait_s(settings.rate_per_s, now_s=time.monotonic())
        if wait_s > 0:
            return _too_many(wait_s)
        if self._out():
            return _problem(503, "the acquirer is out (simulated)")
        drawn = fate(settings, entry.payment_token, entry.attempts)
        if drawn.fault is Fault.HANG:
            await self._misbehaviour.hang(request.receive)
            return _problem(503, "the client left, or the adapter stops")
        if entry.status == "processing":
            await asyncio.sleep(drawn.latency_s)
            if drawn.fault is Fault.FAILURE:
                return _problem(503, "the acquirer failed (simulated)")
            self._decide(entry, approved=drawn.approved)
        if settings.hold_ms:
            await asyncio.sleep(settings.hold_ms / 1e3)
        return self._spoilt(_verdict(entry), drawn.fault, drip_s=settings.drip_ms / 1e3)

    def _spoilt(self, answer: Response, fault: Fault, *, drip_s: float) -> Response:
        if fault is Fault.RESET:
            return Reset(answer)
        if fault is Fault.DRIP:
            return Dripped(answer, self._misbehaviour, pause_s=drip_s)
        return answer

    def _decide(self, entry: Entry, *, approved: bool) -> None:
        """The one place where money is taken; whoever comes second finds it decided."""
        if entry.status != "processing":
            return
        entry.status = "approved" if approved else "declined"
        if approved:
            entry.id = new_id("pay")
            entry.charges += 1

    def _play(self, scenes: tuple[Scene, ...]) -> None:
        self._scenes, self._due = scenes, ()
        self._since_s = time.monotonic()

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._since_s

    def _scene(self) -> Scene:
        return scene_at(self._scenes, self._elapsed_s())

    def _out(self) -> bool:
        elapsed_s = self._elapsed_s()
        scene = scene_at(self._scenes, elapsed_s)
        return in_outage(scene.settings, elapsed_s - scene.at_s)


def build(setting: ServiceSetting) -> Service:
    """The service, its acquirer set from the scenario's parameters where they name it.

    Raises: UsageError for a value out of range.
    """
    values = setting.parameters
    settings = Settings(
        seed=int(values.get("payment_seed", 1)),
        latency_ms=float(values.get("payment_ms", 20.0)),
        sigma=float(values.get("payment_sigma", 0.5)),
        decline_share=float(values.get("decline_share", 0.0)),
        failure_share=float(values.get("failure_share", 0.0)),
    )
    adapter = Adapter(settings, scenes=_scripted(values, settings))
    routes: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("POST", "/payments", adapter.authorise),
        ("GET", "/payments", adapter.ledger),
        ("GET", "/payments/{key}", adapter.show),
        ("POST", "/payments/{key}/void", adapter.void),
        ("GET", "/settings", adapter.show_settings),
        ("PUT", "/settings", adapter.change_settings),
        ("GET", "/bad-day", adapter.show_bad_day),
        ("POST", "/bad-day", adapter.begin_bad_day),
        ("GET", "/healthz", _healthy),
    ]
    table = [Route(path, endpoint, methods=[method]) for method, path, endpoint in routes]
    return Service(
        Reachable(Starlette(routes=table)), gauges=adapter.gauges, end_streams=adapter.end_streams
    )


def _scripted(values: Values, settings: Settings) -> tuple[Scene, ...]:
    """The day that the parameters ask for; none where the seed is 0."""
    seed = int(values.get("bad_day", 0))
    if seed == 0:
        return ()
    return bad_day(seed, settings, speed=float(values.get("bad_day_speed", 10.0)))


async def _healthy(request: Request) -> Response:  # noqa: ARG001 - Starlette's signature
    return _json(200, {"status": "ok"})


async def _document(request: Request) -> dict[str, Any]:
    """The body as an object; anything else is an empty one, which the caller refuses."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BODY_BYTES:
            return {}
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _verdict(entry: Entry) -> Response:
    if entry.status == "approved":
        return _json(201, {"id": entry.id, "status": entry.status})
    if entry.status == "declined":
        return _problem(402, "the card was declined (simulated)")
    return _problem(409, "the key was voided")


def _too_many(wait_s: float) -> Response:
    answer = _problem(429, "too many attempts a second (simulated)")
    answer.headers["Retry-After"] = str(math.ceil(wait_s))
    return answer


def _json(status: int, document: Mapping[str, Any]) -> Response:
    body = json.dumps(document, separators=(",", ":")).encode()
    return Response(body, status, media_type="application/json")


def _problem(status: int, detail: str) -> Response:
    document = {"type": "about:blank", "status": status, "detail": detail}
    return Response(json.dumps(document), status, media_type="application/problem+json")
