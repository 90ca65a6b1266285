import itertools

import pytest

from labcore.kernel import PeerError, UsageError
from servers.order_service import SCENARIO
from servers.order_service.domain import Payment, Totals
from servers.order_service.payments import (
    TRANSIENT_STATUSES,
    PaymentUnknownError,
    Policy,
    Shop,
    TransientPaymentError,
    authorisation,
    payment_url,
    policy_of,
    poll_delays_s,
    read_charge,
    read_payment,
    void_url,
)

POLICY = Policy(
    line_concurrency=4,
    payment_timeout_s=1.0,
    retries=2,
    backoff_min_s=0.05,
    backoff_max_s=1.0,
    jitter_share=0.5,
)
SHOP = Shop(POLICY, "http://adapter", instance=1)


def test_a_repeated_key_waits_as_long_as_the_first_request_may_take():
    waited_s = sum(poll_delays_s(POLICY))
    assert POLICY.answer_wait_s <= waited_s < POLICY.answer_wait_s + 0.2
    assert all(high <= 2 * low for low, high in itertools.pairwise(poll_delays_s(POLICY)))


def test_the_payment_goes_by_the_id_of_the_order():
    call = authorisation(SHOP, "ord_1", token="tok_1", totals=Totals(100, 10, 90))
    assert call.headers == {"Idempotency-Key": "ord_1"}
    assert call.document == {"amount_cents": 90, "payment_token": "tok_1"}
    assert payment_url(SHOP, "ord_1") == "http://adapter/payments/ord_1"
    assert void_url(SHOP, "ord_1") == "http://adapter/payments/ord_1/void"


def test_approval_and_decline_are_verdicts():
    assert read_payment(201, b'{"id":"pay_1"}') == Payment(approved=True, payment_id="pay_1")
    assert read_payment(402, b"") == Payment(approved=False)


@pytest.mark.parametrize("status", sorted(TRANSIENT_STATUSES))
def test_a_transient_status_may_be_tried_again(status: int):
    with pytest.raises(TransientPaymentError):
        read_payment(status, b"")


def test_a_busy_adapter_may_ask_for_patience():
    with pytest.raises(TransientPaymentError) as busy:
        read_payment(429, b"", retry_after="3")
    assert busy.value.retry_after_s == 3.0
    for unknown in (None, "", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT"):
        with pytest.raises(TransientPaymentError) as busy:
            read_payment(503, b"", retry_after=unknown)
        assert busy.value.retry_after_s is None


@pytest.mark.parametrize(
    ("status", "body"),
    [(201, b""), (201, b"[]"), (201, b"{}"), (200, b'{"id":"x"}'), (409, b""), (422, b"")],
)
def test_an_answer_outside_the_contract_is_not_tried_again(status: int, body: bytes):
    with pytest.raises(PaymentUnknownError):
        read_payment(status, body)


def test_only_a_standing_charge_is_one():
    approved = b'{"status":"approved","id":"pay_1","amount_cents":90}'
    assert read_charge(200, approved) == ("pay_1", 90)
    assert read_charge(200, approved.replace(b"approved", b"voided")) is None
    assert read_charge(404, b"") is None


@pytest.mark.parametrize(("status", "body"), [(503, b""), (200, b""), (200, b"{}")])
def test_no_clear_answer_about_a_charge_is_a_peers_fault(status: int, body: bytes):
    with pytest.raises(PeerError):
        read_charge(status, body)


def test_the_parameters_make_a_policy_in_seconds():
    assert policy_of(SCENARIO.values()) == POLICY


def test_a_shortest_wait_above_the_longest_is_refused():
    with pytest.raises(UsageError, match="backoff_min_ms=60 must not exceed backoff_max_ms=50"):
        policy_of(SCENARIO.values({"backoff_min_ms": 60, "backoff_max_ms": 50}))
