"""Dispatching as one pipeline: claims are the source, and `flat_map` delivers so many of them at once.

Demand is the bound on concurrency: the source claims no more than `flat_map` has asked for.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncGenerator

import anyio
import psycopg

from labcore.kernel import LabError, RefusedError, utc_now
from labcore.reactive import Flux, Mono
from labcore.virtual import AsyncDatabase
from servers.partner_webhook_dispatcher import statements
from servers.partner_webhook_dispatcher.desk import Desk
from servers.partner_webhook_dispatcher.domain import (
    Accepted,
    Claimed,
    NewEvent,
    Outcome,
    PutOff,
    call_of,
    judge,
    put_off,
)
from servers.partner_webhook_dispatcher.pace import LINGER_S, POLL_S, RECOVER_S
from servers.partner_webhook_dispatcher.sending import SendAsync

DATABASE = (LabError, psycopg.Error)

_log = logging.getLogger(__name__)


class ReactiveLane:
    """Handlers of the lane `reactive`. Cancelling `dispatch` cancels its pipeline and waits for it."""

    def __init__(
        self, database: AsyncDatabase, send: SendAsync, *, desk: Desk, concurrency: int
    ) -> None:
        self._database = database
        self._send = send
        self._desk = desk
        self._concurrency = concurrency

    async def accept(self, new: NewEvent) -> Accepted:
        """Store the event with its deliveries, or find the one that its key already has."""
        stored = self._one(statements.ACCEPT, statements.accepting(new))
        return await (
            stored.flat_map(
                lambda row: (
                    self._one(statements.FIND_BY_KEY, {"key": new.key})
                    if row is None
                    else Mono.just(row)
                )
            )
            .map(_found)
            .do_on_next(lambda _: self._desk.ring())
        )

    async def dispatch(self) -> None:
        """Claim and deliver until the desk closes and nothing is in hand."""
        await (
            Flux.from_async_iterable(self._claims)
            .flat_map(self._deliver, concurrency=self._concurrency)
            .then()
        )

    async def _claims(self) -> AsyncGenerator[Claimed, None]:
        while self._desk.is_open:
            try:
                for claimed in await self._claim():
                    yield claimed
                await self._rung()
            except DATABASE as exc:
                _log.warning("claiming waits for the database: %s", exc)
                await anyio.sleep(RECOVER_S)

    async def _claim(self) -> list[Claimed]:
        claiming = self._desk.claiming(time.monotonic())
        if claiming is None:
            return []
        rows = await self._database.fetch_all(statements.CLAIM, claiming)
        claimed = [statements.claimed_of(row) for row in rows]
        self._desk.take(claimed)
        return claimed

    def _deliver(self, claimed: Claimed) -> Mono[int]:
        """One delivery: attempted, then settled; a lost database leaves it to its lease."""
        return (
            self._attempt(claimed)
            .flat_map(lambda result: self._settle(claimed, result))
            .do_on_error(
                lambda exc: _log.warning("delivery %d returns with its lease: %s", claimed.id, exc)
            )
            .on_error_complete(only=DATABASE)
            .do_on_terminate(lambda: self._desk.drop(claimed))
        )

    def _attempt(self, claimed: Claimed) -> Mono[Outcome | PutOff]:
        sent: Mono[Outcome | PutOff] = Mono.from_callable(
            lambda: self._send(call_of(claimed, at=utc_now()))
        )
        guarded = self._desk.policies(claimed.partner_id).operator()
        refused: Mono[Outcome | PutOff] = guarded(sent).on_error_resume(
            lambda exc: Mono.just(put_off(exc)), only=RefusedError
        )
        return refused

    def _settle(self, claimed: Claimed, result: Outcome | PutOff) -> Mono[int]:
        now_s = time.monotonic()
        if isinstance(result, PutOff):
            self._desk.put_off(claimed, result, now_s=now_s)
            return self._execute(statements.PUT_OFF, statements.putting_off(claimed, result))
        verdict = judge(claimed, result, draw=random.random())
        settling = self._desk.settled(claimed, result, verdict, now_s=now_s)
        return self._execute(statements.SETTLE, settling).do_on_next(
            lambda _: self._desk.recorded(claimed, verdict)
        )

    async def _rung(self) -> None:
        """Until something may be due or free."""
        loop = asyncio.get_running_loop()
        bell = asyncio.Event()
        if self._desk.arm(lambda: loop.call_soon_threadsafe(bell.set)):
            with anyio.move_on_after(POLL_S):
                await bell.wait()
        await anyio.sleep(LINGER_S)

    def _one(self, statement: str, values: statements.Parameters) -> Mono[statements.Row | None]:
        return Mono.from_callable(lambda: self._database.fetch_one(statement, values))

    def _execute(self, statement: str, values: statements.Parameters) -> Mono[int]:
        return Mono.from_callable(lambda: self._database.execute(statement, values))


def _found(row: statements.Row | None) -> Accepted:
    assert row is not None, "events are never deleted"
    return statements.accepted_of(row)
