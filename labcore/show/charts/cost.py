"""What a request costs: CPU, memory and threads of the server, every run a dot, axes from zero."""

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes

from labcore.measure import Recording
from labcore.show.charts.figure import Cell, Chart, Table, corner_note, house_style, new_figure
from labcore.show.evidence import (
    arms_of,
    finding,
    label_of,
    median_interval,
    metric,
    valid_runs,
    void_runs,
)
from labcore.show.palette import INK, MUTED, PAPER, LaneStyle, lane_styles
from labcore.show.words import listed, number

COLUMNS = ("cpu_per_request_us", "rss_peak_mb", "threads_max")


@dataclass(frozen=True, slots=True)
class _Cost:
    """One bar: the values of the runs that count, of those that do not, median and interval."""

    valid: list[float]
    void: list[float]
    median: float
    low: float
    high: float


def cost_per_request(recording: Recording) -> Chart:
    """CPU per request, peak memory and threads of each lane, zero-based, with intervals.

    The bar is the median over runs, the line its distribution-free interval, which exists from six
    runs on. Void runs are hollow and enter neither.
    """
    arms = arms_of(recording)
    styles = lane_styles(arms)
    costs = {column: {arm: _cost(recording, arm, column) for arm in arms} for column in COLUMNS}
    costs = {
        column: found for column, found in costs.items() if any(c.valid for c in found.values())
    }
    columns = max(len(costs), 1)
    with house_style():
        figure, grid = new_figure(
            1, columns, height_in=0.95 + 0.42 * max(len(arms), 2), sharey=True
        )
        for axes, (column, found) in zip(grid[0], costs.items(), strict=False):
            _panel(axes, column, found, styles)
        grid[0][0].set_yticks(range(len(arms)), [_short(arm, recording) for arm in arms])
        grid[0][0].tick_params(axis="y", labelcolor=INK[0], labelsize=8.5)
        grid[0][0].set_ylim(len(arms) - 0.45, -0.55)
        corner_note(figure, _note(recording))
    lanes = listed(arms_of(recording, control=False))
    return Chart(
        name="cost",
        title=finding(recording, "cpu_per_request_us", neutral=f"Cost of a request on {lanes}"),
        alt=_alt(recording, costs),
        reading="Bars are medians over runs, dots single runs, black lines the intervals of the medians."
        " A lane without a bar has no gauge for it.",
        figure=figure,
        table=_table(recording, costs),
    )


def _cost(recording: Recording, arm: str, column: str) -> _Cost:
    valid, void = (
        [float(value) for value in runs.loc[runs["arm"] == arm, column].dropna()]
        for runs in (valid_runs(recording), void_runs(recording))
    )
    low, high = median_interval(valid, confidence=recording.design.confidence)
    return _Cost(valid, void, float(np.median(valid)) if valid else math.nan, low, high)


def _panel(axes: Axes, column: str, costs: dict[str, _Cost], styles: dict[str, LaneStyle]) -> None:
    card = metric(column)
    axes.set_title(card.label)
    axes.set_xlabel(card.unit or "number")
    axes.grid(axis="y", visible=False)
    for place, (arm, cost) in enumerate(costs.items()):
        style = styles[arm]
        if not cost.valid:
            axes.text(0, place, " no gauge", va="center", color=MUTED[0], fontsize=8)
            continue
        axes.barh(place, cost.median, height=0.62, color=style.color, alpha=0.25, linewidth=0)
        axes.plot([cost.median] * 2, [place - 0.31, place + 0.31], color=style.color, linewidth=2)
        if math.isfinite(cost.low):
            axes.plot([cost.low, cost.high], [place] * 2, color=INK[0], linewidth=1.4)
        _dots(axes, place - 0.19, cost.valid, style, hollow=False)
        _dots(axes, place - 0.19, cost.void, style, hollow=True)
    axes.set_xlim(left=0)
    axes.locator_params(axis="x", nbins=5)


def _dots(
    axes: Axes, height: float, values: list[float], style: LaneStyle, *, hollow: bool
) -> None:
    axes.plot(
        values,
        [height] * len(values),
        linestyle="none",
        marker=style.marker,
        markersize=3.6,
        color=style.color,
        markerfacecolor=PAPER[0] if hollow else style.color,
        markeredgewidth=0.9,
    )


def _short(arm: str, recording: Recording) -> str:
    return "A/A control" if label_of(recording, arm) != arm else arm


def _note(recording: Recording) -> str:
    counts = valid_runs(recording)["arm"].value_counts()
    void = len(void_runs(recording))
    n = f"n = {counts.min()} to {counts.max()} runs per arm" if len(counts) else "n = 0 runs"
    if len(counts) and counts.min() == counts.max():
        n = f"n = {counts.max()} runs per arm"
    return f"{n}; void runs hollow: {void}" if void else n


def _table(recording: Recording, costs: dict[str, dict[str, _Cost]]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            label_of(recording, arm),
            metric(column).label,
            metric(column).unit or "–",
            cost.median,
            cost.low,
            cost.high,
            len(cost.valid),
            len(cost.void),
        )
        for column, found in costs.items()
        for arm, cost in found.items()
    ]
    columns = ("lane", "cost", "unit", "median", "low", "high", "runs", "void runs")
    return Table(columns, tuple(rows))


def _alt(recording: Recording, costs: dict[str, dict[str, _Cost]]) -> str:
    parts = []
    for column, found in costs.items():
        card = metric(column)
        values = [
            f"{label_of(recording, arm)} {number(cost.median)}"
            for arm, cost in found.items()
            if cost.valid
        ]
        parts.append(f"{card.label} in {card.unit or 'number'}: {listed(values)}")
    body = "; ".join(parts) or "no gauge"
    return f"Bars from zero with a dot for each run, medians over runs. {body}."
