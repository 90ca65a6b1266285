from collections.abc import Callable
from typing import Any

import pytest

from labcore.kernel import UsageError
from labcore.measure import Recording, fit_scaling
from labcore.show.charts.load import latency_against_rate, throughput_against_concurrency

Build = Callable[..., Recording]


def at_rate(make_recording: Build, rate: float, **shape: Any) -> Recording:
    plain = {"duration_s": 2.0, "pairs": 2, "void": (), "control": False}
    return make_recording(rate=rate, **{**plain, **shape})


@pytest.fixture(scope="module")
def rising(make_recording: Build) -> list[Recording]:
    """Three rates, in no order."""
    return [at_rate(make_recording, rate) for rate in (100.0, 50.0, 150.0)]


def test_points_are_medians_over_runs_in_the_order_of_the_rate(rising: list[Recording]):
    rows = latency_against_rate(rising).table.rows
    lanes = {lane: [row for row in rows if row[0] == lane] for lane in ("reactive", "threads")}
    for lane, line in lanes.items():  # noqa: B007, PERF102 - the query below reads `lane`
        assert [row[1] for row in line] == [50, 100, 150]
        runs = rising[1].runs.query("arm == @lane")
        assert line[0][5] == pytest.approx(runs["p99_ms"].median())


def test_the_ceiling_is_the_pool_over_the_service_time(rising: list[Recording]):
    chart = throughput_against_concurrency(rising)
    service_s = rising[1].runs.query("arm == 'threads'")["service_p50_ms"].median() / 1e3
    drawn = [line.get_ydata() for line in chart.figure.axes[0].lines]
    levels = [float(data[0]) for data in drawn if len(data) == 2 and data[0] == data[1]]  # type: ignore[arg-type,index]  # a line's data are a sequence
    assert levels == [pytest.approx(40 / service_s)]
    assert chart.title.startswith("Throughput against concurrency of ")


def test_a_lane_at_its_ceiling_is_the_title(make_recording: Build):
    tight = {"natures": {"threads": {"pool": 4.0}}, "arms": ("threads",)}
    recordings = [at_rate(make_recording, rate, **tight) for rate in (40.0, 60.0)]
    title = throughput_against_concurrency(recordings).title
    assert title.startswith("threads stops at ")
    assert "its pool allows" in title


def test_capacity_is_the_highest_measured_rate_within_the_objective(rising: list[Recording]):
    chart = latency_against_rate(rising, objective_p99_ms=180.0)
    assert "reactive up to 150/s" in chart.title
    assert "threads" not in chart.title


def test_without_an_objective_no_capacity_is_claimed(rising: list[Recording]):
    assert latency_against_rate(rising).title.startswith("Latency against offered rate of ")


def test_a_void_rate_is_no_capacity(make_recording: Build):
    void = {"arms": ("virtual",), "repeat": False, "void": ((1, "reactive"), (2, "reactive"))}
    recordings = [at_rate(make_recording, 50.0), at_rate(make_recording, 100.0, **void)]
    chart = latency_against_rate(recordings, objective_p99_ms=1000.0)
    assert "reactive up to 50/s" in chart.title
    assert [row[8] for row in chart.table.rows if row[0] == "reactive"] == ["counts", "void"]


def test_no_recordings_or_several_scenarios_are_refused(
    rising: list[Recording], make_recording: Build
):
    other = at_rate(make_recording, 50.0, scenario="inventory", pairs=1)
    with pytest.raises(UsageError, match="no recordings"):
        latency_against_rate([])
    with pytest.raises(UsageError, match="checkout and inventory"):
        throughput_against_concurrency([rising[0], other])


LAW = fit_scaling(
    [1, 2, 4, 8, 16, 32, 64],
    [n / (1 + 0.02 * (n - 1) + 0.001 * n * (n - 1)) for n in (1, 2, 4, 8, 16, 32, 64)],
)


def test_a_law_is_drawn_with_its_band_and_only_where_it_is_valid(rising: list[Recording]):
    chart = throughput_against_concurrency(rising, fits={"reactive": LAW})
    (band,) = chart.figure.axes[0].collections
    reach = band.get_datalim(chart.figure.axes[0].transData)
    assert (reach.x0, reach.x1) == (pytest.approx(1), pytest.approx(64))
    assert "contention 2.00%" in chart.alt
    assert "peak at 31.3 in flight" in chart.alt
    assert "shaded band" in chart.reading


def test_without_a_law_none_is_claimed(rising: list[Recording]):
    chart = throughput_against_concurrency(rising)
    assert list(chart.figure.axes[0].collections) == []
    assert "law" not in chart.alt + chart.reading


def test_the_law_of_a_lane_that_was_not_measured_is_refused(rising: list[Recording]):
    with pytest.raises(UsageError, match="'fibres'"):
        throughput_against_concurrency(rising, fits={"fibres": LAW})
