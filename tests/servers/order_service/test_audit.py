"""An audit that could not fail would prove nothing: each book, falsified."""

from collections import Counter
from typing import Any

import pytest

from servers.order_service import audit

PAID: dict[str, Any] = {
    "status": "paid",
    "total_cents": 90,
    "payment_id": "pay_1",
    "lines": [{"sku": "A", "quantity": 2}],
}
CHARGE: dict[str, Any] = {"status": "approved", "charges": 1, "amount_cents": 90, "id": "pay_1"}


def test_books_that_agree_pass():
    audit._agree_with_ledger({"o": PAID}, {"o": CHARGE})
    audit._agree_with_stock({"o": PAID}, before={"A": 5}, after={"A": 3})
    audit._agree_with_answers({"k": [503, 201, 201]}, Counter(paid=1))


@pytest.mark.parametrize(
    "falsified",
    [{"charges": 2}, {"amount_cents": 91}, {"id": "pay_2"}, {"status": "voided"}],
)
def test_a_paid_order_without_exactly_its_charge_is_found(falsified: dict[str, Any]):
    with pytest.raises(AssertionError):
        audit._agree_with_ledger({"o": PAID}, {"o": {**CHARGE, **falsified}})
    with pytest.raises(AssertionError):
        audit._agree_with_ledger({"o": PAID}, {})


def test_a_charge_left_of_an_unpaid_order_is_found():
    with pytest.raises(AssertionError, match="no charge left of unpaid order o"):
        audit._agree_with_ledger({"o": {**PAID, "status": "unpaid"}}, {"o": CHARGE})


@pytest.mark.parametrize("after", [{"A": 2}, {"A": 4}])
def test_stock_that_went_without_a_payment_or_stayed_is_found(after: dict[str, int]):
    with pytest.raises(AssertionError, match="stock gone is stock paid for"):
        audit._agree_with_stock({"o": PAID}, before={"A": 5}, after=after)


@pytest.mark.parametrize(
    ("statuses", "ends"),
    [
        ([201, 504], Counter(paid=1)),  # two ends for one key
        ([503], Counter()),  # no end
        ([500], Counter()),
        ([201], Counter()),  # an order lost
        ([504], Counter(paid=1)),  # paid, and the customer told otherwise
    ],
)
def test_answers_that_contradict_the_orders_are_found(statuses: list[int], ends: Counter[str]):
    with pytest.raises(AssertionError):
        audit._agree_with_answers({"k": statuses}, ends)
