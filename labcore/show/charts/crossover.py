"""Who wins where: a map of a parameter by the offered rate, each cell one comparison in pairs.

A cell takes the colour of the lane that is better there, the stronger the further apart they are; what
is undecided stays grey, what is void is hatched, and every cell says its ratio in figures too.
"""

import math
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch, Rectangle

from labcore.measure import CrossoverCell, CrossoverResult
from labcore.show.charts.figure import (
    Chart,
    Table,
    corner_note,
    house_style,
    new_figure,
)
from labcore.show.evidence import metric
from labcore.show.palette import INK, MUTED, PAPER, RULE, ZONE, LaneStyle, lane_styles
from labcore.show.words import listed, number, times

GLYPHS: Final = {
    "faster": "▲",
    "slower": "▼",
    "equal in practice": "=",
    "undecided": "?",
    "void": "∅",
}
_FULL: Final = math.log(3)  # a ratio of three has the full colour
_WEAKEST, _STRONGEST = 0.16, 0.6  # opacity: text stays legible on both pages
_COLUMNS: Final = (
    "parameter",
    "offered, /s",
    "verdict",
    "ratio",
    "low",
    "high",
    "pairs",
    "void pairs",
    "p, Holm",
    "limits the lane",
    "limits the baseline",
)


def crossover_map(result: CrossoverResult) -> Chart:
    """The heat map of `lane` against `baseline`: colour of the better one, grey, hatched or blank."""
    styles = lane_styles([result.baseline, result.lane])
    rows, columns = max(len(result.values), 1), max(len(result.rates_per_s), 1)
    with house_style():
        figure, grid = new_figure(
            height_in=1.5 + 0.52 * rows, width_in=max(4.6, 1.6 + 1.0 * columns)
        )
        axes = grid[0][0]
        for cell in result.cells:
            _cell(axes, result, cell, styles)
        axes.set(xlim=(-0.5, columns - 0.5), ylim=(-0.5, rows - 0.5))
        axes.set_xticks(range(columns), [number(rate) for rate in result.rates_per_s])
        axes.set_yticks(range(rows), [number(value) for value in result.values])
        axes.grid(visible=False)
        axes.set_xlabel("offered requests/s")
        axes.set_ylabel(f"{result.parameter}, {result.unit}" if result.unit else result.parameter)
        _key(figure, result, styles)
        measured = sum(cell.measured for cell in result.cells)
        corner_note(
            figure,
            f"{measured} of {len(result.cells)} cells measured; figures are ratios"
            f" {result.lane} over {result.baseline}",
        )
    return Chart(
        name="crossover",
        title=result.sentence,
        alt=_alt(result),
        reading=f"Each cell compares {metric(result.metric).label} in pairs of runs; its figure is the"
        " ratio of the lanes. ▲ and ▼: the whole interval lies outside the zone; =: inside it; ?: undecided,"
        " grey; hatched: void. The colour is the better lane's, fuller the further apart they are.",
        figure=figure,
        table=_table(result),
    )


def _cell(
    axes: Axes, result: CrossoverResult, cell: CrossoverCell, styles: dict[str, LaneStyle]
) -> None:
    x, y = result.rates_per_s.index(cell.rate_per_s), result.values.index(cell.value)
    color, opacity, hatch = _fill(result, cell, styles)
    axes.add_patch(
        Rectangle(
            (x - 0.48, y - 0.46), 0.96, 0.92, facecolor=color, alpha=opacity, hatch=hatch,
            edgecolor=MUTED[0] if hatch else "none", linewidth=0,
        )
    )  # fmt: skip
    axes.text(x, y, _text(cell), ha="center", va="center", fontsize=8, color=INK[0])


def _fill(
    result: CrossoverResult, cell: CrossoverCell, styles: dict[str, LaneStyle]
) -> tuple[str, float, str | None]:
    if not cell.measured:
        return PAPER[0], 1.0, None
    if cell.word == "void":
        return PAPER[0], 1.0, "////"
    if cell.word in {"faster", "slower"}:
        winner = result.lane if cell.word == "faster" else result.baseline
        strength = min(1.0, abs(math.log(cell.ratio)) / _FULL)
        return styles[winner].color, _WEAKEST + (_STRONGEST - _WEAKEST) * strength, None
    return (ZONE[0] if cell.word == "equal in practice" else RULE[0]), 1.0, None


def _text(cell: CrossoverCell) -> str:
    if not cell.measured:
        return "–"
    ratio = times(cell.ratio) if math.isfinite(cell.ratio) else ""
    return f"{GLYPHS[cell.word]} {ratio}".strip()


def _key(figure: Figure, result: CrossoverResult, styles: dict[str, LaneStyle]) -> None:
    handles = [
        Patch(facecolor=styles[lane].color, alpha=_STRONGEST, label=f"{glyph} {lane} is better")
        for lane, glyph in ((result.lane, GLYPHS["faster"]), (result.baseline, GLYPHS["slower"]))
    ]
    handles += [
        Patch(facecolor=ZONE[0], label="= equal"),
        Patch(facecolor=RULE[0], label="? undecided"),
        Patch(facecolor=PAPER[0], edgecolor=MUTED[0], hatch="////", label="∅ void"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=3, borderaxespad=0.2)


def _table(result: CrossoverResult) -> Table:
    rows = tuple(
        (
            cell.value, cell.rate_per_s, cell.word if cell.measured else "not measured", cell.ratio,
            cell.low, cell.high, cell.pairs, cell.void_pairs, cell.p_holm, cell.bottleneck or "–",
            cell.baseline_bottleneck or "–",
        )
        for cell in result.cells
    )  # fmt: skip
    unit = f", {result.unit}" if result.unit else ""
    return Table((f"{result.parameter}{unit}", *_COLUMNS[1:]), rows)


def _alt(result: CrossoverResult) -> str:
    lines = []
    for value in result.values:
        words = [
            f"at {number(cell.rate_per_s)}/s {cell.word if cell.measured else 'not measured'}"
            + (f" ({times(cell.ratio)})" if math.isfinite(cell.ratio) else "")
            for cell in result.cells
            if cell.value == value
        ]
        lines.append(
            f"{result.parameter} {number(value)} {result.unit}".strip() + f": {listed(words)}"
        )
    return (
        f"Heat map of {metric(result.metric).label}, {result.lane} against {result.baseline}."
        f" {'. '.join(lines)}."
    )
