"""Settling what a crash left behind: pending orders of dead servers, and payments still to be voided.

Each server holds a PostgreSQL session lock on its instance number for as long as it lives. The lock goes
with the connection, so a killed server is known to be dead without a heartbeat or a clock: whoever can
take its lock may settle its orders. The payment adapter is the witness: a charge that it knows completes the
order; otherwise the payment is voided, so that it cannot happen later, and the stock goes back.
"""

import logging
import secrets
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import httpx
import psycopg
from anyio.abc import TaskStatus

from labcore.kernel import PeerError, RefusedError
from servers.order_service import statements
from servers.order_service.domain import UNPAID, Payment, Totals, quote
from servers.order_service.guard import Guard
from servers.order_service.payments import Shop, payment_url, read_charge, void_url

ROUND_S = 1.0
TIMEOUT_S = 5.0

_LOCK = "SELECT pg_advisory_lock(%(instance)s)"
_TRY_LOCK = "SELECT pg_try_advisory_lock(%(instance)s)"
_UNLOCK = "SELECT pg_advisory_unlock(%(instance)s)"

_log = logging.getLogger(__name__)

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


def new_instance() -> int:
    """A number for one running server: 62 random bits, which fit an advisory lock."""
    return secrets.randbits(62)


class Reconciler:
    """Settles unsettled orders, at the start and then every second. Runs on one event loop.

    Its one connection is not from the pool: it neither waits for a place nor takes one.
    """

    def __init__(self, url: str, http: httpx.AsyncClient, *, shop: Shop, guard: Guard) -> None:
        self._url = url
        self._http = http
        self._shop = shop
        self._guard = guard
        self._abandoned: set[str] = set()

    def abandon(self, idempotency_key: str) -> None:
        """Hand over an order of this very server that failed on the way: a lost database, a fault."""
        self._abandoned.add(idempotency_key)

    async def run(self, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED) -> None:
        """Go on until cancelled; started once this server's own lock is held.

        A round that fails is logged and tried again, on a new connection where the old one is lost.

        Raises: psycopg.Error when the database cannot be reached at the start.
        """
        async with self._locked() as connection:
            task_status.started()
            await self._rounds(connection)
        while True:
            await anyio.sleep(ROUND_S)
            try:
                async with self._locked() as connection:
                    await self._rounds(connection)
            except psycopg.Error as exc:
                _log.warning("reconciliation waits for the database: %s", exc)

    async def _rounds(self, connection: Connection) -> None:
        """Round after round, until the connection is lost."""
        while not connection.closed:
            try:
                await self.settle_all(connection)
            except (psycopg.Error, httpx.TransportError, PeerError, RefusedError) as exc:
                _log.warning("reconciliation will be tried again: %s", exc)
            await anyio.sleep(ROUND_S)

    async def settle_all(self, connection: Connection) -> int:
        """One round; the number of orders settled.

        Raises: psycopg.Error, httpx.TransportError, PeerError when database or adapter do not answer;
            RefusedError while the breaker lets nobody ask the adapter.
        """
        keys = sorted(self._abandoned)
        wanted = {"instance": self._shop.instance, "keys": keys}
        settled = 0
        for order_id, instance, status, customer in await _rows(
            connection, statements.FIND_UNSETTLED, wanted
        ):
            if status != "pending":
                await self._void(order_id)
                await _rows(connection, statements.FORGET_VOID, {"id": order_id})
            elif instance == self._shop.instance or await _is_dead(connection, instance):
                await self._settle(connection, order_id, customer=customer)
            else:
                continue
            settled += 1
        self._abandoned.difference_update(keys)
        return settled

    async def _settle(self, connection: Connection, order_id: str, *, customer: int) -> None:
        """Complete an order whose charge is known and right; void and release any other."""
        reply = await self._http.get(payment_url(self._shop, order_id), timeout=TIMEOUT_S)
        charge = read_charge(reply.status_code, reply.content)
        held = await _rows(connection, statements.FIND_RESERVATIONS, {"order_id": order_id})
        reservations = [statements.held_of(row) for row in held]
        found = await _rows(connection, statements.FIND_DISCOUNT, {"customer": customer})
        totals = quote(reservations, found[0][0] if found else None)
        if charge is not None and isinstance(totals, Totals) and totals.total_cents == charge[1]:
            payment = Payment(approved=True, payment_id=charge[0])
            values = statements.completing(order_id, reservations, totals=totals, payment=payment)
            await _rows(connection, statements.COMPLETE, values)
            return
        await self._void(order_id)
        await _rows(connection, statements.RELEASE, statements.releasing(order_id, UNPAID))

    async def _void(self, order_id: str) -> None:
        if not self._guard.may_void(time.monotonic()):
            raise RefusedError("the breaker is open: the payment adapter is left in peace")
        reply = await self._http.post(void_url(self._shop, order_id), timeout=TIMEOUT_S)
        if reply.status_code != 200:
            raise PeerError(f"the payment adapter answered {reply.status_code} to a void, not 200")

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[Connection]:
        """A connection that holds this server's lock, closed even when we are cancelled."""
        connection = await psycopg.AsyncConnection.connect(self._url, autocommit=True)
        try:
            await connection.execute(_LOCK, {"instance": self._shop.instance})
            yield connection
        finally:
            with anyio.CancelScope(shield=True):
                await connection.close()


async def _is_dead(connection: Connection, instance: int) -> bool:
    """Whether nobody holds the lock of that server."""
    ((taken,),) = await _rows(connection, _TRY_LOCK, {"instance": instance})
    if taken:
        await connection.execute(_UNLOCK, {"instance": instance})
    return bool(taken)


async def _rows(
    connection: Connection, statement: str, values: statements.Parameters
) -> Sequence[tuple[Any, ...]]:
    cursor = await connection.execute(statement, values)
    return await cursor.fetchall()
