"""Charts over several recordings of one scenario at different loads.

Nothing lies outside what was measured: points are medians over runs, joined in the order of the
load, and a fitted law is drawn with its band, and only when it is handed in. Capacity is the highest
measured rate that kept the objective.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from labcore.kernel import UsageError
from labcore.measure import CONTROL, Recording, ScalingFit
from labcore.show.charts.figure import (
    Cell,
    Chart,
    Table,
    corner_note,
    house_style,
    new_figure,
    plain_log,
)
from labcore.show.charts.legend import key
from labcore.show.evidence import median_interval
from labcore.show.palette import MUTED, PAPER, LaneStyle, lane_styles
from labcore.show.words import listed, number

HELD_SHARE = 0.99  # a rate counts as held when at least this share of its requests was answered


@dataclass(frozen=True, slots=True)
class _Point:
    """A lane at one load: medians over its valid runs, or over void ones when there are no others."""

    rate: float
    concurrency: float
    achieved: float
    answered_share: float  # of the requests sent: a Poisson schedule never sends exactly its rate
    error_share: float
    p50_ms: float
    p99_ms: float
    p99_low: float
    p99_high: float
    service_s: float
    pool: float
    runs: int
    void: bool


def throughput_against_concurrency(
    recordings: Sequence[Recording], *, fits: Mapping[str, ScalingFit] | None = None
) -> Chart:
    """Answered requests/s against requests in flight, with each pool's ceiling N/S.

    S is the median service time at the lowest load, where nobody queues; N the pool's size.

    Args:
        recordings: one scenario at several rates.
        fits: the scalability law of each lane that has one; its band lies within the range it is
            valid for.

    Raises: UsageError for no recordings, recordings of different scenarios, or a fit of another lane.
    """
    points = _points(recordings)
    laws = dict(fits or {})
    strangers = sorted(set(laws) - set(points))
    if strangers:
        raise UsageError(f"a fit of {strangers[0]!r}; the recordings have {listed(points)}")
    styles = lane_styles(points)
    ceilings = {lane: _ceiling(line) for lane, line in points.items()}
    ceilings = {lane: limit for lane, limit in ceilings.items() if math.isfinite(limit)}
    with house_style():
        figure, grid = new_figure(height_in=4.0)
        axes = grid[0][0]
        for lane, line in points.items():
            ordered = sorted(line, key=lambda point: point.concurrency)
            _line(axes, [(p.concurrency, p.achieved, p.void) for p in ordered], styles[lane])
        for lane, law in laws.items():
            _band(axes, law, styles[lane])
        for lane, limit in ceilings.items():
            axes.axhline(limit, color=styles[lane].color, linewidth=0.9, linestyle=(0, (4, 2)))
            axes.annotate(
                f"pool of {lane}: {number(limit)}/s",
                (0.995, limit),
                xycoords=("axes fraction", "data"),
                xytext=(0, 3),
                textcoords="offset points",
                ha="right",
                fontsize=8,
                color=MUTED[0],
            )
        axes.set(xlabel="requests in flight, mean of the run", ylabel="answered requests/s")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        key(figure, styles, lines=True)
        corner_note(figure, _note(points))
    return Chart(
        name="throughput",
        title=_ceiling_title(points, ceilings),
        alt=_alt("Lines of answered requests/s against requests in flight", points)
        + "".join(f" {_law_text(lane, law)}" for lane, law in laws.items()),
        reading="A dashed line is the most a pool can answer: its size over the service time at the"
        " lowest load. Hollow marks are void."
        + (" A shaded band is the fitted scalability law with its interval." if laws else ""),
        figure=figure,
        table=_table(points),
    )


def latency_against_rate(
    recordings: Sequence[Recording], *, objective_p99_ms: float | None = None
) -> Chart:
    """p50 and p99 against the offered rate, logarithmic, each lane's capacity marked.

    Args:
        recordings: one scenario at several rates.
        objective_p99_ms: with it, capacity is the highest measured rate up to which the median p99
            stays within and 99 % of the requests are answered; without it none is marked.

    Raises: UsageError for no recordings, or recordings of different scenarios.
    """
    points = _points(recordings)
    styles = lane_styles(points)
    capacities = {
        lane: capacity
        for lane, line in points.items()
        if objective_p99_ms is not None
        and (capacity := _capacity(line, objective_p99_ms)) is not None
    }
    with house_style():
        figure, grid = new_figure(1, 2, height_in=3.7, sharex=True, sharey=True)
        for axes, name, title in zip(grid[0], ("p50_ms", "p99_ms"), ("p50", "p99"), strict=True):
            axes.set_title(title)
            axes.set_xlabel("offered requests/s")
            for lane, line in points.items():
                _line(axes, [(p.rate, getattr(p, name), p.void) for p in line], styles[lane])
        for lane, line in points.items():
            _intervals(grid[0][1], line, styles[lane])
        if objective_p99_ms is not None:
            grid[0][1].axhline(objective_p99_ms, color=MUTED[0], linewidth=0.9)
        for lane, capacity in capacities.items():
            grid[0][1].axvline(
                capacity, color=styles[lane].color, linewidth=0.9, linestyle=(0, (2, 2))
            )
        plain_log(grid[0][0], "y")
        grid[0][0].set_ylabel("latency from the intended start, ms")
        grid[0][0].set_xlim(left=0)
        key(figure, styles, lines=True)
        corner_note(figure, _note(points))
    return Chart(
        name="rates",
        title=_capacity_title(points, capacities, objective_p99_ms),
        alt=_alt("Lines of p50 and p99 latency against the offered rate", points),
        reading="Each point is the median over runs of the runs' own percentile; bars are its interval,"
        " from six runs on. Hollow marks are void.",
        figure=figure,
        table=_table(points),
    )


def _points(recordings: Sequence[Recording]) -> dict[str, list[_Point]]:
    """Each lane's points in the order of the offered rate."""
    if not recordings:
        raise UsageError("no recordings; give at least one, of several rates to see a curve")
    scenarios = sorted({recording.design.scenario for recording in recordings})
    if len(scenarios) > 1:
        raise UsageError(f"recordings of {listed(scenarios)}; give those of one scenario")
    points: dict[str, list[_Point]] = {}
    for recording in sorted(recordings, key=lambda one: one.design.rate_per_s):
        for lane, runs in recording.runs.groupby("arm", sort=False):
            if lane != CONTROL:
                confidence = recording.design.confidence
                points.setdefault(str(lane), []).append(_point(runs, confidence=confidence))
    return points


def _point(runs: pd.DataFrame, *, confidence: float) -> _Point:
    void = bool(runs["void"].astype(bool).all())
    kept = runs if void else runs[~runs["void"].astype(bool)]
    low, high = median_interval(list(kept["p99_ms"]), confidence=confidence)

    def median(column: str) -> float:
        values = kept[column].dropna()
        return float(np.median(values)) if len(values) else math.nan

    return _Point(
        rate=median("offered_per_s"),
        concurrency=median("in_flight_mean"),
        achieved=median("achieved_per_s"),
        answered_share=float(
            (kept["achieved_per_s"] * kept["duration_s"] / kept["requests"]).median()
        ),
        error_share=median("error_share"),
        p50_ms=median("p50_ms"),
        p99_ms=median("p99_ms"),
        p99_low=low,
        p99_high=high,
        service_s=median("service_p50_ms") / 1e3,
        pool=median("worker_pool_size"),
        runs=len(kept),
        void=void,
    )


def _ceiling(line: Sequence[_Point]) -> float:
    """N/S; NaN without a pool. Source: Little's law, N = X R, with every worker busy."""
    calm = next((point for point in line if not point.void), None)
    if calm is None or not calm.service_s > 0:
        return math.nan
    return calm.pool / calm.service_s


def _capacity(line: Sequence[_Point], objective_p99_ms: float) -> float | None:
    """The highest rate held, counting up from the lowest until one is missed."""
    held = None
    for point in line:
        kept = point.p99_ms <= objective_p99_ms and point.answered_share >= HELD_SHARE
        if point.void or not kept:
            return held
        held = point.rate
    return held


def _line(axes: Axes, points: list[tuple[float, float, bool]], style: LaneStyle) -> None:
    valid = [(x, y) for x, y, void in points if not void]
    if valid:
        line = axes.plot(*zip(*valid, strict=True), color=style.color, linewidth=1.5)[0]
        if style.dash:
            line.set_dashes(style.dash)
    for x, y, void in points:
        axes.plot(
            x,
            y,
            marker=style.marker,
            markersize=6,
            color=style.color,
            markerfacecolor=PAPER[0] if void else style.color,
        )


def _band(axes: Axes, law: ScalingFit, style: LaneStyle) -> None:
    """The law where it is valid, with its interval; a dotted drop where it peaks."""
    places = np.linspace(law.lowest, law.highest, 60)
    bands = [law.at(float(place)) for place in places]
    axes.fill_between(
        places,
        [band.low for band in bands],
        [band.high for band in bands],
        color=style.color,
        alpha=0.16,
        linewidth=0,
    )
    axes.plot(
        places, [band.middle for band in bands], color=style.color, linewidth=0.9, linestyle=":"
    )
    if law.peak is not None:
        axes.plot(
            [law.peak] * 2, [0, law.at(law.peak).middle], color=style.color, linestyle=":", lw=0.9
        )


def _law_text(lane: str, law: ScalingFit) -> str:
    """The law's coefficients in words, each with its interval."""
    sigma, kappa = law.sigma_interval, law.kappa_interval
    text = (
        f"Scalability law of {lane}: contention {law.sigma:.2%} ({sigma[0]:.2%} to {sigma[1]:.2%}),"
        f" crosstalk {law.kappa:.3%} ({kappa[0]:.3%} to {kappa[1]:.3%})"
    )
    return f"{text}, peak at {number(law.peak)} in flight." if law.peak is not None else f"{text}."


def _intervals(axes: Axes, line: Sequence[_Point], style: LaneStyle) -> None:
    for point in line:
        if not point.void and math.isfinite(point.p99_low):
            axes.plot([point.rate] * 2, [point.p99_low, point.p99_high], color=style.color)


def _ceiling_title(points: dict[str, list[_Point]], ceilings: dict[str, float]) -> str:
    for lane, limit in ceilings.items():
        best = max((point.achieved for point in points[lane] if not point.void), default=math.nan)
        offered = max(point.rate for point in points[lane])
        if best >= 0.9 * limit and offered > limit:
            return f"{lane} stops at {number(best)}/s: its pool allows {number(limit)}/s"
    return f"Throughput against concurrency of {listed(points)}"


def _capacity_title(
    points: dict[str, list[_Point]], capacities: dict[str, float], objective: float | None
) -> str:
    if objective is None or not capacities:
        return f"Latency against offered rate of {listed(points)}"
    parts = [f"{lane} up to {number(rate)}/s" for lane, rate in capacities.items()]
    return f"A p99 within {number(objective)} ms holds on {listed(parts)}"


def _note(points: dict[str, list[_Point]]) -> str:
    counts = [point.runs for line in points.values() for point in line]
    low, high = min(counts), max(counts)
    return f"n = {low if low == high else f'{low} to {high}'} runs per point"


def _table(points: dict[str, list[_Point]]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            lane,
            point.rate,
            point.achieved,
            point.concurrency,
            point.p50_ms,
            point.p99_ms,
            point.error_share,
            point.runs,
            "void" if point.void else "counts",
        )
        for lane, line in points.items()
        for point in line
    ]
    columns = (
        "lane",
        "offered, /s",
        "answered, /s",
        "in flight",
        "p50, ms",
        "p99, ms",
        "errors, share",
        "runs",
        "point",
    )
    return Table(columns, tuple(rows))


def _alt(opening: str, points: dict[str, list[_Point]]) -> str:
    parts = []
    for lane, line in points.items():
        marks = [
            f"at {number(p.rate)}/s offered {number(p.achieved)}/s answered, p50 {number(p.p50_ms)} ms,"
            f" p99 {number(p.p99_ms)} ms"
            for p in line
        ]
        parts.append(f"{lane}: {'; '.join(marks)}")
    return f"{opening}. {'. '.join(parts)}."
