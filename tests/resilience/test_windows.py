"""What windows hold, against the plainest model of them."""

import math

from hypothesis import given
from hypothesis import strategies as st

from labcore.resilience.windows import CountWindow, TimeWindow, Totals

OUTCOMES = st.lists(st.tuples(st.floats(0, 3), st.booleans(), st.booleans()), max_size=50)


def summed(kept: list[tuple[bool, bool]]) -> Totals:
    return Totals(len(kept), sum(failed for failed, _ in kept), sum(slow for _, slow in kept))


@given(size=st.integers(1, 10), outcomes=OUTCOMES)
def test_a_count_window_holds_the_last_calls(
    size: int, outcomes: list[tuple[float, bool, bool]]
) -> None:
    window = CountWindow(size)
    for _, failed, slow in outcomes:
        window.record(0.0, failed=failed, slow=slow)
    assert window.totals(0.0) == summed([(failed, slow) for _, failed, slow in outcomes][-size:])


@given(size=st.integers(1, 10), outcomes=OUTCOMES)
def test_a_time_window_holds_the_running_second_and_those_before(
    size: int, outcomes: list[tuple[float, bool, bool]]
) -> None:
    window = TimeWindow(size)
    now_s = 0.0
    seen: list[tuple[int, bool, bool]] = []
    for gap_s, failed, slow in outcomes:
        now_s += gap_s
        window.record(now_s, failed=failed, slow=slow)
        seen.append((math.floor(now_s), failed, slow))
    first = math.floor(now_s) - size + 1
    kept = [(failed, slow) for second, failed, slow in seen if second >= first]
    assert window.totals(now_s) == summed(kept)


def test_rates_are_undefined_below_the_minimum():
    totals = Totals(calls=3, failed=3, slow=0)
    assert (totals.failure_rate(4), totals.failure_rate(3)) == (-1.0, 100.0)
    assert Totals().slow_call_rate(0) == -1.0
