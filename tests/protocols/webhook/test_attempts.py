import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.protocols.webhook import (
    Decorrelated,
    Exponential,
    Fixed,
    FullJitter,
    Listed,
    Next,
    Schedule,
    after_attempt,
)

SHARE = st.floats(0, 1)


def waits(schedule: Schedule, draw: float) -> list[float]:
    found, previous_s, attempt = [], 0.0, 1
    while (wait_s := schedule.wait_s(attempt, previous_s=previous_s, draw=draw)) is not None:
        found.append(wait_s)
        previous_s, attempt = wait_s, attempt + 1
    return found


def test_fixed_waits_the_same_each_time():
    assert waits(Fixed(2, attempts=4), 0.5) == [2, 2, 2]


def test_exponential_doubles_up_to_its_ceiling():
    assert waits(Exponential(1, ceiling_s=10, attempts=7), 0.5) == [1, 2, 4, 8, 10, 10]


def test_full_jitter_draws_from_nothing_to_the_exponential_wait():
    schedule = FullJitter(1, ceiling_s=10, attempts=6)
    assert waits(schedule, 0.0) == [0] * 5
    assert waits(schedule, 1.0) == [1, 2, 4, 8, 10]


def test_decorrelated_triples_at_most():
    schedule = Decorrelated(1, ceiling_s=20, attempts=6)
    assert waits(schedule, 0.0) == [1] * 5
    assert waits(schedule, 1.0) == [1, 3, 9, 20, 20]


def test_the_standard_s_list_takes_three_days():
    assert len(waits(Listed(), 0.0)) == 9
    assert sum(waits(Listed(), 0.0)) / 3600 == pytest.approx(75.6, abs=0.1)


@given(
    st.sampled_from([Fixed(), Exponential(), FullJitter(), Decorrelated(), Listed()]),
    st.integers(1, 10**6),
    st.floats(0, 10**6),
    SHARE,
)
def test_every_wait_is_bounded(schedule: Schedule, attempt: int, previous_s: float, draw: float):
    wait_s = schedule.wait_s(attempt, previous_s=previous_s, draw=draw)
    assert wait_s is None or 0 <= wait_s <= 100_000


@pytest.mark.parametrize(
    ("status", "expected"),
    [(200, Next.DELIVERED), (204, Next.DELIVERED), (299, Next.DELIVERED), (410, Next.GONE)]
    + [(status, Next.RETRY) for status in (None, 100, 301, 302, 307, 400, 404, 429, 500, 503)],
)
def test_only_2xx_is_a_delivery(status: int | None, expected: Next):
    found, wait_s = after_attempt(status, attempt=1, schedule=Fixed(3), previous_s=0, draw=0.5)
    assert (found, wait_s) == (expected, 3.0 if expected is Next.RETRY else 0.0)


def test_the_last_attempt_is_the_last():
    last = after_attempt(500, attempt=10, schedule=Fixed(), previous_s=5, draw=0.5)
    assert last == (Next.DEAD, 0.0)


@pytest.mark.parametrize(("asked_s", "waited_s"), [(60.0, 60.0), (1.0, 3.0), (10**9, 86_400.0)])
def test_the_partner_s_patience_is_obeyed_within_a_day(asked_s: float, waited_s: float):
    found = after_attempt(
        429, attempt=1, schedule=Fixed(3), previous_s=0, draw=0.0, retry_after_s=asked_s
    )
    assert found == (Next.RETRY, waited_s)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Fixed(-1),
        lambda: Exponential(5, ceiling_s=1),
        lambda: FullJitter(attempts=0),
        lambda: Decorrelated(float("nan")),
        lambda: Listed((1, -1)),
        lambda: Listed(jitter_share=2),
    ],
)
def test_a_schedule_that_cannot_be_is_refused(make: type[Fixed]):
    with pytest.raises(UsageError):
        make()
