import math
from collections.abc import Callable
from dataclasses import replace
from itertools import product

import pytest

from labcore.measure import CONTROL, Recording
from labcore.show.evidence import (
    arms_of,
    claim,
    control_differs,
    differences,
    finding,
    has_interval,
    label_of,
    latencies_ms,
    median_interval,
    median_of,
    representative_run,
    runs_note,
    valid_runs,
    void_runs,
)

Build = Callable[..., Recording]


def test_the_baseline_comes_first_and_the_control_last(recording: Recording):
    assert arms_of(recording) == ["reactive", "threads", "virtual", CONTROL]
    assert arms_of(recording, control=False) == ["reactive", "threads", "virtual"]
    assert label_of(recording, CONTROL) == "A/A control (reactive)"


def test_arms_without_a_run_are_left_out(make_recording: Build):
    assert arms_of(make_recording(pairs=0)) == []


def test_void_runs_count_in_no_median(recording: Recording):
    void = void_runs(recording)
    assert list(void["arm"]) == ["threads"]
    mine = valid_runs(recording).query("arm == 'threads'")
    assert len(mine) == recording.design.pairs
    assert median_of(recording, "threads", "p50_ms") == mine["p50_ms"].median()
    assert runs_note(recording) == "n = 6 runs per arm; 1 void run left out"


def test_a_gauge_nobody_has_has_no_median(make_recording: Build):
    foreign = make_recording(arms=("gateway",), pairs=1, void=())
    assert math.isnan(median_of(foreign, "gateway", "cpu_per_request_us"))


def test_the_median_interval_needs_six_values():
    low, high = median_interval([1.0, 2.0, 3.0, 4.0, 5.0], confidence=0.95)
    assert math.isnan(low)
    assert math.isnan(high)
    assert median_interval([6, 5, 4, 3, 2, 1], confidence=0.95) == (1, 6)


@pytest.mark.parametrize("n", [6, 8, 9, 12])
def test_the_median_interval_covers_as_often_as_it_says_and_no_tighter_one_does(n: int):
    """Counted over all 2^n ways in which values can lie below or above the true median."""
    low, high = median_interval(list(range(1, n + 1)), confidence=0.95)
    below = [sum(side) for side in product((0, 1), repeat=n)]

    def coverage(rank: int) -> float:
        hits = sum(rank <= count <= n - rank for count in below)
        return float(hits / 2**n)

    rank = int(low)
    assert high == n + 1 - rank
    assert coverage(rank) >= 0.95 > coverage(rank + 1)


def test_the_representative_run_is_valid_and_nearest_to_the_median_p99(recording: Recording):
    name = representative_run(recording, "threads")
    mine = valid_runs(recording).query("arm == 'threads'").set_index("run")
    gaps = (mine["p99_ms"] - mine["p99_ms"].median()).abs()
    assert name is not None
    assert gaps[name] == gaps.min()


def test_an_arm_without_a_valid_run_has_no_representative(make_recording: Build):
    assert representative_run(make_recording(pairs=0), "threads") is None


def test_latency_counts_from_the_intended_start(recording: Recording):
    requests = recording.requests("r0001")
    expected = (requests["done_ns"] - requests["intended_ns"]).to_numpy() / 1e6
    assert (latencies_ms(requests) == expected).all()


def test_the_largest_difference_is_the_finding(recording: Recording):
    said = finding(recording, "cpu_per_request_us", neutral="nothing")
    assert said == "threads needs 2.1× the CPU of reactive per request"


def test_equal_lanes_are_called_equal(recording: Recording):
    said = finding(recording, "achieved_per_s", neutral="nothing")
    assert said == "reactive, threads and virtual are equal in practice in throughput (±5%)"


def test_undecided_verdicts_claim_nothing(make_recording: Build):
    one = make_recording(pairs=1, void=())
    assert {verdict.word for verdict in one.verdicts} == {"undecided"}
    assert finding(one, "p99_ms", neutral="Latency of lanes") == "Latency of lanes"
    assert not any(has_interval(verdict) for verdict in one.verdicts)


def test_a_control_that_differs_silences_every_finding(make_recording: Build):
    shaky = make_recording(pairs=6)
    shaky.save_verdicts(
        replace(verdict, word="slower") if verdict.arm == CONTROL else verdict
        for verdict in shaky.verdicts
    )
    assert control_differs(shaky)
    assert differences(shaky) == []
    assert finding(shaky, "cpu_per_request_us", neutral="nothing") == "nothing"


def test_an_equality_is_said_as_such(recording: Recording):
    equal = next(one for one in recording.verdicts if one.word == "equal in practice")
    assert "are equal in practice in" in claim(equal)
