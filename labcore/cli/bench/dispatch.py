"""Killed dispatchers and partners that fail: is every event delivered, or dead with its reason?

The truth is the database, read when all is over, beside what the partners took. Several dispatchers share
one database; each in turn is killed with SIGKILL while it delivers, and started anew.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from random import Random
from time import monotonic
from typing import Any, Final

import anyio
import httpx
import pandas as pd
import psycopg

from labcore.cli.bench.dispatching import (
    Endpoints,
    Judgement,
    Published,
    Stored,
    conducts,
    judged,
)
from labcore.kernel import LabError, PeerError
from labcore.lanes import Child, DatabaseServer, Scenario, ServiceSetting, Values, hosted, scenario

SUMMARY = "webhooks while dispatchers are killed and partners fail: lost, doubled, out of order"

RECEIVER: Final = "partner-receiver"
PUBLISHERS: Final = 16
KILLING_SHARE: Final = 0.85  # of the events: the last kill; a partner that is down takes none
READY_S: Final = 60.0
SETTLE_S: Final = 120.0  # without any progress
LOOK_S: Final = 0.1
RETRY_S: Final = 0.05
VALUES: Final[Values] = {
    "attempts": 15,
    "retry_base_ms": 100.0,
    "retry_ceiling_ms": 2_000.0,
    "timeout_ms": 4_000.0,
    "lease_s": 5.0,
    "breaker_wait_ms": 500.0,
    "disable_after_failures": 20,
    "disable_after_s": 4.0,
    "probe_s": 1.0,
    "give_up_s": 6.0,
    "workers": 128,
}
_ENDS: Final = "SELECT event_id, partner_id, status, reason FROM deliveries"
_PENDING: Final = "SELECT count(*) FROM deliveries WHERE status = 'pending'"
_ATTEMPTS: Final = "SELECT count(*) FROM attempts"


@dataclass(frozen=True, slots=True)
class Ordeal:
    """What the deliveries go through. Each event goes to one of the partners."""

    events: int = 100_000
    kills: int = 20
    partners: int = 20
    ordered: int = 4
    dispatchers: int = 2
    seed: int = 1


QUICK: Final = Ordeal(events=2_000, kills=3)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an ordeal; `judgement.exact` is the claim that is proved or not."""

    judgement: Judgement
    kills: int
    attempts: int
    seconds: float


def run(*, quick: bool, lanes: Sequence[str] | None = None) -> pd.DataFrame:
    """One row a lane: what the partners did to it, and what was lost, doubled or out of order for it."""
    webhooks = scenario("webhooks")
    ordeal = QUICK if quick else Ordeal()
    rows = []
    with DatabaseServer() as server:
        for lane in lanes or [lane.name for lane in webhooks.lanes]:
            outcome = asyncio.run(prove(webhooks, lane, server, ordeal=ordeal))
            rows.append({"lane": lane, **row(ordeal, outcome)})
    return pd.DataFrame(rows)


def row(ordeal: Ordeal, outcome: Outcome) -> dict[str, Any]:
    """An outcome as a row of the table."""
    found = outcome.judgement
    return {
        "events": ordeal.events,
        "partners": ordeal.partners,
        "kills": outcome.kills,
        "attempts": outcome.attempts,
        "delivered": found.delivered,
        "dead": found.dead,
        "doubled": found.duplicates,
        "unexplained": found.unexplained,
        "lost": found.lost,
        "disordered": found.disordered,
        "foreign": found.foreign,
        "exact": found.exact,
        "seconds": round(outcome.seconds, 1),
    }


async def prove(
    webhooks: Scenario, lane: str, server: DatabaseServer, *, ordeal: Ordeal
) -> Outcome:
    """Publish, deliver, kill; then judge every event by the database and by what the partners took.

    Raises: PeerError when a dispatcher does not start, or nothing more is settled for two minutes.
    """
    began_s = monotonic()
    values = webhooks.values(
        {**VALUES, "partners": ordeal.partners, "ordered_partners": ordeal.ordered}
    )
    url = server.create("webhooks")
    try:
        assert webhooks.prepare is not None
        webhooks.prepare(url, values)
        return await _proved(webhooks, lane, url, ordeal=ordeal, values=values, began_s=began_s)
    except* LabError as group:  # out of the task groups as itself
        raise group.exceptions[0] from None
    finally:
        server.drop(url)


async def _proved(
    webhooks: Scenario, lane: str, url: str, *, ordeal: Ordeal, values: Values, began_s: float
) -> Outcome:
    names = [f"partner-{number:03}" for number in range(ordeal.partners)]
    endpoints = Endpoints(conducts(names), ordeal.seed)
    async with endpoints.listening(), AsyncExitStack() as cleanup:
        setting = ServiceSetting(
            lane=lane, parameters=values, database_url=url, peers={RECEIVER: endpoints.url}
        )
        target = webhooks.lane(lane).target
        fleet = await cleanup.enter_async_context(_fleet(target, setting, ordeal.dispatchers))
        press = Press(fleet, await _types(fleet.urls[0]), ordeal)
        async with anyio.create_task_group() as group:
            group.start_soon(press.publish_all)
            for number in range(1, ordeal.kills + 1):
                share = KILLING_SHARE * number / ordeal.kills
                await _until(endpoints, url, after=int(share * ordeal.events))
                await fleet.kill_next()
        await _until(endpoints, url, after=None)
    rows = await _rows(url, _ENDS)
    judgement = judged(
        press.published,
        [Stored(*each) for each in rows],
        endpoints.receipts,
        ordered=names[: ordeal.ordered],
        kills_s=fleet.kills_s,
    )
    ((attempts,),) = await _rows(url, _ATTEMPTS)
    return Outcome(judgement, len(fleet.kills_s), int(attempts), monotonic() - began_s)


@dataclass
class Fleet:
    """Dispatchers on one database, by number; a killed one comes back at another address."""

    target: str
    setting: ServiceSetting
    children: list[Child] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)
    kills_s: list[float] = field(default_factory=list)

    def launch(self, number: int) -> None:
        """Start one and wait until it serves. Raises: PeerError."""
        child = hosted(self.target, self.setting, name=f"dispatcher-{number}")
        child.start()
        self.children[number:] = [child, *self.children[number + 1 :]]
        url = child.wait_ready(READY_S)["url"]
        self.urls[number:] = [url, *self.urls[number + 1 :]]

    async def kill_next(self) -> None:
        """Kill the next in turn with SIGKILL and start it anew."""
        number = len(self.kills_s) % len(self.children)
        self.kills_s.append(monotonic())
        await anyio.to_thread.run_sync(self.children[number].kill)
        await anyio.to_thread.run_sync(self.launch, number)

    def stop(self) -> None:
        """Stop all."""
        for child in self.children:
            child.stop()


@asynccontextmanager
async def _fleet(target: str, setting: ServiceSetting, size: int) -> AsyncIterator[Fleet]:
    fleet = Fleet(target, setting)
    try:
        for number in range(size):
            await anyio.to_thread.run_sync(fleet.launch, number)
        yield fleet
    finally:
        with anyio.CancelScope(shield=True):
            await anyio.to_thread.run_sync(fleet.stop)


class Press:
    """Publishes the events, each until a dispatcher says that it is stored.

    A partner that wants order has a publisher to itself, who waits for each answer.
    """

    def __init__(self, fleet: Fleet, types: dict[str, str], ordeal: Ordeal) -> None:
        self.published: list[Published] = []
        self._fleet = fleet
        self._types = types
        self._draw = Random(ordeal.seed)
        names = list(types)
        chosen = [names[number % len(names)] for number in range(ordeal.events)]
        in_order = names[: ordeal.ordered]
        others = [name for name in chosen if name not in in_order]
        self._queues = [
            *([name for name in chosen if name == wanted] for wanted in in_order),
            *(others[start::PUBLISHERS] for start in range(PUBLISHERS)),
        ]

    async def publish_all(self) -> None:
        """All of them; returns when all are stored."""
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(limits=limits, timeout=10.0, trust_env=False) as http,
            anyio.create_task_group() as group,
        ):
            for number, queue in enumerate(self._queues):
                group.start_soon(self._publish, http, f"p{number}", queue)

    async def _publish(self, http: httpx.AsyncClient, name: str, partners: Sequence[str]) -> None:
        for number, partner in enumerate(partners):
            event = {"type": self._types[partner], "data": {"number": number, "by": name}}
            event_id = await self._stored(http, f"{name}-{number}", event)
            self.published.append(Published(event_id, partner))

    async def _stored(self, http: httpx.AsyncClient, key: str, event: dict[str, Any]) -> str:
        for _ in count():
            url = self._draw.choice(self._fleet.urls)
            try:
                reply = await http.post(
                    f"{url}/events", json=event, headers={"Idempotency-Key": key}
                )
            except httpx.TransportError:  # killed: another dispatcher, the same key
                await anyio.sleep(RETRY_S)
                continue
            if reply.status_code == 202:
                return str(reply.json()["id"])
            if reply.status_code != 503:
                raise PeerError(f"POST /events answered {reply.status_code}: {reply.text[:200]}")
            await anyio.sleep(RETRY_S)
        raise AssertionError("count never ends")


async def _types(url: str) -> dict[str, str]:
    """What each partner subscribes to."""
    async with httpx.AsyncClient(trust_env=False) as http:
        found: dict[str, str] = {}
        after = ""
        while page := (await http.get(f"{url}/partners?after={after}")).json()["partners"]:
            found |= {each["id"]: each["types"][0] for each in page}
            after = page[-1]["id"]
    return found


async def _until(endpoints: Endpoints, url: str, *, after: int | None) -> None:
    """Until so much was taken, or nothing is pending. Raises: PeerError without progress."""
    seen, since_s = -1, monotonic()
    while True:
        if after is not None and len(endpoints.receipts) >= after:
            return
        ((pending,),) = await _rows(url, _PENDING)
        if after is None and pending == 0:
            return
        progress = len(endpoints.receipts) - pending
        if progress != seen:
            seen, since_s = progress, monotonic()
        elif monotonic() - since_s > SETTLE_S:
            raise PeerError(f"{pending} deliveries stay pending for {SETTLE_S:g} s")
        await anyio.sleep(LOOK_S)


async def _rows(url: str, statement: str) -> list[tuple[Any, ...]]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        return await (await connection.execute(statement.encode())).fetchall()
