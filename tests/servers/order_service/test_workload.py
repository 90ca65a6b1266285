import json
import random
from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from servers.order_service.contract import read_order
from servers.order_service.history import catalogue, discounts
from servers.order_service.workload import MOST_LINES, CheckoutWorkload, split

WORKLOAD = CheckoutWorkload()


def orders(seed: int, count: int):
    return WORKLOAD.requests(seed=seed, count=count, parameters={})


def test_the_same_seed_makes_the_same_requests():
    assert orders(1, 50) == orders(1, 50)
    assert orders(1, 50) != orders(2, 50)


def test_a_longer_workload_begins_like_a_shorter_one():
    assert orders(3, 60)[:20] == orders(3, 20)


def test_every_request_is_a_valid_order_of_a_known_customer_for_known_products():
    known = {disc.sku for disc in catalogue()}
    keys: Counter[str] = Counter()
    for request in orders(4, 2_000):
        new = read_order(dict(request.headers)["Idempotency-Key"], request.body)
        assert new.customer in discounts()
        assert {line.sku for line in new.lines} <= known
        keys[new.idempotency_key] += 1
    assert max(keys.values()) == 1


def test_prices_paid_follow_the_history():
    prices = {disc.sku: disc.price_cents for disc in catalogue()}
    lines = [line for each in orders(5, 2_000) for line in json.loads(each.body)["lines"]]
    units = sum(line["quantity"] for line in lines)
    mean_cents = sum(prices[line["sku"]] * line["quantity"] for line in lines) / units
    assert 1_300 < mean_cents < 1_700  # the history's mean is 1,489


@given(st.integers(1, 99), st.integers())
def test_a_split_loses_no_unit(units: int, seed: int):
    parts = split(units, random.Random(seed))
    assert sum(parts) == units
    assert 1 <= len(parts) <= MOST_LINES
    assert min(parts) >= 1


def test_statuses_have_their_words():
    assert [WORKLOAD.outcome(status) for status in (201, 402, 503, 500)] == [
        "ok",
        "declined",
        "shed",
        "failed",
    ]
    assert "shed" not in WORKLOAD.answered
