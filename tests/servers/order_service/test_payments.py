import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import PeerError, UsageError
from labcore.reactive import RetrySignal
from servers.order_service import SCENARIO
from servers.order_service.domain import Payment, Totals
from servers.order_service.lane_reactive import retry_rule
from servers.order_service.payments import (
    TRANSIENT_STATUSES,
    PaymentUnknownError,
    Policy,
    Shop,
    TransientPaymentError,
    authorisation,
    backoff_s,
    exhausted,
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


@given(st.integers(1, 40), st.floats(0, 1, exclude_max=True))
def test_a_wait_stays_between_its_bounds(failures: int, draw: float):
    assert 0.05 <= backoff_s(POLICY, failures, draw=draw) <= 1.0


def test_waits_double_around_the_middle_of_their_jitter():
    middles = [backoff_s(POLICY, failures, draw=0.5) for failures in (2, 3, 4)]
    assert middles == pytest.approx([0.1, 0.2, 0.4])


def test_without_jitter_the_waits_are_known():
    plain = Policy(4, 1.0, 2, 0.05, 1.0, jitter_share=0.0)
    waits = [backoff_s(plain, failures, draw=0.9) for failures in range(1, 8)]
    assert waits == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.0])


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


@given(st.integers(1, 12), st.floats(0, 1, exclude_max=True), st.floats(0, 1))
def test_the_reactive_lane_waits_just_as_long(failures: int, draw: float, jitter_share: float):
    policy = replace(POLICY, retries=20, jitter_share=jitter_share)
    rule = replace(retry_rule(policy), random=lambda: draw)
    signal = RetrySignal(failures - 1, failures - 1, TransientPaymentError("again"))
    assert rule.delay_s(signal) == pytest.approx(backoff_s(policy, failures, draw=draw))


def test_the_reactive_lane_gives_up_as_the_others_do():
    signal = RetrySignal(POLICY.retries, POLICY.retries, TransientPaymentError("again"))
    with pytest.raises(PaymentUnknownError, match="no answer in 3 attempts; the last: again"):
        retry_rule(POLICY).delay_s(signal)
    assert str(exhausted(POLICY, signal.failure)) == "no answer in 3 attempts; the last: again"
