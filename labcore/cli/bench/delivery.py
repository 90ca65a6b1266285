"""Killed servers and a network that cuts: does every subscriber get exactly its part of the log?

The truth is the event log in the database, read when all is over. Nothing is excused: each subscriber's
ids must be those of its warehouses, all of them, in order, once; who conflates owes the final state.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from random import Random
from time import monotonic
from typing import Any, Final

import anyio
import httpx
import pandas as pd
import psycopg

from labcore.cli.bench.delivering import (
    Account,
    CuttingProxy,
    EventsSubscriber,
    Judgement,
    Logged,
    SocketSubscriber,
    Subscriber,
    cutting,
    judged,
    last_ids,
    many_streams,
)
from labcore.kernel import LabError, PeerError
from labcore.lanes import Deployment, Stage, StreamKind, scenario

SUMMARY = "deliveries while servers are killed and connections cut: lost, repeated, out of order"

STREAM: Final = "stock"
PUBLISHERS: Final = 8
CONFLATED_SHARE: Final = 0.1
CATCH_UP_S: Final = 120.0
LOOK_S: Final = 0.05
TOKEN_S: Final = 3_600
EVERYTHING: Final = "stock:*"


@dataclass(frozen=True, slots=True)
class Ordeal:
    """What the deliveries go through.

    `mean_cut_bytes` is what a connection carries on average; `protocols` are given out in turn.
    """

    subscribers: int = 500
    events: int = 50_000
    kills: int = 10
    mean_cut_bytes: float = 500_000.0
    protocols: tuple[StreamKind, ...] = ("sse", "websocket")
    seed: int = 1


QUICK: Final = Ordeal(subscribers=50, events=2_000, kills=3, mean_cut_bytes=50_000.0)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an ordeal; `judgement.exact` is the claim that is proved or not."""

    judgement: Judgement
    logged: int
    kills: int
    cuts: int
    reconnects: int
    seconds: float


def run(*, quick: bool, lanes: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a lane: what went wrong on the way, and what was lost, repeated or out of order for it."""
    inventory = scenario("inventory")
    ordeal = QUICK if quick else Ordeal()
    rows = []
    with Stage(inventory, {}) as stage:
        for lane in lanes or [lane.name for lane in inventory.lanes]:
            with stage.deploy(lane) as deployed:
                rows.append({"lane": lane, **row(ordeal, asyncio.run(prove(deployed, ordeal)))})
    return pd.DataFrame(rows)


def row(ordeal: Ordeal, outcome: Outcome) -> dict[str, Any]:
    """An outcome as a row of the table."""
    found = outcome.judgement
    return {
        "subscribers": ordeal.subscribers,
        "events": outcome.logged,
        "kills": outcome.kills,
        "cuts": outcome.cuts,
        "reconnects": outcome.reconnects,
        "delivered": found.delivered,
        "lost": found.lost,
        "repeated": found.repeated,
        "disordered": found.disordered,
        "foreign": found.foreign,
        "gaps": found.gaps,
        "exact": found.exact,
        "seconds": round(outcome.seconds, 1),
    }


async def prove(deployed: Deployment, ordeal: Ordeal) -> Outcome:
    """Subscribe, publish, kill and cut; then judge every subscriber by the log.

    The server is restarted on its own database each time. Raises: PeerError when a subscriber is refused
    or has not caught up in two minutes.
    """
    began_s = monotonic()
    try:
        return await _proved(deployed, ordeal, began_s)
    except* LabError as group:  # out of the task groups as itself
        raise group.exceptions[0] from None


async def _proved(deployed: Deployment, ordeal: Ordeal, began_s: float) -> Outcome:
    ground = await _ground(deployed)
    async with AsyncExitStack() as stack:
        proxy = await stack.enter_async_context(
            cutting(mean_bytes=ordeal.mean_cut_bytes, seed=ordeal.seed)
        )
        proxy.target(deployed.url)
        client = await stack.enter_async_context(many_streams())
        subscribers = await _subscribers(client, deployed.url, proxy, ground, ordeal=ordeal)
        await stack.enter_async_context(_listening(subscribers))
        await _Publishing(deployed, proxy, ground, ordeal).run()
        proxy.calm = True
        log = await asyncio.to_thread(read_log, deployed)
        await _caught_up(subscribers, log)
    return Outcome(
        judgement=judged(log, (subscriber.account for subscriber in subscribers)),
        logged=len(log),
        kills=ordeal.kills,
        cuts=proxy.cuts,
        reconnects=sum(subscriber.reconnects for subscriber in subscribers),
        seconds=monotonic() - began_s,
    )


def read_log(deployed: Deployment) -> list[Logged]:
    """The whole log, from the database and not from the service."""
    url = deployed.site().database_url
    if url is None:
        raise PeerError(f"lane {deployed.lane.name!r} has no database of ours to read the log from")
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT id, body FROM events WHERE stream = %s ORDER BY id", (STREAM,)
        )
        return [Logged.of(event_id, body) for event_id, body in rows]


@dataclass(frozen=True, slots=True)
class _Ground:
    """What there is to change."""

    token: str
    products: tuple[tuple[str, str], ...]  # warehouse, sku

    @property
    def warehouses(self) -> list[str]:
        return sorted({warehouse for warehouse, _ in self.products})


async def _ground(deployed: Deployment) -> _Ground:
    async with httpx.AsyncClient(trust_env=False, base_url=deployed.url) as client:
        token = await _minted(client, "publisher", [EVERYTHING])
        answer = await client.get("/stock", headers=_bearer(token))
        stock = answer.raise_for_status().json()["stock"]
    return _Ground(token, tuple((each["warehouse"], each["sku"]) for each in stock))


async def _minted(client: httpx.AsyncClient, subject: str, scope: list[str]) -> str:
    wish = {"subject": subject, "scope": scope, "ttl_s": TOKEN_S}
    answer = await client.post("/tokens", json=wish)
    token: str = answer.raise_for_status().json()["token"]
    return token


def _bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def _subscribers(
    client: httpx.AsyncClient, url: str, proxy: CuttingProxy, ground: _Ground, *, ordeal: Ordeal
) -> list[Subscriber]:
    """Each with a token for its own part of the warehouses, one in ten of them conflating."""
    draw = Random(ordeal.seed)
    found: list[Subscriber] = []
    async with httpx.AsyncClient(trust_env=False, base_url=url) as minting:
        for number in range(ordeal.subscribers):
            most = max(1, len(ground.warehouses) // 2)
            chosen = draw.sample(ground.warehouses, draw.randint(1, most))
            account = Account(frozenset(chosen), conflated=draw.random() < CONFLATED_SHARE)
            scope = [f"stock:{warehouse}" for warehouse in chosen]
            token = await _minted(minting, f"subscriber-{number}", scope)
            if ordeal.protocols[number % len(ordeal.protocols)] == "sse":
                found.append(EventsSubscriber(client, proxy.url, token=token, account=account))
            else:
                found.append(SocketSubscriber(proxy.url, token=token, account=account))
    return found


@asynccontextmanager
async def _listening(subscribers: Sequence[Subscriber]) -> AsyncIterator[None]:
    async with anyio.create_task_group() as group:
        for subscriber in subscribers:
            group.start_soon(subscriber.listen)
        yield
        group.cancel_scope.cancel()


async def _caught_up(subscribers: Sequence[Subscriber], log: Sequence[Logged]) -> None:
    """Until everybody has the last event due; what is missing before it is for the judge."""
    last = last_ids(log)
    caught_up = 0
    with anyio.move_on_after(CATCH_UP_S):
        for subscriber in subscribers:
            mine = subscriber.account.warehouses
            await subscriber.until(max(last.get(warehouse, 0) for warehouse in mine))
            caught_up += 1
    if caught_up < len(subscribers):
        raise PeerError(
            f"{caught_up} of {len(subscribers)} subscribers had caught up in {CATCH_UP_S:g} s, not all"
        )


class _Publishing:
    """Publishes through kills and restarts, until so many changes were agreed to."""

    def __init__(
        self, deployed: Deployment, proxy: CuttingProxy, ground: _Ground, ordeal: Ordeal
    ) -> None:
        self._deployed = deployed
        self._proxy = proxy
        self._ground = ground
        self._ordeal = ordeal
        self._numbers = count()
        self._published = 0
        self._up = asyncio.Event()
        self._grown = asyncio.Event()

    async def run(self) -> None:
        """Publish all, killing the server as many times as asked, evenly spread."""
        self._up.set()
        async with anyio.create_task_group() as group:
            for number in range(PUBLISHERS):
                group.start_soon(self._publish, number)
            for kill in range(1, self._ordeal.kills + 1):
                await self._until(kill * self._ordeal.events // (self._ordeal.kills + 1))
                await self._kill()

    async def _kill(self) -> None:
        self._up.clear()
        self._proxy.target(await asyncio.to_thread(self._deployed.restart))
        self._up.set()

    async def _until(self, published: int) -> None:
        while self._published < published:
            self._grown.clear()
            await self._grown.wait()

    async def _publish(self, number: int) -> None:
        draw = Random(f"{self._ordeal.seed}/{number}")
        headers = _bearer(self._ground.token)
        async with httpx.AsyncClient(trust_env=False, headers=headers) as client:
            while next(self._numbers) < self._ordeal.events:
                warehouse, sku = draw.choice(self._ground.products)
                change = {"warehouse": warehouse, "delta": draw.choice((-1, 1, 2))}
                await self._change(client, sku, change)
                self._published += 1
                self._grown.set()

    async def _change(self, client: httpx.AsyncClient, sku: str, change: dict[str, Any]) -> None:
        """Again and again until it is agreed to; a change whose answer was lost may be there twice."""
        while True:
            await self._up.wait()
            try:
                url = f"{self._deployed.url}/stock/{sku}/changes"
                answer = await client.post(url, json=change)
            except httpx.TransportError:
                await anyio.sleep(LOOK_S)  # the kill is a moment older than our knowledge of it
                continue
            answer.raise_for_status()
            return
