"""What a search for capacity found: latency at every rate it offered, and the bracket of each lane.

Nothing is fitted: the capacity lies between the highest rate that held and the lowest that did not, and
that bracket is what is drawn.
"""

import math
import re
from collections.abc import Sequence
from typing import Final

from matplotlib.axes import Axes

from labcore.kernel import UsageError
from labcore.measure import CapacityPoint, CapacityResult
from labcore.show.charts.figure import (
    Chart,
    Table,
    corner_note,
    house_style,
    new_figure,
    plain_log,
)
from labcore.show.charts.legend import key
from labcore.show.palette import ALARM, MUTED, PAPER, LaneStyle, lane_styles
from labcore.show.words import listed, number

_P99_LIMIT: Final = re.compile(r"\bp99<=?([0-9.]+)ms")
_COLUMNS: Final = (
    "lane",
    "offered, /s",
    "word",
    "held",
    "missed",
    "void",
    "p50, ms",
    "p99, ms",
    "errors, share",
    "answered, /s",
    "CPU, cores",
    "bottleneck",
)


def capacity_curve(results: Sequence[CapacityResult]) -> Chart:
    """p50 and p99 against the offered rate, logarithmic, the bracket of each lane's capacity shaded.

    Filled marks held the objective, crossed ones did not, hollow ones are void or unconfirmed.

    Raises: UsageError for no results, or results of several scenarios or objectives.
    """
    _require_one_question(results)
    styles = lane_styles([result.lane for result in results])
    with house_style():
        figure, grid = new_figure(1, 2, height_in=3.9, sharex=True, sharey=True)
        for axes, name in zip(grid[0], ("p50_ms", "p99_ms"), strict=True):
            axes.set_title(name.removesuffix("_ms"))
            axes.set_xlabel("offered requests/s")
            for result in results:
                _line(axes, result, name, styles[result.lane])
                _bracket(axes, result, styles[result.lane])
        _objective(grid[0][1], results[0].objective)
        plain_log(grid[0][0], "y")
        grid[0][0].set_ylabel("latency from the intended start, ms")
        grid[0][0].set_xlim(left=0)
        key(figure, styles, lines=True)
        runs = sum(point.passes + point.fails for result in results for point in result.points)
        corner_note(figure, f"n = {runs} valid runs; marks are medians over the runs of a rate")
    return Chart(
        name="capacity",
        title=_title(results),
        alt=_alt(results),
        reading="Filled marks kept the objective in every confirming run, marks with a red cross did not,"
        " hollow ones are void, mixed or unconfirmed. The capacity lies in the shaded bracket.",
        figure=figure,
        table=Table(
            _COLUMNS, tuple(_row(result.lane, p) for result in results for p in result.points)
        ),
    )


def bracket_text(result: CapacityResult) -> str:
    """The bracket in words: `400 to 450/s`, `at least 800/s`, `below 50/s`, `unknown`."""
    low, high = result.highest_passing_per_s, result.lowest_failing_per_s
    if math.isfinite(low) and math.isfinite(high):
        return f"{number(low)} to {number(high)}/s"
    if math.isfinite(low):
        return f"at least {number(low)}/s"
    return f"below {number(high)}/s" if math.isfinite(high) else "unknown"


def _require_one_question(results: Sequence[CapacityResult]) -> None:
    if not results:
        raise UsageError("no capacity results; give at least one")
    for name in ("scenario", "objective"):
        found = sorted({str(getattr(result, name)) for result in results})
        if len(found) > 1:
            raise UsageError(f"capacities of several {name}s: {listed(found)}; give those of one")


def _line(axes: Axes, result: CapacityResult, name: str, style: LaneStyle) -> None:
    points = [p for p in result.points if math.isfinite(getattr(p, name))]
    if not points:
        return
    x, y = [p.rate_per_s for p in points], [getattr(p, name) for p in points]
    line = axes.plot(x, y, color=style.color, linewidth=1.5)[0]
    if style.dash:
        line.set_dashes(style.dash)
    for point, height in zip(points, y, strict=True):
        held = point.state in {"passed", "failed"}
        axes.plot(
            point.rate_per_s,
            height,
            marker=style.marker,
            markersize=6,
            color=style.color,
            markerfacecolor=style.color if held else PAPER[0],
        )
        if point.state == "failed":
            axes.plot(point.rate_per_s, height, marker="x", markersize=8, color=ALARM[0])


def _bracket(axes: Axes, result: CapacityResult, style: LaneStyle) -> None:
    low, high = result.highest_passing_per_s, result.lowest_failing_per_s
    if math.isfinite(low) and math.isfinite(high):
        axes.axvspan(low, high, color=style.color, alpha=0.14, linewidth=0)
    if math.isfinite(low):
        line = axes.axvline(low, color=style.color, linewidth=1.1)
        if style.dash:
            line.set_dashes(style.dash)


def _objective(axes: Axes, objective: str) -> None:
    """The line that p99 has to stay below, where the objective names one."""
    found = _P99_LIMIT.search(objective.replace(" ", ""))
    if found:
        axes.axhline(float(found[1]), color=MUTED[0], linewidth=0.9)


def _title(results: Sequence[CapacityResult]) -> str:
    parts = [f"{result.lane} {bracket_text(result)}" for result in results]
    return f"Capacity for {results[0].objective.replace(',', ', ')}: {listed(parts)}"


def _row(lane: str, point: CapacityPoint) -> tuple[str | int | float, ...]:
    return (
        lane,
        point.rate_per_s,
        point.state,
        point.passes,
        point.fails,
        point.voids,
        point.p50_ms,
        point.p99_ms,
        point.error_share,
        point.achieved_per_s,
        point.server_cpu_share,
        point.bottleneck or "–",
    )


def _alt(results: Sequence[CapacityResult]) -> str:
    parts = []
    for result in results:
        marks = [
            f"at {number(p.rate_per_s)}/s {p.state}, p99 {number(p.p99_ms)} ms"
            for p in result.points
        ]
        parts.append(
            f"{result.lane}, capacity {bracket_text(result)}: {listed(marks) or 'no rate'}"
        )
    return (
        f"Lines of p50 and p99 latency, logarithmic, against the offered rate. {'. '.join(parts)}."
    )
