"""Streams of events: what reached whom and when, and how connections lived and ended."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes

from labcore.show.charts.figure import Chart, Table, corner_note, house_style, new_figure
from labcore.show.palette import ALARM, FOREIGN_STYLES, MUTED
from labcore.show.words import listed

Trouble = tuple[float, str]  # seconds since the beginning, what happened


def deliveries(rows: pd.DataFrame, troubles: Sequence[Trouble], *, published: int) -> Chart:
    """Every event that reached a subscriber, by time and id, one strip a subscriber.

    A stream without loss is one line from the lower left to the upper right; a hole is a loss, a second line
    a repetition. Announced losses are crosses.

    Args:
        rows: `subscriber`, `at_s`, `id`, `kind` (`gap` for an announced loss).
        troubles: drawn as upright lines.
        published: the last id there was.
    """
    names = list(dict.fromkeys(rows.subscriber))
    lost = {name: _lost(rows, name, published) for name in names}
    with house_style():
        figure, grid = new_figure(
            len(names), 1, height_in=1.1 + 1.1 * len(names), sharex=True, sharey=True
        )
        for place, (name, (axes,)) in enumerate(zip(names, grid, strict=True)):
            mine = rows[rows.subscriber == name]
            style = FOREIGN_STYLES[place % len(FOREIGN_STYLES)]
            events, gaps = mine[mine.kind != "gap"], mine[mine.kind == "gap"]
            axes.plot(events.at_s, events.id, style.marker, color=style.color, markersize=3.5)
            axes.plot(gaps.at_s, gaps.id, "x", color=ALARM[0], markersize=9, markeredgewidth=2)
            axes.set(
                ylabel="event id", title=f"{name}: {lost[name][0]} missing, {lost[name][1]} twice"
            )
            _mark(axes, troubles, named=place == 0)
        grid[-1][0].set_xlabel("time, s")
        corner_note(figure, "each point an event received; a cross is a loss that was announced")
    return Chart(
        name="deliveries",
        title=_finding(lost),
        alt=_finding(lost)
        + ". "
        + " ".join(
            f"{name}: {missing} missing, {twice} twice." for name, (missing, twice) in lost.items()
        ),
        reading="A hole in a line is something that never came; a line that starts again below is the same news"
        " once more. Dense uprights are a backlog being caught up.",
        figure=figure,
        table=Table(
            ("subscriber", "missing", "twice"),
            tuple((name, missing, twice) for name, (missing, twice) in lost.items()),
        ),
    )


def _mark(axes: Axes, troubles: Sequence[Trouble], *, named: bool) -> None:
    for at_s, what in troubles:
        axes.axvline(at_s, color=ALARM[0], linewidth=1)
        if named:
            axes.annotate(
                what,
                (at_s, 1),
                xycoords=axes.get_xaxis_transform(),
                xytext=(3, -3),
                textcoords="offset points",
                va="top",
                fontsize=7.5,
                color=MUTED[0],
            )


def _lost(rows: pd.DataFrame, name: str, published: int) -> tuple[int, int]:
    ids = rows.id[(rows.subscriber == name) & (rows.kind != "gap")]
    return published - ids.nunique(), int(ids.duplicated().sum())


def _finding(lost: dict[str, tuple[int, int]]) -> str:
    whole = [name for name, (missing, twice) in lost.items() if not missing and not twice]
    if len(whole) == len(lost):
        return "Every subscriber got every event once"
    if not whole:
        return "No subscriber got every event exactly once"
    return f"Only who came back {listed(whole)} got every event exactly once"
