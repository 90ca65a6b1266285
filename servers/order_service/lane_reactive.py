"""The checkout as one pipeline: what is to happen, composed first and run when it is awaited.

`flat_map` with bounded concurrency reserves the lines, `zip_with` brings in the customer's discount,
`timeout` limits each payment attempt, and the guard's operators stand around all of them.
"""

import time
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass
from typing import Any

import httpx

from labcore.kernel import new_id
from labcore.reactive import Flux, Mono
from labcore.virtual import AsyncDatabase
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
    Totals,
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

UNANSWERED = (TimeoutError, httpx.TransportError)


@dataclass(frozen=True, slots=True)
class Quoted:
    """An opened order with what was reserved for it, and what it costs or why it ends."""

    order_id: str
    new: NewOrder
    reservations: list[Reservation]
    quote: Totals | Ending


class ReactiveLane:
    """Handlers of the lane `reactive`. Cancelling one cancels its pipeline and waits for the clean-up."""

    def __init__(
        self, database: AsyncDatabase, http: httpx.AsyncClient, *, shop: Shop, guard: Guard
    ) -> None:
        self._database = database
        self._http = http
        self._shop = shop
        self._guard = guard
        self._paying = guard.paying.operator()

    async def place(self, new: NewOrder) -> Order:
        """Place an order, or give the answer that its key already has."""
        order_id = new_id("ord")
        opening = statements.opening(new, order_id, instance=self._shop.instance)
        return await self._one(statements.OPEN_ORDER, opening).flat_map(
            lambda row: (
                self._first_answer(new, poll_delays_s(self._shop.policy))
                if row is None
                else self._price_and_reserve(order_id, new).flat_map(self._pay)
            )
        )

    async def find_order(self, order_id: str) -> Order | None:
        """The stored order, or None."""
        row = await self._one(statements.FIND_ORDER, {"id": order_id})
        return None if row is None else statements.order_of(row)

    async def find_product(self, sku: str) -> Product | None:
        """Price and stock, or None."""
        row = await self._one(statements.FIND_PRODUCT, {"sku": sku})
        return None if row is None else statements.product_of(row)

    async def list_orders(self, listing: Listing, write: Write) -> None:
        """Write the orders as fast as they are taken: each write asks for one batch more, no further."""
        await (
            Flux.from_async_iterable(lambda: self._batches(listing))
            .limit_rate(1)
            .map(lines)
            .concat_map(lambda batch: Mono.from_callable(lambda: write(batch)))
            .then()
        )

    async def _batches(self, listing: Listing) -> AsyncGenerator[list[tuple[Any, ...]], None]:
        streaming = self._database.stream(listing.sql, listing.parameters, batch_rows=BATCH_ROWS)
        async with streaming as batches:
            async for rows in batches:
                yield rows

    def _price_and_reserve(self, order_id: str, new: NewOrder) -> Mono[Quoted]:
        reserved = (
            Flux.from_iterable(new.lines)
            .index()
            .flat_map(
                lambda numbered: self._reserve(order_id, *numbered),
                concurrency=self._shop.policy.line_concurrency,
            )
            .collect_list()
        )
        return reserved.zip_with(self._discount_bp(new.customer)).map(
            lambda both: Quoted(order_id, new, both[0], quote(*both))
        )

    def _reserve(self, order_id: str, index: int, line: Line) -> Mono[Reservation]:
        reserving = statements.reserving(order_id, index, line)
        return self._one(statements.RESERVE, reserving).map(
            lambda row: statements.reservation_of(index, line, row)
        )

    def _discount_bp(self, customer: int) -> Mono[int | None]:
        found = self._one(statements.FIND_DISCOUNT, {"customer": customer})
        return found.map(lambda row: None if row is None else row[0])

    def _pay(self, quoted: Quoted) -> Mono[Order]:
        totals = quoted.quote
        if isinstance(totals, Ending):
            return self._release(quoted.order_id, totals)
        token = quoted.new.payment_token
        call = authorisation(self._shop, quoted.order_id, token=token, totals=totals)
        return self._authorise(call).flat_map(
            lambda payment: (
                self._give_up(quoted.order_id, call)
                if payment is None
                else self._close(quoted, totals, payment)
            )
        )

    def _give_up(self, order_id: str, call: Call) -> Mono[Order]:
        """No verdict: void what may have been charged, and release."""
        voided: Mono[bool] = Mono.just(not call.sent)
        if call.sent and self._guard.may_void(time.monotonic()):
            voided = self._void(order_id)
        return voided.flat_map(lambda done: self._release(order_id, UNPAID, void_due=not done))

    def _close(self, quoted: Quoted, totals: Totals, payment: Payment) -> Mono[Order]:
        """Store what the payment's verdict makes of the order."""
        if not payment.approved:
            return self._release(quoted.order_id, DECLINED)
        completing = statements.completing(
            quoted.order_id, quoted.reservations, totals=totals, payment=payment
        )
        return self._one(statements.COMPLETE, completing).map(statements.settled)

    def _authorise(self, call: Call) -> Mono[Payment | None]:
        """The adapter's verdict, or None when no attempt brought one."""

        async def exchange() -> httpx.Response:
            call.sent = True
            with self._shop.downstream:
                return await self._http.post(
                    call.url, headers=call.headers, json=call.document, timeout=None
                )

        asked: Mono[httpx.Response] = Mono.from_callable(exchange)
        attempt = (
            asked.timeout(self._shop.policy.payment_timeout_s)
            .on_error_map(_transient, only=UNANSWERED)
            .map(_verdict)
        )
        return self._paying(attempt).on_error_return(None, only=NO_VERDICT)

    def _void(self, order_id: str) -> Mono[bool]:
        """Whether the payment is now certainly void; if not, reconciliation goes on trying."""

        async def exchange() -> httpx.Response:
            with self._shop.downstream:
                return await self._http.post(void_url(self._shop, order_id), timeout=None)

        asked: Mono[httpx.Response] = Mono.from_callable(exchange)
        return (
            asked.timeout(self._shop.policy.payment_timeout_s)
            .map(lambda reply: reply.status_code == 200)
            .on_error_return(False, only=UNANSWERED)
        )

    def _release(self, order_id: str, ending: Ending, *, void_due: bool = False) -> Mono[Order]:
        releasing = statements.releasing(order_id, ending, void_due=void_due)
        return self._one(statements.RELEASE, releasing).map(statements.settled)

    def _first_answer(self, new: NewOrder, delays_s: Iterator[float]) -> Mono[Order]:
        """The order that holds the key, once it is no longer pending or patience ends."""
        return (
            self._one(statements.FIND_BY_KEY, {"key": new.idempotency_key})
            .map(statements.settled)
            .flat_map(lambda order: self._patient(order, new, delays_s))
        )

    def _patient(self, order: Order, new: NewOrder, delays_s: Iterator[float]) -> Mono[Order]:
        delay_s = next(delays_s, None)
        if order.status is not Status.PENDING or delay_s is None:
            return Mono.just(order)
        return Mono.delay(delay_s).flat_map(lambda _: self._first_answer(new, delays_s))

    def _one(self, statement: str, values: statements.Parameters) -> Mono[statements.Row | None]:
        return Mono.from_callable(lambda: self._database.fetch_one(statement, values))


def _verdict(reply: httpx.Response) -> Payment | None:
    retry_after = reply.headers.get("Retry-After")
    return read_payment(reply.status_code, reply.content, retry_after=retry_after)


def _transient(error: Exception) -> Exception:
    return TransientPaymentError(f"no answer from the payment adapter: {error!r}")
