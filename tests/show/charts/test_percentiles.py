from collections.abc import Callable

import numpy as np
import pytest

from labcore.measure import Recording
from labcore.show.charts.percentiles import LEAST_ABOVE, percentile_curve
from labcore.show.evidence import latencies_ms, valid_runs

Build = Callable[..., Recording]


@pytest.fixture(scope="module")
def long(make_recording: Build) -> Recording:
    """Runs of some 2,000 requests: p99 has twenty above it."""
    return make_recording(pairs=6, rate=500.0, arms=("threads",), control=False)


def run_latencies(recording: Recording, arm: str) -> list[np.ndarray]:
    names = valid_runs(recording).query("arm == @arm")["run"]
    return [latencies_ms(recording.requests(name)) for name in names]


def test_each_valid_run_is_a_line_and_the_median_one_more(long: Recording):
    lines = percentile_curve(long).figure.axes[0].lines
    thin = [line for line in lines if line.get_linewidth() < 1]
    thick = [line for line in lines if line.get_linewidth() > 2]
    assert len(thin) == len(valid_runs(long))
    assert len(thick) == 2


def test_the_table_holds_medians_over_runs_of_each_runs_percentile(long: Recording):
    rows = {row[:2]: row[2] for row in percentile_curve(long).table.rows}
    for arm in ("reactive", "threads"):
        each = [np.quantile(run, 0.99) for run in run_latencies(long, arm)]
        assert rows[arm, "99%"] == pytest.approx(np.median(each), rel=0.02)


def test_curves_end_where_fewer_than_ten_requests_lie_above(long: Recording):
    lines = percentile_curve(long).figure.axes[0].lines
    least = min(map(len, run_latencies(long, "reactive")))
    for line in lines:
        x, y = line.get_data()
        furthest = np.asarray(x)[np.isfinite(np.asarray(y))].max()
        assert furthest <= max(map(len, run_latencies(long, "threads"))) / LEAST_ABOVE + 1e-9
        assert furthest >= 0.8 * least / LEAST_ABOVE


def test_a_percentile_that_is_not_drawn_is_not_told(recording: Recording):
    chart = percentile_curve(recording)
    beyond = [row[2] for row in chart.table.rows if row[1] == "99.9%"]
    assert beyond
    assert np.isnan(np.array(beyond, dtype=float)).all()
    assert chart.title.endswith("× the median latency of reactive")


def test_the_title_speaks_of_p99_where_the_curves_reach_it(long: Recording):
    assert "the p99 latency of reactive" in percentile_curve(long).title
