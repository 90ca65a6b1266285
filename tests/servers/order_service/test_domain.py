from fractions import Fraction
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from servers.order_service.domain import (
    CUSTOMER_FAULT,
    Ending,
    Reservation,
    Status,
    Totals,
    find_fault,
    loyalty_bp,
    priced_lines,
    quote,
    total,
)

HELD = st.builds(
    Reservation,
    line=st.integers(0, 19),
    sku=st.just("CD-0001"),
    quantity=st.integers(1, 999),
    price_cents=st.integers(1, 100_000),
    held=st.just(True),
)
ORDERS = st.lists(HELD, min_size=1, max_size=20, unique_by=lambda each: each.line)


@given(ORDERS, st.integers(0, 10_000))
def test_the_discount_is_rounded_half_up_to_the_cent(
    reservations: list[Reservation], discount_bp: int
):
    totals = total(reservations, discount_bp)
    exact = Fraction(totals.subtotal_cents * discount_bp, 10_000)
    amounts = [line["amount_cents"] for line in priced_lines(reservations)]
    assert totals.subtotal_cents == sum(amounts)
    assert -Fraction(1, 2) < totals.discount_cents - exact <= Fraction(1, 2)
    assert totals.total_cents == totals.subtotal_cents - totals.discount_cents >= 0


@given(ORDERS, st.integers(0, 10_000), st.randoms())
def test_the_order_in_which_reservations_finish_changes_nothing(
    reservations: list[Reservation], discount_bp: int, random: Random
):
    shuffled = random.sample(reservations, len(reservations))
    assert total(shuffled, discount_bp) == total(reservations, discount_bp)
    assert priced_lines(shuffled) == priced_lines(reservations)


def test_half_a_cent_of_discount_goes_to_the_customer():
    assert total([Reservation(0, "CD-0001", 1, 50, held=True)], 100) == Totals(50, 1, 49)


def test_an_unknown_customer_ends_the_order():
    held = Reservation(0, "CD-0001", 1, 100, held=True)
    assert quote([held], None) == Ending(Status.REJECTED, CUSTOMER_FAULT)


def test_the_first_line_out_of_stock_is_named():
    lines = [Reservation(line, "CD-0001", 1, 100, held=line == 0) for line in (2, 0, 1)]
    assert find_fault(lines) == Ending(Status.OUT_OF_STOCK, 1)


def test_an_unknown_product_is_named_before_missing_stock():
    lines = [
        Reservation(0, "CD-0001", 1, 100, held=False),
        Reservation(1, "X", 1, None, held=False),
    ]
    assert quote(lines, 0) == Ending(Status.REJECTED, 1)


def test_loyalty_never_falls_with_more_purchases():
    earned = [loyalty_bp(purchases) for purchases in range(30)]
    assert earned == sorted(earned)
    assert {0, 250, 500, 1_000} == set(earned)
