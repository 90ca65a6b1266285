"""Waits: the schedule, four ways to spread it, and what the other side asks for."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.resilience import (
    Backoff,
    CallNotPermittedError,
    Jitter,
    parse_retry_after,
    retry_after_of,
)
from labcore.virtual import HttpReply

SHARES = st.floats(0, 1, exclude_max=True)


def waits(backoff: Backoff, count: int) -> list[float]:
    before_s = 0.0
    seen: list[float] = []
    for done in range(count):
        before_s = backoff.wait_s(done, before_s=before_s)
        seen.append(before_s)
    return seen


def test_the_schedule_grows_to_its_bound():
    assert waits(Backoff(0.5, 2.0, 3.0), 4) == [0.5, 1.0, 2.0, 3.0]


def test_without_a_multiplier_waits_are_the_same():
    assert waits(Backoff(), 3) == [0.5, 0.5, 0.5]


@given(share=SHARES, done=st.integers(0, 2_000))
def test_full_jitter_lies_between_nothing_and_the_schedule(share: float, done: int) -> None:
    spread = Backoff(0.5, 2.0, 60.0, Jitter.FULL, random=lambda: share)
    plain = Backoff(0.5, 2.0, 60.0)
    highest_s = plain.wait_s(done, before_s=0.0)
    assert spread.wait_s(done, before_s=0.0) == pytest.approx(share * highest_s)


@given(share=SHARES, done=st.integers(0, 2_000))
def test_proportional_jitter_stays_within_its_factor(share: float, done: int) -> None:
    spread = Backoff(0.5, 2.0, 60.0, Jitter.PROPORTIONAL, 0.25, random=lambda: share)
    middle_s = Backoff(0.5, 2.0, 60.0).wait_s(done, before_s=0.0)
    wait_s = spread.wait_s(done, before_s=0.0)
    assert 0.75 * middle_s <= wait_s <= min(60.0, 1.25 * middle_s)


@given(shares=st.lists(SHARES, max_size=30))
def test_decorrelated_jitter_lies_between_the_first_and_three_times_the_last(
    shares: list[float],
) -> None:
    left = list(shares)
    backoff = Backoff(0.5, 2.0, 60.0, Jitter.DECORRELATED, random=lambda: left.pop(0))
    before_s = 0.0
    for wait_s in waits(backoff, len(shares)):
        assert 0.5 <= wait_s <= min(60.0, max(0.5, 3 * before_s))
        before_s = wait_s


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_s": -1}, "wait_duration_s is -1; give"),
        ({"multiplier": 0.5}, "multiplier is 0.5; give a number >= 1"),
        ({"first_s": 9.0, "longest_s": 3.0}, "max_wait_duration_s 3.0 is below"),
        ({"randomized_wait_factor": 2.0}, "randomized_wait_factor is 2.0; give a share"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, float], message: str):
    with pytest.raises(UsageError, match=message):
        Backoff(**options)  # type: ignore[arg-type]  # one field at a time


AT = datetime(2015, 10, 21, 7, 28, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 GMT", 30.0),
        ("Wed, 21 Oct 2015 07:27:00 GMT", 0.0),
        ("Wed, 21 Oct 2015 07:28:30 -0000", 30.0),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(text: str, seconds: float | None):
    assert parse_retry_after(text, at=AT) == seconds


def test_what_asks_to_wait_is_read_off_errors_and_replies():
    assert retry_after_of(CallNotPermittedError("open", retry_after_s=6.0)) == 6.0
    assert retry_after_of(CallNotPermittedError("forced open", retry_after_s=None)) is None
    assert retry_after_of(HttpReply(503, {"retry-after": "7"}, b"")) == 7.0
    assert retry_after_of(HttpReply(503, {"Retry-After": "7"}, b"")) == 7.0
    assert retry_after_of(HttpReply(503, {}, b"")) is None
    assert retry_after_of(OSError("down")) is None
