import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.measure import arrivals
from labcore.measure.arrivals import NS_PER_S, SHAPES, Arrivals

rates = st.floats(min_value=0.5, max_value=5_000)
durations = st.floats(min_value=0.05, max_value=5)
shares = st.floats(min_value=0.01, max_value=0.99)
speedups = st.floats(min_value=0.01, max_value=1_000)
gap_lists = st.lists(st.floats(min_value=0, max_value=100), min_size=1, max_size=50).filter(
    lambda gaps: sum(gaps) > 0.001
)
seeds = st.integers(min_value=0, max_value=2**32)


def lies_within_five_deviations(count: float, expected: float) -> bool:
    """A Poisson count's standard deviation is the root of its mean; the 5 is for small means."""
    return abs(count - expected) <= 5 * math.sqrt(expected) + 5


@given(shape=st.sampled_from(sorted(SHAPES)), rate=rates, duration=durations, seed=seeds)
def test_a_schedule_ascends_within_its_duration_and_is_repeatable(
    shape: str, rate: float, duration: float, seed: int
):
    drawn = arrivals.schedule(shape, rate_per_s=rate, duration_s=duration, seed=seed)
    again = arrivals.schedule(shape, rate_per_s=rate, duration_s=duration, seed=seed)
    assert drawn.offsets_ns.dtype == np.int64
    assert (np.diff(drawn.offsets_ns) >= 0).all()
    assert (drawn.offsets_ns >= 0).all()
    assert (drawn.offsets_ns < duration * NS_PER_S).all()
    assert np.array_equal(drawn.offsets_ns, again.offsets_ns)


@given(shape=st.sampled_from(sorted(SHAPES)), rate=rates, duration=durations, seed=seeds)
def test_every_shape_offers_its_mean_rate(shape: str, rate: float, duration: float, seed: int):
    drawn = arrivals.schedule(shape, rate_per_s=rate, duration_s=duration, seed=seed)
    assert lies_within_five_deviations(len(drawn), rate * duration)
    assert drawn.rate_per_s == pytest.approx(len(drawn) / duration)


@given(rate=rates, duration=durations)
def test_constant_arrivals_have_equal_gaps_and_an_exact_count(rate: float, duration: float):
    drawn = arrivals.constant(rate, duration)
    assert drawn.offsets_ns[0] == 0
    assert abs(len(drawn) - rate * duration) <= 1
    assert (np.abs(np.diff(drawn.offsets_ns) - NS_PER_S / rate) <= 1).all()


def test_a_whole_number_of_constant_arrivals_stays_whole():
    assert len(arrivals.constant(100, 0.1)) == 10
    assert len(arrivals.constant(1_000, 3)) == 3_000


def test_poisson_gaps_are_exponential():
    gaps = np.diff(arrivals.poisson(1_000, 50, seed=7).offsets_ns) / NS_PER_S
    assert gaps.mean() == pytest.approx(1e-3, rel=0.02)
    assert gaps.std() == pytest.approx(1e-3, rel=0.03)
    assert (gaps > 2e-3).mean() == pytest.approx(np.exp(-2), rel=0.05)


def counted(drawn: Arrivals, begin_s: float, end_s: float) -> int:
    inside = (drawn.offsets_ns >= begin_s * NS_PER_S) & (drawn.offsets_ns < end_s * NS_PER_S)
    return int(inside.sum())


def test_a_step_has_each_rate_on_its_side():
    drawn = arrivals.step(100, 900, 20, at_s=5, seed=3)
    assert lies_within_five_deviations(counted(drawn, 0, 5), 500)
    assert lies_within_five_deviations(counted(drawn, 5, 20), 13_500)


def test_a_step_from_silence_is_silent_first():
    drawn = arrivals.step(0, 1_000, 4, at_s=2, seed=3)
    assert counted(drawn, 0, 2) == 0
    assert lies_within_five_deviations(len(drawn), 2_000)


@pytest.mark.parametrize(("first", "last"), [(0, 2_000), (2_000, 0), (500, 1_500)])
def test_a_ramp_fills_each_quarter_by_its_mean_rate(first: float, last: float):
    drawn = arrivals.ramp(first, last, 20, seed=11)
    for quarter in range(4):
        middle = first + (last - first) * (quarter + 0.5) / 4
        assert lies_within_five_deviations(
            counted(drawn, quarter * 5, (quarter + 1) * 5), middle * 5
        )


def test_a_spike_stands_only_in_its_plateau():
    drawn = arrivals.spike(100, 2_000, 12, at_s=4, width_s=2, seed=5)
    assert lies_within_five_deviations(counted(drawn, 0, 4), 400)
    assert lies_within_five_deviations(counted(drawn, 4, 6), 4_000)
    assert lies_within_five_deviations(counted(drawn, 6, 12), 600)


def lies_within(drawn: Arrivals, duration: float) -> bool:
    offsets = drawn.offsets_ns
    ascends = bool((np.diff(offsets) >= 0).all())
    return ascends and bool(((offsets >= 0) & (offsets < duration * NS_PER_S)).all())


@given(before=rates, after=rates, duration=durations, share=shares, seed=seeds)
def test_a_step_keeps_within_its_time_and_offers_both_its_parts(
    before: float, after: float, duration: float, share: float, seed: int
):
    at_s = share * duration
    drawn = arrivals.step(before, after, duration, at_s=at_s, seed=seed)
    assert lies_within(drawn, duration)
    assert lies_within_five_deviations(counted(drawn, 0, at_s), before * at_s)
    assert lies_within_five_deviations(counted(drawn, at_s, duration), after * (duration - at_s))


@given(first=rates, last=rates, duration=durations, share=shares, seed=seeds)
def test_a_ramp_has_brought_the_integral_of_its_line_by_any_time(
    first: float, last: float, duration: float, share: float, seed: int
):
    drawn = arrivals.ramp(first, last, duration, seed=seed)
    until_s = share * duration
    expected = (first + (first + (last - first) * share)) / 2 * until_s
    assert lies_within(drawn, duration)
    assert lies_within_five_deviations(counted(drawn, 0, until_s), expected)


@given(base=rates, peak=rates, duration=durations, at=shares, width=shares, seed=seeds)
def test_a_spike_has_its_peak_on_its_plateau_and_its_base_around_it(
    base: float, peak: float, duration: float, at: float, width: float, seed: int
):
    at_s = at * duration
    width_s = width * (duration - at_s)
    drawn = arrivals.spike(base, peak, duration, at_s=at_s, width_s=width_s, seed=seed)
    plateau = counted(drawn, at_s, at_s + width_s)
    assert lies_within(drawn, duration)
    assert lies_within_five_deviations(plateau, peak * width_s)
    assert lies_within_five_deviations(len(drawn) - plateau, base * (duration - width_s))


@given(gaps=gap_lists, speedup=speedups)
def test_a_trace_replayed_faster_has_every_gap_shorter_by_that_factor(
    gaps: list[float], speedup: float
):
    times = np.cumsum([0.0, *gaps])
    drawn = arrivals.trace(times, speedup)
    assert len(drawn) == len(times)
    assert lies_within(drawn, drawn.duration_s)
    assert np.allclose(drawn.offsets_ns, times / speedup * NS_PER_S, rtol=1e-9, atol=1)
    assert drawn.rate_per_s == pytest.approx(len(gaps) / sum(gaps) * speedup)


@given(gaps=gap_lists, speedup=speedups)
def test_moments_are_replayed_as_the_times_they_stand_for(gaps: list[float], speedup: float):
    first = datetime(2026, 11, 23, 8, tzinfo=UTC)
    moments = [first + timedelta(seconds=float(at)) for at in np.cumsum([0.0, *gaps])]
    since = [(moment - first).total_seconds() for moment in moments]
    replayed = arrivals.replay(moments, speedup)
    assert np.array_equal(replayed.offsets_ns, arrivals.trace(since, speedup).offsets_ns)


def test_a_trace_keeps_its_gaps_and_ties_faster():
    drawn = arrivals.trace([10.0, 10.0, 11.0, 14.0], 2)
    assert drawn.offsets_ns.tolist() == [0, 0, 500_000_000, 2_000_000_000]
    assert drawn.rate_per_s == pytest.approx(3 / 2)  # three gaps in two seconds


def test_a_warmup_is_drawn_apart_from_the_run_it_precedes():
    run = arrivals.schedule("poisson", rate_per_s=500, duration_s=2, seed=9)
    before = arrivals.warmup("poisson", rate_per_s=500, duration_s=2, seed=9)
    assert not np.array_equal(run.offsets_ns, before.offsets_ns)
    assert len(arrivals.warmup("poisson", rate_per_s=500, duration_s=0, seed=9)) == 0
    assert len(arrivals.warmup("constant", rate_per_s=500, duration_s=1, seed=9)) == 500


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: arrivals.poisson(-1, 1, 0),
        lambda: arrivals.poisson(0, 1, 0),
        lambda: arrivals.poisson(float("nan"), 1, 0),
        lambda: arrivals.poisson(10, float("inf"), 0),
        lambda: arrivals.poisson(10, 1, -1),
        lambda: arrivals.constant(1e9, 1e9),
        lambda: arrivals.step(1, 2, 3, at_s=3, seed=0),
        lambda: arrivals.spike(1, 2, 3, at_s=2, width_s=2, seed=0),
        lambda: arrivals.trace([1.0]),
        lambda: arrivals.trace([2.0, 1.0]),
        lambda: arrivals.trace([1.0, 1.0]),
        lambda: arrivals.trace([1.0, 2.0], 0),
        lambda: arrivals.replay([]),
        lambda: arrivals.replay([datetime(2026, 1, 1), datetime(2026, 1, 2, tzinfo=UTC)]),  # noqa: DTZ001 - naive
        lambda: arrivals.schedule("bursty", rate_per_s=1, duration_s=1, seed=0),
    ],
)
def test_what_cannot_be_scheduled_is_refused_in_words(wrong: Callable[[], object]):
    with pytest.raises(UsageError, match=r"give|there are|at most"):
        wrong()
