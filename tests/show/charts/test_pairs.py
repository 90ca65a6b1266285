from collections.abc import Callable

import numpy as np
import pytest

from labcore.measure import Recording
from labcore.show.charts.pairs import paired_ratios, pairs_of
from labcore.show.palette import PAPER

Build = Callable[..., Recording]


def test_a_pair_is_the_ratio_to_the_baseline_of_its_block(recording: Recording):
    runs = recording.runs[~recording.runs["void"]]
    cell = runs.set_index(["block", "arm"])["p50_ms"]
    for pair in pairs_of(recording, "p50_ms"):
        if not pair.void:
            expected = cell[pair.block, pair.arm] / cell[pair.block, "reactive"]
            assert pair.ratio == pytest.approx(expected)


def test_a_void_half_makes_a_void_pair_beside_the_one_that_counts(recording: Recording):
    third = [p for p in pairs_of(recording, "p50_ms") if (p.block, p.arm) == (3, "threads")]
    assert [pair.void for pair in third] == [True, False]


def test_a_void_baseline_voids_the_pairs_of_its_block(make_recording: Build):
    shape = {"pairs": 2, "control": False, "repeat": False, "void": ((1, "reactive"),)}
    pairs = pairs_of(make_recording(**shape), "p50_ms")
    assert {pair.block for pair in pairs if pair.void} == {1}
    assert {pair.block for pair in pairs if not pair.void} == {2}


def test_void_pairs_are_drawn_hollow(recording: Recording):
    panel = paired_ratios(recording).figure.axes[0]
    dots = [line for line in panel.lines if line.get_marker() != "None"]
    hollow = [line for line in dots if line.get_markerfacecolor() == PAPER[0]]
    assert sum(np.size(line.get_xdata()) for line in dots) == len(pairs_of(recording, "p50_ms"))
    assert [np.size(line.get_xdata()) for line in hollow] == [1]


def test_a_metric_without_gauges_makes_no_pairs(make_recording: Build):
    foreign = make_recording(arms=("gateway",), pairs=1, void=(), control=False)
    assert pairs_of(foreign, "cpu_per_request_us") == []


def test_the_title_says_how_many_pairs_agree(recording: Recording):
    assert paired_ratios(recording).title.endswith("and all 6 pairs agree")
