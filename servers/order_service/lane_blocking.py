"""The checkout in plain blocking code, run unchanged by the lanes `threads` and `virtual`.

Nothing here knows on what it runs: database, HTTP, sleep and scope come with the world. On a platform
thread each wait blocks the thread; on a virtual one it parks, and the carrier runs somebody else.
"""

from collections.abc import Callable, Generator
from contextlib import closing

from labcore.kernel import PeerError, RefusedError, new_id
from labcore.virtual import World
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


def place_order(world: World, shop: Shop, guard: Guard, new: NewOrder) -> Order:
    """Place an order, or give the answer that its key already has."""
    order_id = new_id("ord")
    opening = statements.opening(new, order_id, instance=shop.instance)
    if _one(world, statements.OPEN_ORDER, opening) is None:
        return _first_answer(world, shop, new)
    discount_bp, reservations = _price_and_reserve(world, shop, new, order_id=order_id)
    quoted = quote(reservations, discount_bp)
    if isinstance(quoted, Ending):
        return _release(world, order_id, quoted)
    call = authorisation(shop, order_id, token=new.payment_token, totals=quoted)
    try:
        payment = _authorise(world, shop, guard, call)
    except NO_VERDICT:
        voided = not call.sent or _void(world, shop, guard, order_id)
        return _release(world, order_id, UNPAID, void_due=not voided)
    if not payment.approved:
        return _release(world, order_id, DECLINED)
    completing = statements.completing(order_id, reservations, totals=quoted, payment=payment)
    return statements.settled(_one(world, statements.COMPLETE, completing))


def find_order(world: World, order_id: str) -> Order | None:
    """The stored order, or None."""
    row = _one(world, statements.FIND_ORDER, {"id": order_id})
    return None if row is None else statements.order_of(row)


def find_product(world: World, sku: str) -> Product | None:
    """Price and stock, or None."""
    row = _one(world, statements.FIND_PRODUCT, {"sku": sku})
    return None if row is None else statements.product_of(row)


def list_orders(world: World, listing: Listing, write: Callable[[bytes], None]) -> None:
    """Write the orders as fast as they are taken.

    A stream holds its thread to the end: while the reader is slow, a platform thread blocks in `write`,
    a virtual one parks there.
    """
    with closing(_batches(world, listing)) as batches:
        for batch in batches:
            write(batch)


def _batches(world: World, listing: Listing) -> Generator[bytes, None, None]:
    streaming = world.database.stream(listing.sql, listing.parameters, batch_rows=BATCH_ROWS)
    with streaming as batches:
        for rows in batches:
            yield lines(rows)


def _price_and_reserve(
    world: World, shop: Shop, new: NewOrder, *, order_id: str
) -> tuple[int | None, list[Reservation]]:
    with world.scope(limit=shop.policy.line_concurrency) as scope:
        discount = scope.fork(_discount_bp, world, new.customer)
        lines = [
            scope.fork(_reserve, world, order_id, index, line)
            for index, line in enumerate(new.lines)
        ]
        scope.join()
    return discount.result(), [line.result() for line in lines]


def _discount_bp(world: World, customer: int) -> int | None:
    row = _one(world, statements.FIND_DISCOUNT, {"customer": customer})
    return None if row is None else row[0]


def _reserve(world: World, order_id: str, index: int, line: Line) -> Reservation:
    row = _one(world, statements.RESERVE, statements.reserving(order_id, index, line))
    return statements.reservation_of(index, line, row)


def _authorise(world: World, shop: Shop, guard: Guard, call: Call) -> Payment:
    return guard.paying.call(lambda: _attempt(world, shop, call), world)


def _attempt(world: World, shop: Shop, call: Call) -> Payment:
    call.sent = True
    limit_s = shop.policy.payment_timeout_s
    try:
        with shop.downstream:
            reply = world.http.post(
                call.url, headers=call.headers, json=call.document, timeout_s=limit_s
            )
    except (PeerError, RefusedError) as exc:
        raise TransientPaymentError(f"no answer from the payment adapter: {exc}") from exc
    return read_payment(reply.status, reply.body, retry_after=reply.headers.get("Retry-After"))


def _void(world: World, shop: Shop, guard: Guard, order_id: str) -> bool:
    """Whether the payment is now certainly void; if not, reconciliation goes on trying."""
    if not guard.may_void(world.now_s()):
        return False
    limit_s = shop.policy.payment_timeout_s
    try:
        with shop.downstream:
            reply = world.http.post(void_url(shop, order_id), timeout_s=limit_s)
    except (PeerError, RefusedError):
        return False
    return reply.status == 200


def _release(world: World, order_id: str, ending: Ending, *, void_due: bool = False) -> Order:
    releasing = statements.releasing(order_id, ending, void_due=void_due)
    return statements.settled(_one(world, statements.RELEASE, releasing))


def _first_answer(world: World, shop: Shop, new: NewOrder) -> Order:
    """The order that holds the key, once it is no longer pending or patience ends."""
    delays_s = poll_delays_s(shop.policy)
    while True:
        row = _one(world, statements.FIND_BY_KEY, {"key": new.idempotency_key})
        order = statements.settled(row)
        delay_s = next(delays_s, None)
        if order.status is not Status.PENDING or delay_s is None:
            return order
        world.sleep(delay_s)


def _one(world: World, statement: str, values: statements.Parameters) -> statements.Row | None:
    return world.database.fetch_one(statement, values)
