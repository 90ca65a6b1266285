from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from labcore.measure import Recording
from labcore.show.charts.timeline import _in_flight, _slope, resource_timeline
from labcore.show.evidence import representative_run

Build = Callable[..., Recording]


def test_in_flight_counts_what_is_sent_and_not_done():
    requests = pd.DataFrame(
        {
            "intended_ns": [0, 0, 0, 10**9],
            "sent_ns": [0, 0, 0, 10**9],
            "done_ns": [5 * 10**8, 2 * 10**9, 2 * 10**9, 2 * 10**9],
        }
    )
    requests += 10**9  # a clock that starts somewhere
    series = _in_flight(requests)
    assert series.iloc[0] == 3
    assert series.iloc[120] == 2
    assert series.iloc[-1] == 3


def test_requests_never_sent_are_not_in_flight():
    never = pd.DataFrame({"intended_ns": [1, 2], "sent_ns": [0, 0], "done_ns": [9, 9]})
    assert _in_flight(never).empty


def test_cpu_is_the_slope_of_its_clock():
    clock = pd.Series([1.0, 1.05, 1.15], index=[0.0, 0.1, 0.2])
    assert _slope(clock).tolist() == pytest.approx([0.5, 1.0])


def test_a_foreign_lane_shows_in_flight_and_says_what_it_lacks(make_recording: Build):
    chart = resource_timeline(make_recording(arms=("gateway",), pairs=1, void=()))
    svg = chart.svg()
    assert "no gauge" in svg
    assert "no pool" not in svg
    gauges = {row[1] for row in chart.table.rows if row[0] == "gateway"}
    assert gauges == {"latency, ms", "in flight"}


def test_a_lane_without_a_pool_is_told_from_one_without_gauges(recording: Recording):
    assert "no pool" in resource_timeline(recording).svg()


def test_neither_warm_up_nor_drain_is_drawn(recording: Recording):
    for panel in resource_timeline(recording).figure.axes:
        for line in panel.lines:
            if line.get_linestyle() == "-":
                assert np.min(line.get_xdata()) >= 0
                assert np.max(line.get_xdata()) <= recording.design.duration_s


def test_rows_share_their_scale_and_start_at_zero(recording: Recording):
    panels = resource_timeline(recording).figure.axes
    for first in range(0, len(panels), 3):
        limits = {panel.get_ylim() for panel in panels[first : first + 3]}
        assert len(limits) == 1
        lowest = limits.pop()[0]
        assert lowest == 0 if first else lowest > 0  # latency, the first row, is logarithmic


def test_every_request_of_the_run_stands_above_the_gauges_on_their_time_axis(recording: Recording):
    figure = resource_timeline(recording).figure
    top, below = figure.axes[0], figure.axes[3]
    run = representative_run(recording, "reactive")
    assert run is not None
    dots = sum(len(np.atleast_1d(line.get_xdata())) for line in top.lines)
    assert dots == len(recording.requests(run))
    assert top.get_shared_x_axes().joined(top, below)


def test_the_collector_has_a_row(recording: Recording):
    rows = resource_timeline(recording).table.rows
    assert ("reactive", "GC pause, ms", 0.0, 3.0, "–") in rows
