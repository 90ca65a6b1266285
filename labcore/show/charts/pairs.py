"""Block by block: the ratio of each pair, so that a drift or a lucky block shows."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from labcore.measure import Recording
from labcore.show.charts.figure import (
    Cell,
    Chart,
    Table,
    corner_note,
    house_style,
    new_figure,
)
from labcore.show.charts.legend import key
from labcore.show.charts.ratio import ratio_axis, zone_band
from labcore.show.evidence import arms_of, claim, differences, label_of, metric, metrics_judged
from labcore.show.palette import MUTED, PAPER, LaneStyle, lane_styles
from labcore.show.words import listed, number

_DEFAULT_METRICS = ("p50_ms", "p99_ms", "cpu_per_request_us")
_SPREAD = 0.5  # of a block's width, over which its arms lie side by side


@dataclass(frozen=True, slots=True)
class Pair:
    """One arm's run beside the baseline's run of the same block; void when either half is."""

    block: int
    arm: str
    ratio: float
    void: bool


def paired_ratios(recording: Recording) -> Chart:
    """Ratio to the baseline in each block, one panel a metric, the zone shaded, void pairs hollow.

    Every attempt at a run makes a pair with the baseline's last run of its block, so a repeated void
    run shows beside the one that counts.
    """
    names = metrics_judged(recording) or list(_DEFAULT_METRICS)
    found = {name: pairs_of(recording, name) for name in names}
    found = {name: pairs for name, pairs in found.items() if pairs}
    arms = [arm for arm in arms_of(recording) if arm != recording.design.baseline]
    styles = lane_styles(arms_of(recording))
    rows = max(len(found), 1)
    with house_style():
        figure, grid = new_figure(rows, height_in=0.9 + 1.2 * rows, sharex=True)
        for (axes,), (name, pairs) in zip(grid, found.items(), strict=False):
            _panel(axes, name, pairs, recording, styles)
        grid[-1][0].set_xlabel("block")
        grid[-1][0].xaxis.set_major_locator(MaxNLocator(integer=True, nbins=20))
        figure.supylabel(f"ratio to {recording.design.baseline}", fontsize=8.5, color=MUTED[0])
        key(figure, {label_of(recording, arm): styles[arm] for arm in arms})
        counted = {pair.block for pairs in found.values() for pair in pairs if not pair.void}
        blocks = f"n = {len(counted)} {'block' if len(counted) == 1 else 'blocks'}"
        corner_note(figure, f"{blocks}; hollow: a half of the pair is void")
    return Chart(
        name="pairs",
        title=_title(recording, found),
        alt=_alt(recording, found),
        reading="The arms of a block share one schedule and ran one after another, so what disturbs the"
        " machine disturbs both halves of a pair. The line is the estimate over all pairs.",
        figure=figure,
        table=_table(recording, found),
    )


def pairs_of(recording: Recording, name: str) -> list[Pair]:
    """All pairs on a metric in the order of blocks, void ones included; empty when none exists."""
    runs = recording.runs.sort_values(["block", "attempt"])
    baseline = recording.design.baseline
    halves = {
        int(row["block"]): (float(row[name]), bool(row["void"]))
        for _, row in runs[runs["arm"] == baseline].iterrows()
    }
    pairs = []
    for _, row in runs[runs["arm"] != baseline].iterrows():
        below, void = halves.get(int(row["block"]), (math.nan, True))
        value = float(row[name])
        if value > 0 and below > 0:
            void = void or bool(row["void"])
            pairs.append(Pair(int(row["block"]), str(row["arm"]), value / below, void))
    return pairs


def _panel(
    axes: Axes,
    name: str,
    pairs: Sequence[Pair],
    recording: Recording,
    styles: dict[str, LaneStyle],
) -> None:
    verdicts = {verdict.arm: verdict for verdict in recording.verdicts if verdict.metric == name}
    zone = next(iter(verdicts.values())).zone_share if verdicts else recording.design.zone_share
    arms = list(dict.fromkeys(pair.arm for pair in pairs))
    zone_band(axes, "y", zone_share=zone)
    axes.grid(axis="x", visible=False)
    for place, arm in enumerate(arms):
        shift = _SPREAD * (place / (len(arms) - 1) - 0.5) if len(arms) > 1 else 0.0
        verdict = verdicts.get(arm)
        if verdict is not None and math.isfinite(verdict.ratio):
            axes.axhline(math.log(verdict.ratio), color=styles[arm].color, linewidth=0.9, alpha=0.8)
        for void in (False, True):
            _dots(axes, [p for p in pairs if p.arm == arm and p.void is void], shift, styles[arm])
    axes.set_title(metric(name).label)
    logs = [math.log(pair.ratio) for pair in pairs] + [math.log1p(zone), -math.log1p(zone)]
    margin = 0.12 * (max(logs) - min(logs))
    ratio_axis(axes, "y", low=min(logs) - margin, high=max(logs) + margin)


def _dots(axes: Axes, pairs: Sequence[Pair], shift: float, style: LaneStyle) -> None:
    if not pairs:
        return
    axes.plot(
        [pair.block + shift for pair in pairs],
        [math.log(pair.ratio) for pair in pairs],
        linestyle="none",
        marker=style.marker,
        markersize=5,
        color=style.color,
        markerfacecolor=PAPER[0] if pairs[0].void else style.color,
        markeredgewidth=1.1,
    )


def _title(recording: Recording, found: dict[str, list[Pair]]) -> str:
    """How many pairs agree with the largest difference the verdicts claim."""
    claims = [
        verdict
        for verdict in differences(recording)
        if verdict.metric in found and math.isfinite(verdict.ratio)
    ]
    if not claims:
        return f"Ratios to {recording.design.baseline}, block by block"
    verdict = max(claims, key=lambda one: abs(math.log(one.ratio)))
    mine = [p for p in found[verdict.metric] if p.arm == verdict.arm and not p.void]
    agree = sum((pair.ratio > 1) == (verdict.ratio > 1) for pair in mine)
    if agree == len(mine):
        return f"{claim(verdict)}, and all {len(mine)} pairs agree"
    return f"{claim(verdict)}; {agree} of {len(mine)} pairs agree in the direction"


def _table(recording: Recording, found: dict[str, list[Pair]]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            metric(name).label,
            pair.block,
            label_of(recording, pair.arm),
            pair.ratio,
            "void" if pair.void else "counts",
        )
        for name, pairs in found.items()
        for pair in pairs
    ]
    return Table(("metric", "block", "lane", "ratio", "pair"), tuple(rows))


def _alt(recording: Recording, found: dict[str, list[Pair]]) -> str:
    parts = []
    for name, pairs in found.items():
        spans = []
        for arm in dict.fromkeys(pair.arm for pair in pairs):
            ratios = [pair.ratio for pair in pairs if pair.arm == arm and not pair.void]
            if ratios:
                span = f"{number(min(ratios))} to {number(max(ratios))}"
                spans.append(f"{label_of(recording, arm)} {span}")
        parts.append(f"{metric(name).label}: {listed(spans) or 'no pair counts'}")
    body = "; ".join(parts) or "no pair yet"
    return f"Dots of the ratio to {recording.design.baseline} in each block. {body}."
