import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.order_service.contract import (
    ANSWERED,
    OUTCOMES,
    STATUS_CODES,
    Answer,
    ProblemError,
    found,
    is_order_id,
    is_sku,
    placed,
    problem,
    read_order,
    shed,
    stocked,
    too_large,
    too_slow,
)
from servers.order_service.domain import Line, Order, Product, Status, Totals
from servers.order_service.malformed import malformed

GOOD = {"customer": 7, "payment_token": "tok_1", "lines": [{"sku": "CD-0001", "quantity": 2}]}
BODY = json.dumps(GOOD).encode()


def order(status: Status, *, fault: int | None = None) -> Order:
    new = read_order("key", BODY)
    totals = Totals(100, 10, 90) if status is Status.PAID else None
    lines = ({"sku": "CD-0001", "quantity": 2},)
    return Order("ord_1", new.fingerprint, 7, status, lines, totals, None, fault)


def test_a_good_request_becomes_an_order():
    new = read_order("key", BODY)
    assert (new.idempotency_key, new.customer, new.payment_token) == ("key", 7, "tok_1")
    assert new.lines == (Line("CD-0001", 2),)


def test_the_fingerprint_sees_meaning_and_not_spelling():
    spaced = json.dumps(GOOD, indent=3, sort_keys=True).encode()
    other = json.dumps({**GOOD, "customer": 8}).encode()
    assert read_order("a", spaced).fingerprint == read_order("b", BODY).fingerprint
    assert read_order("a", other).fingerprint != read_order("a", BODY).fingerprint


def test_every_malformed_request_names_its_field():
    for field, key, body in malformed():
        if b"CD-99999" in body or b"2147483647" in body:  # only the store can tell
            continue
        with pytest.raises(ProblemError) as caught:
            read_order(key, body)
        assert (caught.value.answer.status, caught.value.answer.document["field"]) == (422, field)


@given(st.one_of(st.none(), st.text()), st.binary(max_size=200))
def test_no_bytes_break_the_reader(key: str | None, body: bytes):
    with pytest.raises(ProblemError):
        read_order(key, body)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=9))
def test_a_refusal_names_the_field_that_was_changed(value: object):
    for name in GOOD:
        body = json.dumps({**GOOD, name: value}).encode()
        field = f"#/{name}"
        with contextlib.suppress(ProblemError):
            assert read_order("key", body).lines
            continue
        with pytest.raises(ProblemError) as caught:
            read_order("key", body)
        assert caught.value.answer.document["field"].startswith(field)


@pytest.mark.parametrize("status", list(Status))
def test_every_end_of_an_order_has_an_answer_with_a_known_outcome(status: Status):
    fault = 0 if status in {Status.OUT_OF_STOCK, Status.REJECTED} else None
    answer = placed(order(status, fault=fault), read_order("key", BODY))
    assert answer.status == STATUS_CODES[status]
    assert answer.status in OUTCOMES
    json.loads(answer.body())


def test_an_order_out_of_stock_names_the_sku():
    answer = placed(order(Status.OUT_OF_STOCK, fault=0), read_order("key", BODY))
    assert (answer.status, answer.document["sku"]) == (409, "CD-0001")


def test_an_unknown_customer_is_named():
    answer = placed(order(Status.REJECTED, fault=-1), read_order("key", BODY))
    assert (answer.status, answer.document["field"]) == (422, "#/customer")


def test_a_paid_order_says_where_it_is():
    answer = placed(order(Status.PAID), read_order("key", BODY))
    assert answer.headers["Location"] == "/orders/ord_1"
    assert (answer.document["total_cents"], answer.media_type) == (90, "application/json")


def test_a_key_used_for_something_else_is_refused():
    other = read_order("key", json.dumps({**GOOD, "customer": 8}).encode())
    answer = placed(order(Status.PAID), other)
    assert (answer.status, answer.document["field"]) == (422, "Idempotency-Key")


def test_a_refusal_says_when_to_come_again():
    assert (shed().status, shed().headers["Retry-After"]) == (503, "1")


def test_a_body_that_is_not_read_closes_the_connection():
    for answer in (too_large(), too_slow(5)):
        assert answer.headers["Connection"] == "close"


def test_a_problem_has_the_members_of_its_standard():
    answer = problem(404, "gone", extra=1)
    assert answer.media_type == "application/problem+json"
    assert set(answer.document) == {"type", "title", "status", "detail", "extra"}


def test_what_cannot_exist_is_not_looked_up():
    assert is_order_id("ord_" + "0" * 20)
    assert not is_order_id("ord_" + "0" * 20 + "\n")
    assert is_sku("CD-0001")
    assert not is_sku("cd\x00")


def test_finding_answers_what_is_there_and_what_is_not():
    assert found(None, "ord_1").status == 404
    assert found(order(Status.PENDING), "ord_1").document["status"] == "pending"
    assert stocked(None, "CD-0001").status == 404
    expected = Answer(200, {"sku": "CD-0001", "price_cents": 5, "stock": 9})
    assert stocked(Product(5, 9), "CD-0001") == expected


def test_only_right_answers_count_as_answered():
    assert {"ok", "declined", "out_of_stock"} == ANSWERED
