"""The checkout in plain `async`/`await`: task groups and a limiter, no operators.

What differs from the reactive lane is the price of the operators; what it shares with it is asyncio.
"""

import time
from dataclasses import dataclass

import anyio
import httpx

from labcore.kernel import PeerError, RefusedError, new_id
from labcore.virtual import AsyncDatabase, send
from servers.order_service import statements
from servers.order_service.domain import (
    DECLINED,
    UNPAID,
    Ending,
    Line,
    NewOrder,
    Order,
    Payment,
    Product,
    Reservation,
    Status,
    quote,
)
from servers.order_service.guard import NO_VERDICT, Guard
from servers.order_service.listing import BATCH_ROWS, Listing, lines
from servers.order_service.payments import (
    Call,
    Shop,
    TransientPaymentError,
    authorisation,
    poll_delays_s,
    read_payment,
    void_url,
)
from servers.order_service.streaming import Write


@dataclass(frozen=True, slots=True)
class StructuredLane:
    """Handlers of the lane `structured`. Cancelling one cancels everything it started."""

    database: AsyncDatabase
    http: httpx.AsyncClient
    shop: Shop
    guard: Guard

    async def place(self, new: NewOrder) -> Order:
        """Place an order, or give the answer that its key already has."""
        order_id = new_id("ord")
        opening = statements.opening(new, order_id, instance=self.shop.instance)
        if await self._one(statements.OPEN_ORDER, opening) is None:
            return await self._first_answer(new)
        discount_bp, reservations = await self._price_and_reserve(order_id, new)
        quoted = quote(reservations, discount_bp)
        if isinstance(quoted, Ending):
            return await self._release(order_id, quoted)
        call = authorisation(self.shop, order_id, token=new.payment_token, totals=quoted)
        try:
            payment = await self._authorise(call)
        except NO_VERDICT:
            voided = not call.sent or await self._void(order_id)
            return await self._release(order_id, UNPAID, void_due=not voided)
        if not payment.approved:
            return await self._release(order_id, DECLINED)
        completing = statements.completing(order_id, reservations, totals=quoted, payment=payment)
        return statements.settled(await self._one(statements.COMPLETE, completing))

    async def find_order(self, order_id: str) -> Order | None:
        """The stored order, or None."""
        row = await self._one(statements.FIND_ORDER, {"id": order_id})
        return None if row is None else statements.order_of(row)

    async def find_product(self, sku: str) -> Product | None:
        """Price and stock, or None."""
        row = await self._one(statements.FIND_PRODUCT, {"sku": sku})
        return None if row is None else statements.product_of(row)

    async def list_orders(self, listing: Listing, write: Write) -> None:
        """Write the orders as fast as they are taken: a full `write` awaits, and the cursor with it."""
        async with self.database.stream(
            listing.sql, listing.parameters, batch_rows=BATCH_ROWS
        ) as batches:
            async for rows in batches:
                await write(lines(rows))

    async def _price_and_reserve(
        self, order_id: str, new: NewOrder
    ) -> tuple[int | None, list[Reservation]]:
        limiter = anyio.CapacityLimiter(self.shop.policy.line_concurrency)
        discounts: list[int | None] = []
        reservations: list[Reservation] = []

        async def find_discount() -> None:
            row = await self._one(statements.FIND_DISCOUNT, {"customer": new.customer})
            discounts.append(None if row is None else row[0])

        async def reserve(index: int, line: Line) -> None:
            async with limiter:
                row = await self._one(
                    statements.RESERVE, statements.reserving(order_id, index, line)
                )
            reservations.append(statements.reservation_of(index, line, row))

        async with anyio.create_task_group() as group:
            group.start_soon(find_discount)
            for index, line in enumerate(new.lines):
                group.start_soon(reserve, index, line)
        return discounts[0], reservations

    async def _authorise(self, call: Call) -> Payment:
        return await self.guard.paying.call_async(lambda: self._attempt(call))

    async def _attempt(self, call: Call) -> Payment:
        call.sent = True
        try:
            with self.shop.downstream:
                reply = await send(
                    self.http,
                    "POST",
                    call.url,
                    json=call.document,
                    headers=call.headers,
                    timeout_s=self.shop.policy.payment_timeout_s,
                )
        except (PeerError, RefusedError) as exc:
            raise TransientPaymentError(f"no answer from the payment adapter: {exc}") from exc
        return read_payment(reply.status, reply.body, retry_after=reply.headers.get("Retry-After"))

    async def _void(self, order_id: str) -> bool:
        """Whether the payment is now certainly void; if not, reconciliation goes on trying."""
        if not self.guard.may_void(time.monotonic()):
            return False
        url, limit_s = void_url(self.shop, order_id), self.shop.policy.payment_timeout_s
        try:
            with self.shop.downstream:
                reply = await send(self.http, "POST", url, timeout_s=limit_s)
        except (PeerError, RefusedError):
            return False
        return reply.status == 200

    async def _release(self, order_id: str, ending: Ending, *, void_due: bool = False) -> Order:
        releasing = statements.releasing(order_id, ending, void_due=void_due)
        return statements.settled(await self._one(statements.RELEASE, releasing))

    async def _first_answer(self, new: NewOrder) -> Order:
        """The order that holds the key, once it is no longer pending or patience ends."""
        delays_s = poll_delays_s(self.shop.policy)
        while True:
            row = await self._one(statements.FIND_BY_KEY, {"key": new.idempotency_key})
            order = statements.settled(row)
            delay_s = next(delays_s, None)
            if order.status is not Status.PENDING or delay_s is None:
                return order
            await anyio.sleep(delay_s)

    async def _one(self, statement: str, values: statements.Parameters) -> statements.Row | None:
        return await self.database.fetch_one(statement, values)
