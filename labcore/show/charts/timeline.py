"""What the server spent while the load ran, below what its requests took: one time axis for all.

The gauges come from the sampler inside the server; in flight is counted from the requests
themselves, so that a foreign lane, which has no gauges, shows at least that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from labcore.measure import Recording
from labcore.show.charts.figure import (
    DENSE_POINTS,
    WIDTH_IN,
    Cell,
    Chart,
    Table,
    corner_note,
    house_style,
    new_figure,
    plain_log,
)
from labcore.show.charts.latency import key_of_outcomes, others, scatter_requests
from labcore.show.evidence import arms_of, latencies_ms, representative_run
from labcore.show.palette import MUTED, LaneStyle, lane_styles
from labcore.show.words import listed, number, times

IN_FLIGHT = "in flight, from the requests"
CPU = "cpu, from its clock"
_LANE_WIDTH_IN = 2.1


@dataclass(frozen=True, slots=True)
class _Panel:
    """One row: its axis label, the gauge drawn and the gauge that limits it."""

    label: str
    gauge: str
    limit: str = ""


_PANELS = (
    _Panel("in flight", IN_FLIGHT),
    _Panel("CPU, cores", CPU),
    _Panel("threads", "threads"),
    _Panel("memory, MB", "rss_mb"),
    _Panel("loop lag, ms", "loop_lag_ms"),
    _Panel("GC pause, ms", "gc_pause_ms"),
    _Panel("workers busy", "worker_pool_busy", "worker_pool_size"),
    _Panel("db busy", "db_pool_busy", "db_pool_size"),
)


@dataclass(frozen=True, slots=True)
class _Run:
    """One run: its requests, and its gauges, each a series over seconds into the run."""

    name: str
    requests: pd.DataFrame
    gauges: Mapping[str, "pd.Series[float]"] = field(default_factory=dict)

    def series(self, gauge: str) -> "pd.Series[float] | None":
        found = self.gauges.get(gauge)
        return found if found is not None and found.notna().any() else None


def resource_timeline(recording: Recording) -> Chart:
    """Latency of every request above in flight, CPU, threads, memory, loop lag, collector and pools.

    One column a lane, one time axis for all, so that a stall is seen with its cause.

    The run shown is the lane's valid run with the p99 nearest to its median p99. Panels nobody has a
    gauge for are left out; a lane without a gauge leaves its panel empty and says so.
    """
    lanes = arms_of(recording, control=False)
    names = {lane: representative_run(recording, lane) for lane in lanes}
    runs = {lane: _run(recording, name) for lane, name in names.items() if name}
    panels = [
        panel
        for panel in _PANELS
        if any(run.series(panel.gauge) is not None for run in runs.values())
    ]
    styles = lane_styles(arms_of(recording))
    rows, columns = 1 + max(len(panels), 1), max(len(runs), 1)
    dense = sum(len(run.requests) for run in runs.values()) > DENSE_POINTS
    with house_style():
        figure, grid = new_figure(
            rows,
            columns,
            height_in=1.9 + 0.95 * (rows - 1),
            width_in=max(WIDTH_IN, 0.6 + _LANE_WIDTH_IN * columns),
            sharex=True,
            sharey="row",
            height_ratios=[1.6, *[1.0] * (rows - 1)],
        )
        for axes, (lane, run) in zip(grid[0], runs.items(), strict=False):
            scatter_requests(axes, run.requests, styles[lane], rasterized=dense)
        plain_log(grid[0][0], "y")
        grid[0][0].set_ylabel("latency, ms")
        for line, panel in zip(grid[1:], panels, strict=False):
            line[0].set_ylabel(panel.label)
            for axes, (lane, run) in zip(line, runs.items(), strict=False):
                _draw(axes, run, panel, styles[lane])
            line[0].set_ylim(bottom=0)
        for axes, (lane, run) in zip(grid[0], runs.items(), strict=False):
            axes.set_title(f"{lane}, run {run.name}")
        grid[-1][columns // 2].set_xlabel("seconds into the run")
        key_of_outcomes(figure, others(run.requests for run in runs.values()))
        corner_note(figure, "one run per lane: the one with the median p99")
    return Chart(
        name="timeline",
        title=_title(runs),
        alt=_alt(runs, panels),
        reading="Each dot is one request, at the moment it was due; below it is what the server did then."
        " Columns share their time axis and rows their scale, so that heights compare across"
        " lanes. A dashed line is the size of a pool: work that touches it waits for a place.",
        figure=figure,
        table=_table(runs, panels),
    )


def _run(recording: Recording, name: str) -> _Run:
    samples = recording.samples(name)
    during = samples["at_s"].between(0, recording.design.duration_s)  # neither warm-up nor drain
    inside = samples[(samples["source"] == "server") & during]
    gauges = {
        str(metric): rows.groupby("at_s")["value"].last()
        for metric, rows in inside.groupby("metric")
    }
    if "cpu_s" in gauges:
        gauges[CPU] = _slope(gauges["cpu_s"])
    requests = recording.requests(name)
    return _Run(name, requests, {**gauges, IN_FLIGHT: _in_flight(requests)})


def _slope(total: "pd.Series[float]") -> "pd.Series[float]":
    """How fast a total grows, per second, between one sample and the next."""
    elapsed = np.diff(total.index.to_numpy())
    return pd.Series(np.diff(total.to_numpy()) / elapsed, index=total.index[1:])


def _in_flight(requests: pd.DataFrame) -> "pd.Series[float]":
    """Requests sent and not yet done, looked at 200 times over the run."""
    sent = np.sort(requests.loc[requests["sent_ns"] > 0, "sent_ns"].to_numpy())
    if not len(sent):
        return pd.Series(dtype=float)
    done = np.sort(requests.loc[requests["sent_ns"] > 0, "done_ns"].to_numpy())
    start = int(requests["intended_ns"].min())
    looks = np.linspace(start, max(int(sent[-1]), start + 1), 200)
    count = np.searchsorted(sent, looks, "right") - np.searchsorted(done, looks, "right")
    return pd.Series(count.astype(float), index=(looks - start) / 1e9)


def _draw(axes: Axes, run: _Run, panel: _Panel, style: LaneStyle) -> None:
    series = run.series(panel.gauge)
    if series is None:
        axes.text(
            0.5,
            0.5,
            "no pool" if panel.limit and len(run.gauges) > 1 else "no gauge",
            transform=axes.transAxes,
            ha="center",
            va="center",
            color=MUTED[0],
            fontsize=8,
        )
        return
    axes.plot(series.index, series.to_numpy(), color=style.color, linewidth=1.3)
    axes.fill_between(series.index, series.to_numpy(), color=style.color, alpha=0.14, linewidth=0)
    limit = run.series(panel.limit) if panel.limit else None
    if limit is not None:
        axes.axhline(float(limit.max()), color=MUTED[0], linewidth=0.9, linestyle=(0, (4, 2)))


def _title(runs: Mapping[str, _Run]) -> str:
    """The pool that was full is the finding; failing that, who holds how many threads."""
    full = {}
    for lane, run in runs.items():
        busy, size = run.series("worker_pool_busy"), run.series("worker_pool_size")
        if busy is not None and size is not None and (busy >= size.max()).mean() >= 0.5:
            full[lane] = size.max()
    if full:
        parts = [f"{lane} ({number(size)})" for lane, size in full.items()]
        return f"The worker pool of {listed(parts)} is full at least half of the time"
    threads = {
        lane: found.max()
        for lane, run in runs.items()
        if (found := run.series("threads")) is not None
    }
    if len(threads) > 1:
        most, least = max(threads, key=threads.__getitem__), min(threads, key=threads.__getitem__)
        if threads[least] > 0 and threads[most] / threads[least] > 1.2:
            ratio = times(threads[most] / threads[least])
            return f"{most} holds {number(threads[most])} threads, {ratio} those of {least}"
    return "Resources of the server against time"


def _table(runs: Mapping[str, _Run], panels: list[_Panel]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for lane, run in runs.items():
        if len(run.requests):
            latency = latencies_ms(run.requests)
            rows.append((lane, "latency, ms", float(np.median(latency)), float(latency.max()), "–"))
        for panel in panels:
            series = run.series(panel.gauge)
            limit = run.series(panel.limit) if panel.limit else None
            if series is not None:
                size = float(limit.max()) if limit is not None else "–"
                rows.append((lane, panel.label, float(series.median()), float(series.max()), size))
    return Table(("lane", "gauge", "median", "highest", "size of the pool"), tuple(rows))


def _alt(runs: Mapping[str, _Run], panels: list[_Panel]) -> str:
    parts = []
    for lane, run in runs.items():
        found = [(panel.label, run.series(panel.gauge)) for panel in panels]
        peaks = [f"{label} up to {number(s.max())}" for label, s in found if s is not None]
        if len(run.requests):
            peaks.insert(0, f"latency up to {number(float(latencies_ms(run.requests).max()))} ms")
        parts.append(f"{lane}: {listed(peaks)}")
    body = "; ".join(parts) or "no valid run yet"
    return (
        f"Scatter of latency above lines against time, one column a lane, one row a gauge. {body}."
    )
