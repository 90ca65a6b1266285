"""The rule of decisions, clause by clause, on verdicts made up for it."""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.measure.decision import Decision, decide
from labcore.measure.objective import Objective
from labcore.measure.record import CONTROL
from labcore.measure.verdict import Verdict

LATENCY, CPU, THROUGHPUT = "p99_ms", "cpu_per_request_us", "achieved_per_s"


def verdict(arm: str, metric: str, low: float, high: float, word: str = "") -> Verdict:
    ratio = math.sqrt(low * high) if low > 0 and math.isfinite(high) else math.nan
    if not word:
        better = metric == THROUGHPUT
        word = "undecided"
        if high < 1:
            word = "slower" if better else "faster"
        elif low > 1:
            word = "faster" if better else "slower"
    return Verdict(
        arm=arm, baseline="reactive", metric=metric, word=word, ratio=ratio, low=low, high=high,  # type: ignore[arg-type]  # one of the five
        t_low=low, t_high=high, pairs=10, void_pairs=0, zone_share=0.05, more_pairs=None,
        better="higher" if metric == THROUGHPUT else "lower", sentence="",
    )  # fmt: skip


def runs(p99_ms: Mapping[str, list[float]]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = [
        {"arm": arm, "void": False, "p99_ms": value, "error_share": 0.0}
        for arm, values in p99_ms.items()
        for value in values
    ]
    return pd.DataFrame(rows, columns=["arm", "void", "p99_ms", "error_share"])


NO_RUNS = runs({})


def choose(*found: Verdict, weights: Mapping[str, float] | None = None) -> Decision:
    return decide(NO_RUNS, found, baseline="reactive", weights=weights)


def test_a_lane_better_in_all_that_counts_is_chosen():
    decision = choose(verdict("virtual", LATENCY, 0.5, 0.6), verdict("virtual", CPU, 0.7, 0.8))
    assert (decision.state, decision.lane) == ("decided", "virtual")
    standing = decision.standings[1]
    assert standing.low == pytest.approx(1 / math.sqrt(0.6 * 0.8))
    assert standing.high == pytest.approx(1 / math.sqrt(0.5 * 0.7))


def test_the_baseline_is_chosen_when_every_other_is_worse():
    decision = choose(verdict("threads", LATENCY, 1.5, 1.6), verdict("virtual", LATENCY, 1.2, 1.3))
    assert (decision.state, decision.lane) == ("decided", "reactive")


def test_more_throughput_is_better():
    decision = choose(verdict("virtual", THROUGHPUT, 1.4, 1.6))
    assert decision.lane == "virtual"


@pytest.mark.parametrize(("weight", "lane"), [(9.0, "virtual"), (0.1, "reactive")])
def test_the_weights_decide_between_what_is_better_and_what_is_worse(weight: float, lane: str):
    decision = choose(
        verdict("virtual", LATENCY, 0.5, 0.55),
        verdict("virtual", CPU, 1.9, 2.0),
        weights={LATENCY: weight, CPU: 1.0},
    )
    assert decision.lane == lane


def test_undecided_stays_undecided():
    decision = choose(verdict("virtual", LATENCY, 0.9, 1.3), verdict("virtual", CPU, 0.99, 1.2))
    assert (decision.state, decision.lane) == ("undecided", "")
    assert decision.candidates == ("reactive", "virtual")
    assert decision.standings[1].open_metrics == (LATENCY, CPU)


def test_overlapping_lanes_are_not_told_apart_though_both_beat_the_baseline():
    decision = choose(verdict("threads", LATENCY, 0.5, 0.7), verdict("virtual", LATENCY, 0.6, 0.8))
    assert decision.candidates == ("threads", "virtual")


def test_equal_in_practice_counts_as_exactly_one():
    equal = verdict("virtual", LATENCY, 0.98, 1.03, "equal in practice")
    assert choose(equal).state == "equal"
    assert choose(equal, verdict("virtual", CPU, 0.9, 0.95)).lane == "virtual"


def test_a_void_verdict_bounds_nothing():
    decision = choose(verdict("virtual", LATENCY, 0.5, 0.6), verdict("virtual", CPU, 1, 1, "void"))
    assert decision.state == "undecided"
    assert (decision.standings[1].low, decision.standings[1].high) == (0.0, math.inf)


def test_a_control_that_differs_withholds_the_decision():
    decision = choose(verdict(CONTROL, LATENCY, 1.2, 1.3), verdict("virtual", LATENCY, 0.5, 0.6))
    assert (decision.state, decision.candidates) == ("withheld", ())


OBJECTIVE = Objective.parse("p99<100ms")


@pytest.mark.parametrize(
    ("figures", "state", "lane"),
    [
        ([50.0] * 6, "decided", "virtual"),
        ([50.0] * 5 + [150.0], "undecided", ""),
        ([150.0] * 5 + [50.0], "decided", "reactive"),
        ([], "undecided", ""),
    ],
)
def test_the_objective_comes_before_the_gain(figures: list[float], state: str, lane: str):
    decision = decide(
        runs({"reactive": [60.0] * 6, "virtual": figures}),
        [verdict("virtual", LATENCY, 0.5, 0.6)],
        baseline="reactive",
        objective=OBJECTIVE,
    )
    assert (decision.state, decision.lane) == (state, lane)


def test_where_every_lane_breaks_the_objective_none_is_chosen():
    table = runs({"reactive": [160.0] * 6, "virtual": [150.0] * 6})
    found = [verdict("virtual", LATENCY, 0.5, 0.6)]
    decision = decide(table, found, baseline="reactive", objective=OBJECTIVE)
    assert (decision.state, decision.candidates) == ("none fits", ())


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"p50_ms": 1.0}, "no verdict on 'p50_ms'"),
        ({LATENCY: -1.0}, "out of range"),
        ({LATENCY: math.nan}, "out of range"),
        ({LATENCY: 0.0}, "every weight is 0"),
    ],
)
def test_weights_that_make_no_sense_are_refused(weights: dict[str, float], message: str):
    with pytest.raises(UsageError, match=message):
        choose(verdict("virtual", LATENCY, 0.5, 0.6), weights=weights)


def test_without_verdicts_there_is_nothing_to_decide_by():
    with pytest.raises(UsageError, match="no verdicts"):
        choose()


ends = st.floats(0.1, 10)


@given(st.lists(st.tuples(ends, ends), min_size=1, max_size=4), st.floats(0.01, 100))
def test_the_unit_of_the_weights_and_the_order_of_lanes_change_nothing(
    spans: list[tuple[float, float]], scale: float
):
    found = [
        verdict(f"lane{number}", metric, min(span), max(span))
        for number, span in enumerate(spans)
        for metric in (LATENCY, CPU)
    ]
    one = choose(*found, weights={LATENCY: 1.0, CPU: 3.0})
    other = choose(*reversed(found), weights={LATENCY: scale, CPU: 3 * scale})
    assert one.state == other.state
    assert set(one.candidates) == set(other.candidates)
