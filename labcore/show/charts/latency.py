"""Latency against time: every request of one typical run a lane, at its intended start."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from labcore.measure import Recording
from labcore.show.charts.figure import (
    DENSE_POINTS,
    Cell,
    Chart,
    Table,
    corner_note,
    house_style,
    new_figure,
    plain_log,
)
from labcore.show.evidence import arms_of, latencies_ms, representative_run
from labcore.show.palette import ALARM, MUTED, LaneStyle, lane_styles
from labcore.show.words import listed, number

# Words of the driver for requests that got no answer; every other word but `ok` is an answer.
UNANSWERED = ("timeout", "reset", "refused", "unfinished", "overload")
_OTHER_MARKERS = ("x", "+", "1", "2", "3")


def latency_over_time(recording: Recording) -> Chart:
    """Latency of every request against its intended start, one panel a lane, the same axes.

    The run shown is the lane's valid run with the p99 nearest to its median p99. Requests without
    an answer are crosses at the time that was lost on them. Above 5,000 points the dots are pixels.
    """
    lanes = arms_of(recording, control=False)
    runs = {lane: representative_run(recording, lane) for lane in lanes}
    tables = {lane: recording.requests(run) for lane, run in runs.items() if run}
    styles = lane_styles(arms_of(recording))
    dense = sum(map(len, tables.values())) > DENSE_POINTS
    with house_style():
        rows = max(len(tables), 1)
        figure, grid = new_figure(rows, height_in=1.0 + 1.55 * rows, sharex=True, sharey=True)
        for (axes,), (lane, requests) in zip(grid, tables.items(), strict=False):
            scatter_requests(axes, requests, styles[lane], rasterized=dense)
            axes.set_title(f"{lane}, run {runs[lane]}")
        plain_log(grid[0][0], "y")
        grid[-1][0].set_xlabel("intended start, s into the run")
        figure.supylabel("latency, ms", fontsize=8.5, color=MUTED[0])
        key_of_outcomes(figure, others(tables.values()))
        corner_note(figure, "one run per lane: the one with the median p99")
    return Chart(
        name="latency",
        title=_title(tables),
        alt=_alt(tables),
        reading="Each dot is one request, placed at the moment it was due and as high as it took"
        " from that moment. A stall shows as a falling slope of dots.",
        figure=figure,
        table=_table(tables),
    )


def scatter_requests(
    axes: Axes, requests: pd.DataFrame, style: LaneStyle, *, rasterized: bool
) -> None:
    """Draw each request at its intended start, in seconds after the first, and its latency in ms."""
    start = requests["intended_ns"].to_numpy()
    at_s = (start - start[:1]) / 1e9
    latency = np.maximum(latencies_ms(requests), 1e-3)  # a logarithmic axis has no zero
    outcome = requests["outcome"].to_numpy()
    order = ["ok", *others([requests])]
    for word in order:
        mine = outcome == word
        color, marker, size = _mark(word, style, order)
        axes.plot(
            at_s[mine],
            latency[mine],
            linestyle="none",
            marker=marker,
            markersize=size,
            markeredgewidth=0.0 if word == "ok" else 1.1,
            color=color,
            alpha=0.5 if word == "ok" else 1.0,
            rasterized=rasterized,
        )


def _mark(word: str, style: LaneStyle, order: list[str]) -> tuple[str, str, float]:
    if word == "ok":
        return style.color, "o", 2.6
    if word in UNANSWERED:
        return ALARM[0], "x", 5.5
    answered = [name for name in order[1:] if name not in UNANSWERED]
    return MUTED[0], _OTHER_MARKERS[1 + answered.index(word) % 4], 5.0


def others(tables: Iterable[pd.DataFrame]) -> list[str]:
    """Outcomes other than `ok`, those without an answer last so that they lie on top."""
    words = {str(word) for table in tables for word in table["outcome"].unique()} - {"ok"}
    return sorted(words, key=lambda word: (word in UNANSWERED, word))


def key_of_outcomes(figure: Figure, words: list[str]) -> None:
    """Draw the key of the marks: `ok` and the other outcomes there are."""
    handles = [Line2D([], [], linestyle="none", marker="o", color=MUTED[0], label="ok")]
    for word in words:
        color, marker, size = _mark(word, LaneStyle(MUTED[0], "o"), ["ok", *words])
        handles.append(
            Line2D(
                [], [], linestyle="none", marker=marker, color=color, markersize=size, label=word
            )
        )
    figure.legend(handles=handles, loc="outside upper left", ncols=6, borderaxespad=0.2)


def _unanswered(requests: pd.DataFrame) -> int:
    return int(requests["outcome"].isin(UNANSWERED).sum())


def _title(tables: Mapping[str, pd.DataFrame]) -> str:
    lost = {lane: _unanswered(table) for lane, table in tables.items()}
    silent = [lane for lane, count in lost.items() if count]
    if silent:
        parts = [
            f"{lost[lane]} of {number(len(tables[lane]), digits=6)} on {lane}" for lane in silent
        ]
        return f"Requests without an answer: {listed(parts)}"
    worst = {lane: float(latencies_ms(table).max()) for lane, table in tables.items() if len(table)}
    if not worst:
        return "Latency against time"
    slowest = max(worst, key=worst.__getitem__)
    return f"Every request was answered, the slowest after {number(worst[slowest])} ms on {slowest}"


def _table(tables: Mapping[str, pd.DataFrame]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for lane, requests in tables.items():
        latency = latencies_ms(requests)
        for word in ["ok", *others([requests])]:
            mine = latency[requests["outcome"].to_numpy() == word]
            if len(mine):
                rows.append((lane, word, len(mine), float(np.median(mine)), float(mine.max())))
    return Table(("lane", "outcome", "requests", "median, ms", "slowest, ms"), tuple(rows))


def _alt(tables: Mapping[str, pd.DataFrame]) -> str:
    parts = [
        f"{lane}: {len(table)} requests, {_unanswered(table)} without an answer, from "
        f"{number(float(latencies_ms(table).min()))} to {number(float(latencies_ms(table).max()))} ms"
        for lane, table in tables.items()
        if len(table)
    ]
    body = "; ".join(parts) or "no valid run yet"
    return f"Scatter of latency, logarithmic, against the intended start, one panel a lane. {body}."
