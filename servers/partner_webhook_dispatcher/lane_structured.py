"""Dispatching in plain `async`/`await`: one task group owns every delivery in hand.

What differs from the reactive lane is the price of the operators; what it shares with it is asyncio.
"""

import asyncio
import logging
import random
import time
from dataclasses import dataclass

import anyio
import psycopg

from labcore.kernel import LabError, RefusedError, utc_now
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

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StructuredLane:
    """Handlers of the lane `structured`. Cancelling `dispatch` cancels every delivery it began."""

    database: AsyncDatabase
    send: SendAsync
    desk: Desk

    async def accept(self, new: NewEvent) -> Accepted:
        """Store the event with its deliveries, or find the one that its key already has."""
        row = await self.database.fetch_one(statements.ACCEPT, statements.accepting(new))
        if row is None:
            row = await self.database.fetch_one(statements.FIND_BY_KEY, {"key": new.key})
            assert row is not None, "events are never deleted"
        self.desk.ring()
        return statements.accepted_of(row)

    async def dispatch(self) -> None:
        """Claim and deliver until the desk closes and nothing is in hand."""
        async with anyio.create_task_group() as group:
            while self.desk.is_open:
                try:
                    for claimed in await self._claim():
                        group.start_soon(self._deliver, claimed)
                    await self._rung()
                except (LabError, psycopg.Error) as exc:
                    _log.warning("claiming waits for the database: %s", exc)
                    await anyio.sleep(RECOVER_S)

    async def _claim(self) -> list[Claimed]:
        claiming = self.desk.claiming(time.monotonic())
        if claiming is None:
            return []
        rows = await self.database.fetch_all(statements.CLAIM, claiming)
        claimed = [statements.claimed_of(row) for row in rows]
        self.desk.take(claimed)
        return claimed

    async def _deliver(self, claimed: Claimed) -> None:
        try:
            await self._settle(claimed, await self._attempt(claimed))
        except (LabError, psycopg.Error) as exc:
            _log.warning("delivery %d returns with its lease: %s", claimed.id, exc)
        self.desk.drop(claimed)

    async def _attempt(self, claimed: Claimed) -> Outcome | PutOff:
        policies = self.desk.policies(claimed.partner_id)
        try:
            return await policies.call_async(lambda: self.send(call_of(claimed, at=utc_now())))
        except RefusedError as exc:
            return put_off(exc)

    async def _settle(self, claimed: Claimed, result: Outcome | PutOff) -> None:
        now_s = time.monotonic()
        if isinstance(result, PutOff):
            self.desk.put_off(claimed, result, now_s=now_s)
            await self.database.execute(statements.PUT_OFF, statements.putting_off(claimed, result))
            return
        verdict = judge(claimed, result, draw=random.random())
        settling = self.desk.settled(claimed, result, verdict, now_s=now_s)
        await self.database.execute(statements.SETTLE, settling)
        self.desk.recorded(claimed, verdict)

    async def _rung(self) -> None:
        """Until something may be due or free."""
        loop = asyncio.get_running_loop()
        bell = asyncio.Event()
        if self.desk.arm(lambda: loop.call_soon_threadsafe(bell.set)):
            with anyio.move_on_after(POLL_S):
                await bell.wait()
        await anyio.sleep(LINGER_S)
