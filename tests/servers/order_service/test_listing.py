import json
from typing import Any

import pytest

from servers.order_service.contract import ProblemError
from servers.order_service.listing import Listing, lines, read_listing

ID = "ord_" + "0a" * 10
ROW: tuple[Any, ...] = (ID, "print", 7, "paid", [{"sku": "A"}], 100, 10, 90, "pay_1", None)


def test_a_query_says_which_orders():
    assert read_listing({}) == Listing(None, "")
    assert read_listing({"after": ID, "customer": "12"}) == Listing(12, ID)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"after": "ord_1"}, "after"),
        ({"after": "'; DROP TABLE orders"}, "after"),
        ({"customer": ""}, "customer"),
        ({"customer": "-1"}, "customer"),
        ({"customer": "0"}, "customer"),
        ({"customer": "2147483648"}, "customer"),
        ({"customer": "9" * 5_000}, "customer"),
        ({"customer": "²"}, "customer"),
    ],
)
def test_a_wrong_query_is_refused_by_name(query: dict[str, str], field: str):
    with pytest.raises(ProblemError) as refused:
        read_listing(query)
    assert refused.value.answer.status == 422
    assert refused.value.answer.document["field"] == field


def test_a_row_is_a_line():
    data = lines([ROW, ROW])
    one, other = data.splitlines()
    assert one == other
    assert data.endswith(b"\n")
    assert json.loads(one)["total_cents"] == 90
