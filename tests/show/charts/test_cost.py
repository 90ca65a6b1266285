from collections.abc import Callable

import numpy as np
import pytest

from labcore.measure import Recording
from labcore.show.charts.cost import COLUMNS, cost_per_request
from labcore.show.evidence import valid_runs
from labcore.show.palette import PAPER

Build = Callable[..., Recording]


def test_bars_start_at_zero(recording: Recording):
    panels = cost_per_request(recording).figure.axes
    assert len(panels) == len(COLUMNS)
    assert all(panel.get_xlim()[0] == 0 for panel in panels)


def test_the_bar_is_the_median_of_the_runs_that_count(recording: Recording):
    runs = valid_runs(recording).query("arm == 'threads'")
    row = next(row for row in cost_per_request(recording).table.rows if row[0] == "threads")
    assert row[3] == pytest.approx(np.median(runs["cpu_per_request_us"]))
    assert row[4:6] == (runs["cpu_per_request_us"].min(), runs["cpu_per_request_us"].max())
    assert row[6:] == (6, 1)


def test_void_runs_are_hollow(recording: Recording):
    hollow = [
        line
        for line in cost_per_request(recording).figure.axes[0].lines
        if line.get_markerfacecolor() == PAPER[0] and np.size(line.get_xdata())
    ]
    assert len(hollow) == 1


def test_below_six_runs_no_interval_is_told(make_recording: Build):
    rows = cost_per_request(make_recording(pairs=3)).table.rows
    assert np.isnan([float(row[4]) for row in rows]).all()


def test_a_lane_without_gauges_has_no_bar(make_recording: Build):
    chart = cost_per_request(make_recording(arms=("gateway",), pairs=1, void=()))
    assert "no gauge" in chart.svg()
    assert "gateway" not in chart.alt
