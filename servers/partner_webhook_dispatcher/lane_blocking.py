"""Dispatching in plain blocking code, run unchanged by the lanes `threads` and `virtual`.

Nothing here knows on what it runs: database, HTTP, sleep and executor are injected. One thread claims, and each
delivery has a thread to itself, which waits for the rate, the endpoint and the database.
"""

import logging
import random
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial

import psycopg

from labcore.kernel import LabError, RefusedError, utc_now
from labcore.virtual import BlockingExecutor, World
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
from servers.partner_webhook_dispatcher.sending import Send

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Shift:
    """What the work is done with: the world, who delivers, how an attempt is sent, and how it is given up."""

    world: World
    couriers: BlockingExecutor
    send: Send
    desk: Desk
    abandon: Callable[[Future[None]], object]


def accept(shift: Shift, new: NewEvent) -> Accepted:
    """Store the event with its deliveries, or find the one that its key already has."""
    database = shift.world.database
    row = database.fetch_one(statements.ACCEPT, statements.accepting(new))
    if row is None:
        row = database.fetch_one(statements.FIND_BY_KEY, {"key": new.key})
        assert row is not None, "events are never deleted"
    shift.desk.ring()
    return statements.accepted_of(row)


def dispatch(shift: Shift) -> None:
    """Claim and deliver until the desk closes and nothing is in hand."""
    deliveries: set[Future[None]] = set()
    try:
        while shift.desk.is_open:
            _round(shift, deliveries)
        for delivery in list(deliveries):
            delivery.result()
    except BaseException:  # interrupted: nothing goes on that nobody waits for
        for delivery in list(deliveries):
            shift.abandon(delivery)
        raise


def _round(shift: Shift, deliveries: set[Future[None]]) -> None:
    try:
        for claimed in _claim(shift):
            delivery = shift.couriers.submit(_deliver, shift, claimed)
            deliveries.add(delivery)
            delivery.add_done_callback(deliveries.discard)
        _rung(shift)
    except (LabError, psycopg.Error) as exc:
        _log.warning("claiming waits for the database: %s", exc)
        shift.world.sleep(RECOVER_S)


def _claim(shift: Shift) -> list[Claimed]:
    claiming = shift.desk.claiming(shift.world.now_s())
    if claiming is None:
        return []
    claimed = [
        statements.claimed_of(row)
        for row in shift.world.database.fetch_all(statements.CLAIM, claiming)
    ]
    shift.desk.take(claimed)
    return claimed


def _deliver(shift: Shift, claimed: Claimed) -> None:
    try:
        _settle(shift, claimed, _attempt(shift, claimed))
    except (LabError, psycopg.Error) as exc:
        _log.warning("delivery %d returns with its lease: %s", claimed.id, exc)
    shift.desk.drop(claimed)


def _attempt(shift: Shift, claimed: Claimed) -> Outcome | PutOff:
    policies = shift.desk.policies(claimed.partner_id)
    try:
        return policies.call(lambda: shift.send(call_of(claimed, at=utc_now())), shift.world)
    except RefusedError as exc:
        return put_off(exc)


def _settle(shift: Shift, claimed: Claimed, result: Outcome | PutOff) -> None:
    database, now_s = shift.world.database, shift.world.now_s()
    if isinstance(result, PutOff):
        shift.desk.put_off(claimed, result, now_s=now_s)
        database.execute(statements.PUT_OFF, statements.putting_off(claimed, result))
        return
    verdict = judge(claimed, result, draw=random.random())
    settling = shift.desk.settled(claimed, result, verdict, now_s=now_s)
    database.execute(statements.SETTLE, settling)
    shift.desk.recorded(claimed, verdict)


def _rung(shift: Shift) -> None:
    """Until something may be due or free."""
    latch = shift.couriers.latch()
    if shift.desk.arm(partial(latch.set_result, None)):
        try:
            latch.result(POLL_S)
        except TimeoutError:
            return
    shift.world.sleep(LINGER_S)
