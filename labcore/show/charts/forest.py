"""The forest plot: every verdict with its interval, the equivalence zone shaded, the control too."""

import math
from collections.abc import Sequence

from matplotlib.axes import Axes

from labcore.measure import CONTROL, Recording, Verdict
from labcore.show.charts.figure import Cell, Chart, Table, corner_note, house_style, new_figure
from labcore.show.charts.legend import key
from labcore.show.charts.ratio import ratio_axis, zone_band
from labcore.show.evidence import (
    arms_of,
    has_interval,
    label_of,
    metric,
    metrics_judged,
    runs_note,
)
from labcore.show.palette import INK, PAPER, LaneStyle, lane_styles
from labcore.show.words import listed, number, times

_WIDEST = math.log(16)  # beyond sixteenfold an interval is cut, with an arrow
_LEAST = math.log(1.3)


def verdict_forest(recording: Recording) -> Chart:
    """Ratio to the baseline with its interval for every metric and arm, the zone shaded.

    The thick line is the exact signed-rank interval, the thin one Student's. Hollow marks carry no
    decision. The A/A control always has its row, also when it was not measured.
    """
    groups = {name: _rows(recording, name) for name in metrics_judged(recording)}
    styles = lane_styles([*arms_of(recording), CONTROL])
    reach = _reach(recording.verdicts)
    heights = [len(rows) + 0.2 for rows in groups.values()] or [1.0]
    with house_style():
        figure, grid = new_figure(
            len(heights),
            height_in=1.0 + 0.27 * sum(heights) + 0.2 * len(heights),
            sharex=True,
            height_ratios=heights,
        )
        for (axes,), (name, rows) in zip(grid, groups.items(), strict=False):
            _panel(axes, name, rows, styles)
        ratio_axis(grid[-1][0], "x", low=-reach, high=reach)
        grid[-1][0].set_xlabel(f"ratio to {recording.design.baseline}")
        shown = [arm for arm in styles if arm != recording.design.baseline]
        key(figure, {label_of(recording, arm): styles[arm] for arm in shown})
        corner_note(figure, runs_note(recording))
    return Chart(
        name="verdicts",
        title=_title(recording),
        alt=_alt(recording),
        reading="Left of 1 is less than the baseline, right of 1 more. A verdict needs its whole thick"
        " line outside the shaded zone, or inside it for equality. The control is the baseline"
        " against itself: it must not differ.",
        figure=figure,
        table=_table(recording),
    )


def _rows(recording: Recording, name: str) -> list[Verdict | None]:
    """Lanes first, the control last; None is a control that was not measured."""
    verdicts = [verdict for verdict in recording.verdicts if verdict.metric == name]
    control = [verdict for verdict in verdicts if verdict.arm == CONTROL]
    lanes = [verdict for verdict in verdicts if verdict.arm != CONTROL]
    return [*lanes, *control] if control else [*lanes, None]


def _panel(
    axes: Axes, name: str, rows: Sequence[Verdict | None], styles: dict[str, LaneStyle]
) -> None:
    known = [verdict for verdict in rows if verdict is not None]
    zone_band(axes, "x", zone_share=known[0].zone_share)
    axes.set_title(metric(name).label)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    for place, verdict in enumerate(rows):
        if verdict is None:
            _margin(axes, place, "A/A control", "not measured")
        else:
            _row(axes, place, verdict, styles[verdict.arm])


def _row(axes: Axes, place: int, verdict: Verdict, style: LaneStyle) -> None:
    label = "A/A control" if verdict.arm == CONTROL else verdict.arm
    _margin(axes, place, label, _words(verdict))
    if math.isfinite(verdict.t_low) and math.isfinite(verdict.t_high) and verdict.t_low > 0:
        _line(axes, place, (verdict.t_low, verdict.t_high), style.color, 0.9)
    if has_interval(verdict):
        _line(axes, place, (verdict.low, verdict.high), style.color, 3.2)
    if math.isfinite(verdict.ratio):
        decided = verdict.word not in {"undecided", "void"}
        axes.plot(
            max(-_WIDEST, min(_WIDEST, math.log(verdict.ratio))),
            place,
            marker=style.marker,
            markersize=7,
            color=style.color,
            markerfacecolor=style.color if decided else PAPER[0],
            markeredgewidth=1.4,
        )


def _line(axes: Axes, place: int, ends: tuple[float, float], color: str, width: float) -> None:
    low, high = (max(-_WIDEST, min(_WIDEST, math.log(end))) for end in ends)
    axes.plot([low, high], [place, place], color=color, linewidth=width, solid_capstyle="butt")
    for end, marker in ((low, "<"), (high, ">")):
        if abs(end) == _WIDEST:
            axes.plot(end, place, marker=marker, color=color, markersize=5)


def _margin(axes: Axes, place: int, label: str, words: str) -> None:
    """Who is compared, left of the axes, and what came out, right of them."""
    place_of = axes.get_yaxis_transform()
    axes.text(
        -0.012,
        place,
        label,
        transform=place_of,
        ha="right",
        va="center",
        fontsize=8.5,
        color=INK[0],
    )
    axes.text(
        1.012, place, words, transform=place_of, ha="left", va="center", fontsize=8.5, color=INK[0]
    )


def _words(verdict: Verdict) -> str:
    if verdict.word == "void" or not has_interval(verdict):
        return verdict.word
    return f"{verdict.word}, {times(verdict.ratio)}"


def _reach(verdicts: Sequence[Verdict]) -> float:
    """Half the width of the axis, in log-ratio: every interval inside, within limits."""
    ends = [
        abs(math.log(end))
        for verdict in verdicts
        for end in (verdict.ratio, verdict.low, verdict.high)
        if math.isfinite(end) and end > 0
    ]
    return max(_LEAST, min(_WIDEST, max(ends, default=0.0))) * 1.06


def _title(recording: Recording) -> str:
    verdicts = [verdict for verdict in recording.verdicts if verdict.arm != CONTROL]
    if not verdicts:
        return "No verdict yet"
    counts = {
        word: sum(verdict.word == word for verdict in verdicts)
        for word in ("faster", "slower", "equal in practice", "undecided", "void")
    }
    parts = [f"{count} {word}" for word, count in counts.items() if count]
    baseline = recording.design.baseline
    return f"{len(verdicts)} verdicts against {baseline}: {listed(parts)}"


def _table(recording: Recording) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            label_of(recording, verdict.arm),
            metric(verdict.metric).label,
            verdict.word,
            verdict.ratio,
            verdict.low,
            verdict.high,
            verdict.t_low,
            verdict.t_high,
            verdict.pairs,
        )
        for verdict in recording.verdicts
    ]
    columns = ("lane", "metric", "verdict", "ratio", "low", "high", "t low", "t high", "pairs")
    return Table(columns, tuple(rows))


def _alt(recording: Recording) -> str:
    parts = []
    for verdict in recording.verdicts:
        span = (
            f"{number(verdict.ratio)}, {number(verdict.low)} to {number(verdict.high)}"
            if has_interval(verdict)
            else "no interval"
        )
        label = label_of(recording, verdict.arm)
        parts.append(f"{label}, {metric(verdict.metric).label}: {verdict.word} ({span})")
    body = "; ".join(parts) or "no verdict yet"
    return f"Forest plot of ratios to {recording.design.baseline} with intervals. {body}."
