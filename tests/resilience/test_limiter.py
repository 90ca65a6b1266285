"""The rate limiter's rule: never more than N starts in any period, waits in order, none too long."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.resilience import RateLimiterConfig, RequestNotPermittedError
from labcore.resilience.limiter import LimiterMachine

ARRIVALS = st.lists(st.tuples(st.floats(0, 2), st.booleans()), max_size=60)


@given(limit=st.integers(1, 4), arrivals=ARRIVALS)
def test_no_period_has_more_starts_than_the_limit(
    limit: int, arrivals: list[tuple[float, bool]]
) -> None:
    machine = LimiterMachine(RateLimiterConfig(limit, 1.0, timeout_duration_s=3.0))
    now_s = 0.0
    starts_s: list[float] = []
    for gap_s, gives_back in arrivals:
        now_s += gap_s
        try:
            start_s = machine.reserve(now_s)
        except RequestNotPermittedError:
            continue
        assert now_s <= start_s <= now_s + 3.0
        if gives_back and start_s > now_s:
            machine.give_back(start_s)
        else:
            assert not starts_s or start_s >= starts_s[-1]
            starts_s.append(start_s)
    for first_s, beyond_s in zip(starts_s, starts_s[limit:], strict=False):
        assert beyond_s - first_s >= 1.0 - 1e-9


def test_with_calls_enough_the_rate_is_used_to_the_full():
    machine = LimiterMachine(RateLimiterConfig(10, 1.0, timeout_duration_s=100.0))
    assert [machine.reserve(0.0) for _ in range(30)] == [0.0] * 10 + [1.0] * 10 + [2.0] * 10


def test_what_is_used_of_the_rate_is_told():
    machine = LimiterMachine(RateLimiterConfig(2, 1.0))
    for _ in range(3):
        machine.passage().enter(5.0, lambda: lambda: None)
    metrics = machine.metrics(5.5)
    assert (metrics.started_in_period, metrics.waiting, metrics.refused) == (2, 1, 0)


def test_it_remembers_no_more_than_the_period_needs():
    machine = LimiterMachine(RateLimiterConfig())
    for number in range(1_000):
        machine.reserve(float(number))
    assert machine.metrics(2_000.0).started_in_period == 0


@pytest.mark.parametrize(
    "name", ["limit_for_period", "limit_refresh_period_s", "timeout_duration_s"]
)
def test_a_value_out_of_range_is_named(name: str):
    with pytest.raises(UsageError, match=f"{name} is -1; give"):
        RateLimiterConfig(**{name: -1})
