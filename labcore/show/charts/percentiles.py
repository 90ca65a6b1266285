"""The percentile curve: the whole latency distribution, tail stretched out, every repeat visible.

Source: the percentile plots of HdrHistogram (x = 1/(1-q) on a logarithmic axis).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter

from labcore.measure import Recording
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
from labcore.show.evidence import (
    arms_of,
    finding,
    label_of,
    latencies_ms,
    runs_note,
    valid_runs,
    verdicts_for,
)
from labcore.show.palette import LaneStyle, lane_styles
from labcore.show.words import listed, number

LEAST_ABOVE = 10  # a quantile with fewer samples above it is one request's luck
SERVICE_GAP = 0.05  # service time is drawn apart where it differs from latency by more
_QUANTILES = 1 - 1 / np.geomspace(1, 1e5, 141)
_TICKS = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999, 0.9999, 0.99999)
_LISTED = (0.5, 0.9, 0.99, 0.999)

Curve = "np.ndarray[tuple[int], np.dtype[np.float64]]"


@dataclass(frozen=True, slots=True)
class _Curves:
    """Quantiles of an arm at `_QUANTILES`, ms: one row a run, NaN where the run is too short."""

    latency: "np.ndarray[tuple[int, int], np.dtype[np.float64]]"
    service: "np.ndarray[tuple[int, int], np.dtype[np.float64]]"

    def median(self, which: str = "latency") -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
        """Median over runs at each quantile; NaN where fewer than half of the runs reach."""
        rows = self.latency if which == "latency" else self.service
        reached = np.isfinite(rows).sum(axis=0) * 2 >= len(rows)
        out = np.full(rows.shape[1], np.nan)
        out[reached] = np.nanmedian(rows[:, reached], axis=0)
        return out


def percentile_curve(recording: Recording) -> Chart:
    """Latency from the intended start at every quantile, one thin line a run, medians thick.

    Curves end where fewer than ten samples remain above. Void runs are left out.
    """
    arms = arms_of(recording)
    styles = lane_styles(arms)
    curves = {arm: _curves(recording, arm) for arm in arms}
    curves = {arm: found for arm, found in curves.items() if len(found.latency)}
    with house_style():
        figure, grid = new_figure(height_in=4.3)
        axes = grid[0][0]
        for arm, found in reversed(curves.items()):  # the control lies below what it controls
            _draw(axes, found, styles[arm])
        _percentile_axis(axes, curves)
        plain_log(axes, "y")
        axes.set_ylabel("latency from the intended start, ms")
        axes.set_xlabel("percentile of the requests of a run")
        key(figure, {label_of(recording, arm): styles[arm] for arm in curves}, lines=True)
        corner_note(figure, runs_note(recording))
    lanes = arms_of(recording, control=False)
    title = finding(
        recording, _furthest(recording, curves), neutral=f"Latency percentiles of {listed(lanes)}"
    )
    return Chart(
        name="percentiles",
        title=title,
        alt=_alt(recording, curves),
        reading="Each thin line is one run, the thick line the median of the runs at that percentile."
        f" A line ends where fewer than {LEAST_ABOVE} requests lie above it."
        " A dotted line, where there is one, is the service time from the actual send.",
        figure=figure,
        table=_table(recording, curves),
    )


def _furthest(recording: Recording, curves: dict[str, _Curves]) -> str:
    """The furthest judged percentile that every curve reaches: the title claims no more than is drawn."""
    medians = [found.median() for found in curves.values()]
    for name, q in (("p99_ms", 0.99), ("p90_ms", 0.9)):
        if verdicts_for(recording, name) and all(np.isfinite(_at(median, q)) for median in medians):
            return name
    return "p50_ms"


def _curves(recording: Recording, arm: str) -> _Curves:
    runs = valid_runs(recording)
    names = list(runs.loc[runs["arm"] == arm, "run"])
    both = [_quantiles(recording.requests(name)) for name in names]
    width = len(_QUANTILES)
    latency = np.array([pair[0] for pair in both]).reshape(len(both), width)
    service = np.array([pair[1] for pair in both]).reshape(len(both), width)
    return _Curves(latency, service)


def _quantiles(requests: pd.DataFrame) -> tuple[Curve, Curve]:  # type: ignore[valid-type]  # numpy's generics are names at run time only
    latency = latencies_ms(requests)
    sent = requests["sent_ns"].to_numpy()
    was_sent = sent > 0
    service = (requests["done_ns"].to_numpy()[was_sent] - sent[was_sent]) / 1e6
    return _cut(latency), _cut(service)


def _cut(values: Curve) -> Curve:  # type: ignore[valid-type]  # as above
    out = np.full(len(_QUANTILES), np.nan)
    reached = (1 - _QUANTILES) * len(values) >= LEAST_ABOVE
    if reached.any():
        out[reached] = np.quantile(values, _QUANTILES[reached])
    return out


def _draw(axes: Axes, curves: _Curves, style: LaneStyle) -> None:
    x = 1 / (1 - _QUANTILES)
    for run in curves.latency:
        axes.plot(x, run, color=style.color, linewidth=0.6, alpha=0.35)
    median, service = curves.median(), curves.median("service")
    apart = np.nanmax(np.abs(median / service - 1), initial=0.0)
    if apart > SERVICE_GAP:
        axes.plot(x, service, color=style.color, linewidth=1.2, linestyle=(0, (0.8, 1.6)))
    line = axes.plot(
        x, median, color=style.color, linewidth=2.2, marker=style.marker, markersize=5.5
    )[0]
    line.set_markevery([int(np.searchsorted(_QUANTILES, q)) for q in (0.5, 0.9, 0.99, 0.999)])
    if style.dash:
        line.set_dashes(style.dash)


def _percentile_axis(axes: Axes, curves: dict[str, _Curves]) -> None:
    ends = [_QUANTILES[np.isfinite(found.median())] for found in curves.values()]
    last = max((float(end[-1]) for end in ends if len(end)), default=0.9)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(FixedLocator([1 / (1 - q) for q in _TICKS]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _percent(1 - 1 / x)))
    axes.minorticks_off()
    axes.set_xlim(1, 1.15 / (1 - last))


def _percent(q: float) -> str:
    return "min" if q <= 0 else f"{round(100 * q, 4):g}%"


def _at(curve: Curve, q: float) -> float:  # type: ignore[valid-type]  # as above
    return float(np.interp(q, _QUANTILES, curve))  # NaN beyond the cut stays NaN


def _table(recording: Recording, curves: dict[str, _Curves]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for arm, found in curves.items():
        latency, service = found.median(), found.median("service")
        rows += [
            (label_of(recording, arm), _percent(q), _at(latency, q), _at(service, q))
            for q in _LISTED
        ]
    return Table(("lane", "percentile", "latency, ms", "service time, ms"), tuple(rows))


def _alt(recording: Recording, curves: dict[str, _Curves]) -> str:
    parts = []
    for arm, found in curves.items():
        median = found.median()
        known = [q for q in (0.5, 0.9, 0.99) if np.isfinite(_at(median, q))]
        values = [f"{number(_at(median, q))} ms at p{100 * q:g}" for q in known]
        parts.append(f"{label_of(recording, arm)}: {listed(values) or 'too few requests'}")
    body = "; ".join(parts) or "no valid run yet"
    return f"Line chart of latency by percentile, both axes logarithmic. Median of runs: {body}."
