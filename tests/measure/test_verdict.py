"""From pairs to words: the zone, the number of pairs, void halves, and the control."""

import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.measure.record import CONTROL, Design
from labcore.measure.verdict import (
    METRICS,
    Metric,
    Pairs,
    Verdict,
    decided,
    judge,
    pairs_of,
    verdicts,
)

OF_REQUESTS = METRICS[:5]  # those of a scenario without an audience
LATENCY, TAIL, *_, THROUGHPUT = OF_REQUESTS
DESIGN = Design(
    scenario="checkout",
    baseline="reactive",
    arms=("threads",),
    rate_per_s=100.0,
    duration_s=4.0,
    warmup_s=1.0,
    pairs=6,
    arrivals="poisson",
    seed=1,
)


def word(ratios: list[float], metric: Metric = LATENCY, void: int = 0) -> str:
    logs = tuple(math.log(ratio) for ratio in ratios)
    return judge(Pairs(logs, void), arm="threads", metric=metric, design=DESIGN).word


def around(ratio: float, *, spread: float = 0.01, count: int = 6) -> list[float]:
    return list(np.linspace(ratio * (1 - spread), ratio * (1 + spread), count))


def runs(ratio: float = 1.0, *, blocks: int = 6, control: float = 1.0) -> pd.DataFrame:
    """Blocks of baseline, arm and control; every metric of the arm is `ratio` times the baseline's."""
    arms = {"reactive": 1.0, "threads": ratio, CONTROL: control}
    rows = [
        {
            "block": block,
            "arm": arm,
            "attempt": 1,
            "void": False,
            "error_share": 0.0,
            **{metric.name: 20.0 * (1 + block / 7) * factor for metric in OF_REQUESTS},
            **dict.fromkeys((metric.name for metric in METRICS[5:]), math.nan),
        }
        for block in range(blocks)
        for arm, factor in arms.items()
    ]
    return pd.DataFrame(rows)


def by_metric(found: list[Verdict], arm: str = "threads") -> dict[str, Verdict]:
    return {verdict.metric: verdict for verdict in found if verdict.arm == arm}


@pytest.mark.parametrize(
    ("ratio", "expected"),
    [(0.8, "faster"), (1.3, "slower"), (1.0, "equal in practice"), (1.05, "undecided")],
)
def test_the_word_follows_the_interval_and_the_zone(ratio: float, expected: str):
    assert word(around(ratio)) == expected


def test_more_throughput_is_faster():
    assert word(around(1.3), THROUGHPUT) == "faster"
    assert word(around(0.8), THROUGHPUT) == "slower"


def test_the_tail_has_the_wider_zone():
    assert word(around(1.08, spread=0.005)) == "slower"
    assert word(around(1.08, spread=0.005), TAIL) == "equal in practice"


def test_a_difference_below_the_zone_is_never_called():
    assert word(around(1.01, spread=0.001, count=40)) == "equal in practice"


def test_a_wide_interval_is_undecided_and_says_how_many_more_it_takes():
    logs = tuple(math.log(ratio) for ratio in around(0.92, spread=0.2, count=10))
    verdict = judge(Pairs(logs, 0), arm="threads", metric=LATENCY, design=DESIGN)
    assert verdict.word == "undecided"
    assert verdict.more_pairs is not None
    assert verdict.more_pairs > 0
    assert str(verdict.more_pairs) in verdict.sentence


def test_five_pairs_carry_no_interval_and_one_more_would():
    verdict = judge(Pairs((-0.5,) * 5, 0), arm="threads", metric=LATENCY, design=DESIGN)
    assert (verdict.word, verdict.more_pairs) == ("undecided", 1)
    assert math.isnan(verdict.low)
    assert verdict.ratio == pytest.approx(math.exp(-0.5))


def test_too_many_void_pairs_give_no_verdict():
    assert word(around(0.5, count=7), void=3) == "faster"
    assert word(around(0.5, count=6), void=3) == "void"
    assert word([], void=6) == "void"


@given(st.lists(st.floats(0.2, 5), min_size=6, max_size=20))
def test_swapping_the_arms_swaps_the_words(ratios: list[float]):
    swap = {"faster": "slower", "slower": "faster"}
    forward, backward = word(ratios), word([1 / ratio for ratio in ratios])
    assert backward == swap.get(forward, forward)


def test_every_arm_and_metric_gets_its_verdict_and_the_control_comes_first():
    found = verdicts(runs(0.5), DESIGN)
    assert [verdict.arm for verdict in found] == [CONTROL] * 5 + ["threads"] * 5
    words = {name: verdict.word for name, verdict in by_metric(found).items()}
    assert words == {
        "p50_ms": "faster",
        "p99_ms": "faster",
        "cpu_per_request_us": "faster",
        "rss_peak_mb": "faster",
        "achieved_per_s": "slower",
    }
    assert {verdict.word for verdict in found[:5]} == {"equal in practice"}


def test_costs_read_cheaper_in_the_sentence():
    sentence = by_metric(verdicts(runs(0.8), DESIGN))["cpu_per_request_us"].sentence
    assert "20.0% lower than reactive" in sentence
    assert "zone: cheaper." in sentence


def test_a_control_that_differs_from_itself_withholds_every_word():
    found = verdicts(runs(0.5, control=0.8), DESIGN)
    assert {verdict.word for verdict in found if verdict.arm == "threads"} == {"void"}
    assert {verdict.word for verdict in found if verdict.arm == CONTROL} == {"faster", "slower"}
    withheld = by_metric(found)["p50_ms"]
    assert "Withheld" in withheld.sentence
    assert withheld.ratio == pytest.approx(0.5)


def test_pairs_join_the_runs_of_a_block():
    pairs = pairs_of(runs(0.5), arm="threads", metric="p50_ms", design=DESIGN)
    assert pairs is not None
    assert pairs.log_ratios == pytest.approx((math.log(0.5),) * 6)


def test_a_void_run_is_never_averaged_in_and_its_repeat_is():
    table = runs(0.5)
    wild = (table["block"] == 2) & (table["arm"] == "threads")
    repeat = table[wild].assign(attempt=2)
    table.loc[wild, ["void", "p50_ms"]] = [True, 1e6]
    pairs = pairs_of(pd.concat([table, repeat]), arm="threads", metric="p50_ms", design=DESIGN)
    assert pairs is not None
    assert pairs.log_ratios == pytest.approx((math.log(0.5),) * 6)
    assert pairs.void == 0


def test_a_pair_is_void_when_either_half_is():
    table = runs(0.5)
    table.loc[(table["block"] == 0) & (table["arm"] == "reactive"), "void"] = True
    table.loc[(table["block"] == 1) & (table["arm"] == "threads"), "void"] = True
    pairs = pairs_of(table, arm="threads", metric="p50_ms", design=DESIGN)
    assert pairs is not None
    assert (len(pairs.log_ratios), pairs.void) == (4, 2)


def test_a_half_finished_block_is_no_pair():
    table = runs(0.5)
    table = table[~((table["block"] == 5) & (table["arm"] == "threads"))]
    pairs = pairs_of(table, arm="threads", metric="p50_ms", design=DESIGN)
    assert pairs is not None
    assert len(pairs.log_ratios) == 5


def test_what_a_foreign_lane_cannot_tell_gets_no_verdict():
    table = runs(0.5)
    table.loc[table["arm"] == "threads", "cpu_per_request_us"] = math.nan
    assert set(by_metric(verdicts(table, DESIGN))) == {
        "p50_ms",
        "p99_ms",
        "rss_peak_mb",
        "achieved_per_s",
    }


def test_a_lane_that_answers_nothing_is_slower():
    table = runs()
    table.loc[table["arm"] == "threads", "achieved_per_s"] = 0.0
    assert by_metric(verdicts(table, DESIGN))["achieved_per_s"].word == "slower"


def test_a_lane_that_fails_quickly_is_not_praised_without_a_word():
    table = runs(0.5)
    table.loc[table["arm"] == "threads", "error_share"] = 0.3
    failing = by_metric(verdicts(table, DESIGN))["p50_ms"]
    assert failing.word == "faster"
    assert "30.0% of the requests of threads failed" in failing.sentence
    assert "failed" not in by_metric(verdicts(runs(0.5), DESIGN))["p50_ms"].sentence


def test_an_experiment_without_a_block_says_nothing():
    assert verdicts(runs().iloc[:0], DESIGN) == []


def test_p_values_are_adjusted_over_the_lanes_and_not_over_the_control():
    found = verdicts(runs(0.5), DESIGN)
    assert found[0].arm == CONTROL
    assert math.isnan(found[0].p_holm)
    lane = by_metric(found)["p50_ms"]
    assert lane.p_value == pytest.approx(2 / 64)
    assert lane.p_holm == pytest.approx(5 * 2 / 64)


def test_a_difference_that_its_company_makes_doubtful_says_so():
    among_five = by_metric(verdicts(runs(0.5), DESIGN))["p50_ms"]
    assert among_five.family == 5
    assert "taken alone: among 5 verdicts" in among_five.sentence
    plenty = by_metric(verdicts(runs(0.5, blocks=10), DESIGN))["p50_ms"]
    assert plenty.p_holm == pytest.approx(5 * 2 / 2**10)
    assert "taken alone" not in plenty.sentence


LOOKING = replace(DESIGN, pairs=40, looks=(10, 20, 40))


@pytest.mark.parametrize(
    ("blocks", "confidence"),
    [(7, 0.996875), (10, 0.996875), (11, 0.990625), (20, 0.990625), (40, 0.9625)],
)
def test_each_look_pays_for_the_others(blocks: int, confidence: float):
    verdict = by_metric(verdicts(runs(0.5, blocks=blocks), LOOKING))["p50_ms"]
    assert verdict.confidence == pytest.approx(confidence)
    assert f"{100 * confidence:.4g}%" in verdict.sentence
    wide = by_metric(verdicts(runs(0.5, blocks=blocks), DESIGN))["p50_ms"]
    assert verdict.p_holm >= wide.p_holm


def test_too_few_pairs_for_the_look_are_undecided():
    """Seven pairs give an interval of 95 %, not the one that the first of three looks needs."""
    verdict = by_metric(verdicts(runs(0.5, blocks=7), LOOKING))["p50_ms"]
    assert (verdict.word, verdict.more_pairs) == ("undecided", 3)


def test_an_arm_is_decided_when_each_of_its_verdicts_is():
    found = verdicts(runs(0.5, blocks=10), DESIGN)
    assert decided(found, "threads")
    assert not decided(found, "nobody")
    half = [replace(each, word="undecided") if each.metric == "p99_ms" else each for each in found]
    assert not decided(half, "threads")


def test_an_undecided_verdict_says_what_its_pairs_could_have_called():
    logs = tuple(math.log(ratio) for ratio in around(0.92, spread=0.2, count=10))
    verdict = judge(Pairs(logs, 0), arm="threads", metric=LATENCY, design=DESIGN)
    assert f"10 pairs could have called a difference of {verdict.detectable_share:.1%}" in (
        verdict.sentence
    )


def test_verdicts_are_plain_data():
    for verdict in verdicts(runs(0.5), DESIGN):
        json.dumps([verdict.ratio, verdict.pairs, verdict.void_pairs, verdict.more_pairs])
        assert type(verdict.word) is str
