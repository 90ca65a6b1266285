"""Streams of events: what reached whom and when, and how connections lived and ended."""

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes

from labcore.show.charts.figure import Chart, Table, corner_note, house_style, new_figure
from labcore.show.palette import ALARM, FOREIGN_STYLES, MUTED
from labcore.show.words import listed

_OPEN = FOREIGN_STYLES[1]
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


def staleness(rows: pd.DataFrame, wrong: Mapping[str, int]) -> Chart:
    """How old each event was when it reached each subscriber, over time.

    Args:
        rows: `subscriber`, `at_s`, `age_ms`.
        wrong: by subscriber, how many quantities it has wrong in the end.
    """
    oldest = {name: float(rows.age_ms[rows.subscriber == name].max()) for name in wrong}
    with house_style():
        figure, grid = new_figure(
            len(wrong), 1, height_in=0.6 + 1.0 * len(wrong), sharex=True, sharey=True
        )
        for place, ((name, count), (axes,)) in enumerate(zip(wrong.items(), grid, strict=True)):
            mine = rows[rows.subscriber == name]
            style = FOREIGN_STYLES[place % len(FOREIGN_STYLES)]
            axes.plot(mine.at_s, mine.age_ms / 1e3, style.marker, color=style.color, ms=2.5)
            axes.set(ylabel="age, s", title=f"{name}: {len(mine)} events, {count} wrong in the end")
        grid[-1][0].set_xlabel("time since the first sale, s")
        corner_note(figure, "each point an event received; one run")
    mistaken = [name for name, count in wrong.items() if count]
    right = [name for name, count in wrong.items() if not count]
    title = (
        f"In the end {listed(right)} have the stock right; {listed(mistaken)} wrong"
        if right and mistaken
        else (
            "In the end everybody knows the stock" if right else "In the end nobody knows the stock"
        )
    )
    return Chart(
        name="staleness",
        title=title,
        alt=f"{title}. "
        + " ".join(
            f"{name}: {count} wrong, oldest news {oldest[name]:.0f} ms."
            for name, count in wrong.items()
        ),
        reading="Age on arrival: points that climb are a subscriber that falls further behind with every second.",
        figure=figure,
        table=Table(
            ("subscriber", "wrong in the end", "oldest news, ms"),
            tuple((name, count, round(oldest[name], 1)) for name, count in wrong.items()),
        ),
    )


LOST = 1006  # what a client holds when nobody said goodbye


def connection_lives(rows: pd.DataFrame) -> Chart:
    """How long each connection was open, and the number that its client holds in the end.

    Args:
        rows: `name`, `open_s`, `end_s` since the handshake began, `number` (the close code, or the HTTP status where
            `connected` is false).
    """
    silent = [str(name) for name in rows.name[rows.number == LOST]]
    with house_style():
        figure, ((axes,),) = new_figure(height_in=0.9 + 0.32 * len(rows))
        places = range(len(rows))
        colors = [ALARM[0] if number == LOST else _OPEN.color for number in rows.number]
        axes.barh(places, rows.end_s - rows.open_s, left=rows.open_s, height=0.5, color=colors)
        for place, row in zip(places, rows.itertuples(), strict=True):
            said = f"{row.number}" if row.connected else f"HTTP {row.number}, never open"
            axes.annotate(
                said,
                (row.end_s, place),
                xytext=(4, 0),
                textcoords="offset points",
                va="center",
                fontsize=8,
            )
        axes.set_yticks(list(places), list(rows.name))
        axes.invert_yaxis()
        axes.set_xlim(0, float(rows.end_s.max()) * 1.25)
        axes.set(xlabel="time since the handshake began, s")
        axes.grid(visible=False, axis="y")
        corner_note(figure, "a bar is an open connection; the number is what its client holds")
    title = (
        f"{len(silent)} of {len(rows)} connections end without a word: {listed(silent)}"
        if silent
        else "Every connection ends with a word"
    )
    return Chart(
        name="lives",
        title=title,
        alt=f"{title}. "
        + " ".join(
            f"{row.name}: {row.number} after {row.end_s:.2f} s." for row in rows.itertuples()
        ),
        reading="1006 is never sent: it is the client's own word for an end without a close frame.",
        figure=figure,
        table=Table(
            ("connection", "number", "open, s"),
            tuple(
                (str(row["name"]), int(row["number"]), round(row["end_s"] - row["open_s"], 2))
                for row in rows.to_dict(orient="records")
            ),
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
