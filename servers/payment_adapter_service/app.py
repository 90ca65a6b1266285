"""The payment adapter: one service behind every lane, never measured, in front of a simulated acquirer.

    POST /payments             Idempotency-Key, {amount_cents, payment_token}: 201, 402, 409, 503
    GET  /payments/{key}       what became of a key
    POST /payments/{key}/void  take it back, or make sure that it never happens
    GET  /payments             the ledger: sums, and the newest entries
    GET|PUT /settings          the simulated acquirer, changeable while it runs

One key is one charge at most, however many attempts arrive. Voiding an unknown key leaves a mark, so
that an attempt still under way cannot charge later. The ledger lives in memory and ends with the process.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from labcore.kernel import UsageError, new_id
from labcore.lanes import Service, ServiceSetting
from servers.payment_adapter_service.acquirer import Settings, changed, fate, in_outage

MOST_BODY_BYTES = 16 * 1024
MOST_LISTED = 1_000


@dataclass(slots=True)
class Entry:
    """One key of the ledger. `charges` is how often money was taken: 0 or 1, or the adapter is broken."""

    key: str
    amount_cents: int = 0
    payment_token: str = ""
    status: str = "processing"  # approved, declined, voided
    id: str = ""
    attempts: int = 0
    charges: int = 0


class Adapter:
    """The ledger and the acquirer before it. Lives on one event loop; nothing in it is thread-safe."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._set_at_s = time.monotonic()
        self._ledger: dict[str, Entry] = {}
        self._in_flight = 0

    async def authorise(self, request: Request) -> Response:
        """Charge a card once."""
        key = request.headers.get("Idempotency-Key", "")
        document = await _document(request)
        amount, token = document.get("amount_cents"), document.get("payment_token")
        if not key or type(amount) is not int or amount < 1 or not isinstance(token, str):
            return _problem(422, "needs Idempotency-Key, amount_cents >= 1 and payment_token")
        entry = self._ledger.setdefault(key, Entry(key, amount, token))
        if entry.amount_cents != amount and entry.status != "voided":
            return _problem(409, f"the key was used for {entry.amount_cents} cents")
        self._in_flight += 1
        try:
            return await self._attempt(entry)
        finally:
            self._in_flight -= 1

    async def show(self, request: Request) -> Response:
        """What became of a key."""
        entry = self._ledger.get(request.path_params["key"])
        return _problem(404, "no such key") if entry is None else _json(200, asdict(entry))

    async def void(self, request: Request) -> Response:
        """Take a charge back, or mark the key so that it is never charged."""
        if self._out():
            return _problem(503, "the acquirer is out (simulated)")
        key = request.path_params["key"]
        entry = self._ledger.setdefault(key, Entry(key))
        entry.status = "voided"
        return _json(200, asdict(entry))

    async def ledger(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """Sums over all keys and the newest entries."""
        counts = Counter(entry.status for entry in self._ledger.values())
        newest = islice(reversed(self._ledger.values()), MOST_LISTED)
        charged_twice = sum(entry.charges > 1 for entry in self._ledger.values())
        sums = {"counts": counts, "charged_twice": charged_twice}
        return _json(200, {**sums, "newest": [asdict(entry) for entry in newest]})

    async def show_settings(self, request: Request) -> Response:  # noqa: ARG002 - Starlette's signature
        """The acquirer's settings."""
        return _json(200, asdict(self._settings))

    async def change_settings(self, request: Request) -> Response:
        """Change some settings at once; outages count from now."""
        try:
            self._settings = changed(self._settings, await _document(request))
        except UsageError as exc:
            return _problem(422, str(exc))
        self._set_at_s = time.monotonic()
        return _json(200, asdict(self._settings))

    def gauges(self) -> Mapping[str, float]:
        """Payments under way."""
        return {"in_flight": self._in_flight}

    async def _attempt(self, entry: Entry) -> Response:
        entry.attempts += 1
        if self._out():
            return _problem(503, "the acquirer is out (simulated)")
        if entry.status == "processing":
            drawn = fate(self._settings, entry.payment_token, entry.attempts)
            await asyncio.sleep(drawn.latency_s)
            if drawn.fails:
                return _problem(503, "the acquirer failed (simulated)")
            self._decide(entry, approved=drawn.approved)
        if self._settings.hold_ms:
            await asyncio.sleep(self._settings.hold_ms / 1e3)
        return _verdict(entry)

    def _decide(self, entry: Entry, *, approved: bool) -> None:
        """The one place where money is taken; whoever comes second finds it decided."""
        if entry.status != "processing":
            return
        entry.status = "approved" if approved else "declined"
        if approved:
            entry.id = new_id("pay")
            entry.charges += 1

    def _out(self) -> bool:
        return in_outage(self._settings, time.monotonic() - self._set_at_s)


def build(setting: ServiceSetting) -> Service:
    """The service, its acquirer set from the scenario's parameters where they name it."""
    values = setting.parameters
    adapter = Adapter(
        Settings(
            seed=int(values.get("payment_seed", 1)),
            latency_ms=float(values.get("payment_ms", 20.0)),
            sigma=float(values.get("payment_sigma", 0.5)),
            decline_share=float(values.get("decline_share", 0.0)),
            failure_share=float(values.get("failure_share", 0.0)),
        )
    )
    routes: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        ("POST", "/payments", adapter.authorise),
        ("GET", "/payments", adapter.ledger),
        ("GET", "/payments/{key}", adapter.show),
        ("POST", "/payments/{key}/void", adapter.void),
        ("GET", "/settings", adapter.show_settings),
        ("PUT", "/settings", adapter.change_settings),
        ("GET", "/healthz", _healthy),
    ]
    table = [Route(path, endpoint, methods=[method]) for method, path, endpoint in routes]
    return Service(Starlette(routes=table), gauges=adapter.gauges)


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


def _json(status: int, document: Mapping[str, Any]) -> Response:
    body = json.dumps(document, separators=(",", ":")).encode()
    return Response(body, status, media_type="application/json")


def _problem(status: int, detail: str) -> Response:
    document = {"type": "about:blank", "status": status, "detail": detail}
    return Response(json.dumps(document), status, media_type="application/problem+json")
