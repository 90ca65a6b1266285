"""The retry rule: attempts, waits, jitter."""

import math
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.reactive import Retry, RetryExhaustedError, RetrySignal

FAILURE = OSError("down")


def signal(total: int, in_row: int | None = None) -> RetrySignal:
    return RetrySignal(total, total if in_row is None else in_row, FAILURE)


@given(st.integers(0, 60), st.floats(0.001, 10), st.floats(0, 1), st.floats(0, 1))
def test_a_wait_never_leaves_its_bounds(done: int, least_s: float, jitter: float, dice: float):
    most_s = least_s * 50
    rule = Retry(99, least_s, most_s, 2.0, jitter, random=lambda: dice)
    wait_s = rule.delay_s(signal(done))
    plain_s = min(least_s * 2.0**done, most_s)
    assert least_s <= wait_s <= most_s or math.isclose(wait_s, most_s)
    assert abs(wait_s - plain_s) <= plain_s * jitter + 1e-9


def test_the_first_wait_is_never_below_the_minimum():
    lowest = Retry(3, 1.0, jitter=0.5, random=lambda: 0.0)
    highest = Retry(3, 1.0, jitter=0.5, random=lambda: 1.0)
    assert (lowest.delay_s(signal(0)), highest.delay_s(signal(0))) == (1.0, 1.5)


def test_three_attempts_are_three_retries():
    rule = Retry.backoff(3, 0.1)
    assert rule.delay_s(signal(2)) > 0
    with pytest.raises(RetryExhaustedError, match="3/3") as caught:
        rule.delay_s(signal(3))
    assert caught.value.__cause__ is FAILURE


def test_transient_errors_count_in_a_row_only():
    rule = Retry.max_in_a_row(2)
    assert rule.delay_s(signal(50, in_row=1)) == 0
    with pytest.raises(RetryExhaustedError, match=r"2/2 in a row \(50 total\)"):
        rule.delay_s(signal(50, in_row=2))


def test_a_wait_that_overflows_is_the_longest():
    assert Retry.backoff(9999, 1, max_backoff_s=60, jitter=0).delay_s(signal(5000)) == 60


def test_before_each_retry_somebody_may_look():
    seen: list[RetrySignal] = []
    Retry.indefinitely().do_before_retry(seen.append).delay_s(signal(4))
    assert seen == [signal(4)]


def test_the_last_error_can_be_replaced():
    rule = Retry.max(0).with_exhausted(lambda last: KeyError(last.total_retries))
    with pytest.raises(KeyError):
        rule.delay_s(signal(0))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Retry.backoff(-1, 1),
        lambda: Retry.backoff(1, -1),
        lambda: Retry.backoff(1, 1, jitter=1.1),
        lambda: Retry.backoff(1, 2, max_backoff_s=1),
    ],
)
def test_a_rule_that_cannot_be_is_refused(make: Callable[[], Retry]):
    with pytest.raises(UsageError):
        make()
