"""What the checks act with: a shopper, raw connections, and a hand on the simulated acquirer."""

import functools
import itertools
import json
import secrets
import select
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx

from labcore.lanes import NotApplicableError, Site
from servers.order_service.contract import KEY_HEADER
from servers.order_service.history import SCARCE, SCARCE_STOCK, catalogue
from servers.order_service.payments import ADAPTER

PATIENCE_S = 15.0
AT_ONCE = 64
STILL_OPEN = b"still open"
CALM = {
    "distribution": "lognormal",
    "decline_share": 0,
    "failure_share": 0,
    "hang_share": 0,
    "reset_share": 0,
    "drip_share": 0,
    "hold_ms": 0,
    "rate_per_s": 0,
    "outages": [],
}

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Shopper:
    """Somebody who buys at a site and may look into its payment adapter's ledger."""

    site: Site
    http: httpx.Client

    def buy(
        self, lines: Sequence[tuple[str, int]], *, key: str = "", customer: int = 1
    ) -> httpx.Response:
        """The answer to one order; the card's token carries the key."""
        key = key or unique("key")
        order = {
            "customer": customer,
            "payment_token": f"tok_{key}",
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines],
        }
        return self.http.post(f"{self.site.url}/orders", json=order, headers={KEY_HEADER: key})

    def stock(self, sku: str) -> int:
        """How much of a product is left."""
        reply = self.http.get(f"{self.site.url}/products/{sku}")
        return int(reply.raise_for_status().json()["stock"])

    def orders(self, **query: str | int) -> list[dict[str, Any]]:
        """Every order that the stream of `GET /orders` lists."""
        reply = self.http.get(f"{self.site.url}/orders", params=query).raise_for_status()
        return [json.loads(line) for line in reply.content.splitlines()]

    def payments(self, keys: Sequence[str]) -> list[dict[str, Any]]:
        """What the adapter knows about the orders with these keys."""
        tokens = {f"tok_{key}" for key in keys}
        return [entry for entry in self.ledger() if entry["payment_token"] in tokens]

    def ledger(self, *, limit: int = 100_000) -> list[dict[str, Any]]:
        """The newest entries of the adapter's ledger."""
        url = f"{adapter_of(self.site)}/payments?limit={limit}"
        entries: list[dict[str, Any]] = self.http.get(url).raise_for_status().json()["newest"]
        return entries


def regain_trust(shopper: Shopper) -> None:
    """Good orders, as many as a circuit breaker judges by: what an earlier check broke is forgotten.

    One by one as long as the breaker may be trying, then many at once.
    """
    calls = int(shopper.site.parameters.get("breaker_window", 0))
    trials = int(shopper.site.parameters.get("breaker_trial_calls", 0))
    skus = some_products(AT_ONCE)
    with acquirer(shopper.site, latency_ms=0):
        for sku in itertools.islice(itertools.cycle(skus), trials):
            until(functools.partial(_sells, shopper, sku), "a good order is placed")
        replies = at_once(calls, lambda index: shopper.buy([(skus[index % AT_ONCE], 1)]))
    expect({reply.status_code for reply in replies} <= {201}, "good orders are placed")


def _sells(shopper: Shopper, sku: str) -> bool:
    return shopper.buy([(sku, 1)]).status_code == 201


@contextmanager
def shopper_at(site: Site) -> Iterator[Shopper]:
    """A shopper at a site whose acquirer, where we can reach it, is calm meanwhile."""
    limits = httpx.Limits(max_connections=None)
    with httpx.Client(timeout=PATIENCE_S, limits=limits, trust_env=False) as http:
        if ADAPTER in site.peers:
            with acquirer(site):
                yield Shopper(site, http)
        else:
            yield Shopper(site, http)


@contextmanager
def acquirer(site: Site, **settings: Any) -> Iterator[None]:
    """The acquirer calm but for these settings; afterwards it is as it was."""
    url = f"{adapter_of(site)}/settings"
    with httpx.Client(timeout=PATIENCE_S, trust_env=False) as http:
        before = http.get(url).raise_for_status().json()
        http.put(url, json={**CALM, **settings}).raise_for_status()
        try:
            yield
        finally:
            http.put(url, json=before).raise_for_status()


def adapter_of(site: Site) -> str:
    """Where the payment adapter is. Raises: NotApplicableError when we were not told."""
    if ADAPTER not in site.peers:
        raise NotApplicableError("the payment adapter of this site is out of our reach")
    return site.peers[ADAPTER]


def moved(site: Site, url: str) -> Site:
    """The same site at a new address."""
    return replace(site, url=url)


def unique(hint: str) -> str:
    """A key that nobody used before."""
    return f"{hint}-{secrets.token_hex(8)}"


def some_products(count: int) -> list[str]:
    """SKUs of different products of the catalogue, at random."""
    return secrets.SystemRandom().sample([disc.sku for disc in catalogue()], count)


def untouched_rarity(shopper: Shopper) -> str:
    """The SKU of a product of which exactly 50 are left."""
    for disc in SCARCE:
        if shopper.stock(disc.sku) == SCARCE_STOCK:
            return disc.sku
    raise NotApplicableError("all rarities of this database are sold; prepare a fresh one")


def at_once(count: int, action: Callable[[int], T]) -> list[T]:
    """The results of `count` calls, all made at the same time up to `AT_ONCE` of them."""
    with ThreadPoolExecutor(min(max(count, 1), AT_ONCE)) as pool:
        return list(pool.map(action, range(count)))


def until(condition: Callable[[], bool], what: str, *, within_s: float = PATIENCE_S) -> None:
    """Wait for it. Raises: AssertionError naming what did not happen in time."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline_s:
            raise AssertionError(f"not within {within_s:g} s: {what}")
        time.sleep(0.02)


def opened(site: Site) -> socket.socket:
    """A raw connection to the site."""
    parts = urlsplit(site.url)
    return socket.create_connection((parts.hostname, parts.port or 80), timeout=PATIENCE_S)


def order_bytes(sku: str) -> bytes:
    """A whole request for one disc, as it goes over the wire."""
    key = unique("raw")
    lines = [{"sku": sku, "quantity": 1}]
    body = json.dumps({"customer": 1, "payment_token": f"tok_{key}", "lines": lines}).encode()
    head = f"POST /orders HTTP/1.1\r\nHost: x\r\n{KEY_HEADER}: {key}\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


def head_of(connection: socket.socket) -> bytes:
    """Status line and headers of the next answer; what came until then if the connection ends."""
    head = b""
    try:
        while b"\r\n\r\n" not in head:
            part = connection.recv(4096)
            if not part:
                break
            head += part
    except ConnectionResetError:
        return head
    return head


def trickled(connections: Sequence[socket.socket]) -> list[bytes]:
    """The heads of the answers to requests that go on a byte at a time; `STILL_OPEN` where patience ended first."""
    heads = []
    waiting = set(connections)
    deadline_s = time.monotonic() + PATIENCE_S
    while waiting and time.monotonic() < deadline_s:
        answered = select.select(waiting, [], [], 0.2)[0]
        heads += [head_of(connection) for connection in answered]
        waiting.difference_update(answered)
        for connection in waiting:
            with suppress(OSError):  # closed just now: the next select tells
                connection.send(b"a")
    return heads + [STILL_OPEN] * len(waiting)


def status_of(head: bytes) -> int:
    """The status in a head; 0 for a connection closed without an answer, -1 for one left open."""
    if head == STILL_OPEN:
        return -1
    return int(head.split(b" ", 2)[1]) if head.startswith(b"HTTP/1.") else 0


def names(reply: httpx.Response, status: int, field: str) -> None:
    """A problem document of that status which names the field."""
    document = problem_in(reply, status)
    named = document.get("field")
    expect(named == field, f"field {field!r}, got {named!r} for {reply.request.content[:80]!r}")


def problem_in(reply: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer with that status."""
    what = f"{reply.request.method} {reply.request.url.path}"
    expect(reply.status_code == status, f"{what}: {status}, got {reply.status_code}: {reply.text}")
    media_type = reply.headers.get("Content-Type", "")
    expect(media_type == "application/problem+json", f"{what}: a problem, got {media_type!r}")
    document: dict[str, Any] = reply.json()
    expect(document.get("status") == status, f"{what}: status {status} inside, got {document}")
    return document


def expect(true: bool, claim: str) -> None:
    """Python's `assert`, which also holds under `python -O`."""
    if not true:
        raise AssertionError(f"expected {claim}")
