"""A retry storm, simulated: what the provider is asked, and who gets an answer, second by second."""

from collections.abc import Mapping

import pandas as pd

from labcore.show.charts.figure import Chart, Table, corner_note, house_style, new_figure
from labcore.show.palette import FOREIGN_STYLES, INK, MUTED, ZONE, LaneStyle
from labcore.show.words import listed

ANSWERED_SHARE = 0.95  # of the calls of a second: what counts as being back


def retry_storm(
    storms: Mapping[str, pd.DataFrame], *, outage_s: tuple[float, float], capacity_per_s: float
) -> Chart:
    """Attempts at the provider above, share of calls answered in time below, one line a defence.

    Args:
        storms: by the name of the defence, the tables that `labcore.learn.storm` gives.
        outage_s: from and to, shaded.
        capacity_per_s: what the provider can serve, drawn as a line.
    """
    with house_style():
        figure, ((load,), (answered,)) = new_figure(2, 1, height_in=4.2, sharex=True)
        for (name, table), style in zip(storms.items(), _styles(len(storms)), strict=True):
            for axes, values in (
                (load, table.attempts),
                (answered, 100 * table.answered_share),
            ):
                (line,) = axes.plot(table.second, values, color=style.color, label=name)
                if style.dash:
                    line.set_dashes(style.dash)
        load.axhline(capacity_per_s, color=INK[0], linewidth=0.9)
        load.annotate(
            "the provider's capacity",
            (1, capacity_per_s),
            xycoords=load.get_yaxis_transform(),
            ha="right",
            va="bottom",
            fontsize=8,
            color=MUTED[0],
        )
        for axes in (load, answered):
            axes.axvspan(*outage_s, color=ZONE[0], linewidth=0, zorder=0)
            axes.set_ylim(bottom=0)
        load.set(ylabel="attempts per second", title="What the provider is asked")
        answered.set(
            xlabel="time, s", ylabel="calls answered, %", title="Who gets an answer in time"
        )
        load.legend(loc="upper left", ncols=2)
        corner_note(figure, "simulated; the outage is shaded")
    returns = {name: back_after_s(table, ends_s=outage_s[1]) for name, table in storms.items()}
    return Chart(
        name="storm",
        title=_finding(returns),
        alt=_finding(returns)
        + " "
        + " ".join(
            f"{name}: at most {int(table.attempts.max())} attempts a second, {_said(returns[name])}."
            for name, table in storms.items()
        ),
        reading="Above the line the provider is asked for more than it can serve, and falls further behind."
        " Calls that nobody waits for any more are served all the same.",
        figure=figure,
        table=Table(
            ("defence", "most attempts per s", "answered in time, %", "back after the outage, s"),
            tuple(
                (
                    name,
                    int(table.attempts.max()),
                    round(
                        100 * float((table.answered_share * table.calls).sum() / table.calls.sum()),
                        1,
                    ),
                    "never" if returns[name] is None else float(returns[name] or 0),
                )
                for name, table in storms.items()
            ),
        ),
    )


def back_after_s(table: pd.DataFrame, *, ends_s: float) -> float | None:
    """Seconds from the end of the outage until calls are answered for good; None: never."""
    after = table[table.second >= ends_s]
    bad = after.second[(after.answered_share < ANSWERED_SHARE) & (after.calls > 0)]
    if bad.empty:
        return 0.0
    back_s = float(bad.iloc[-1]) + 1
    return None if back_s > float(table.second.iloc[-1]) else back_s - ends_s


def _finding(returns: Mapping[str, float | None]) -> str:
    lost = [name for name, back_s in returns.items() if back_s is None]
    back = [name for name, back_s in returns.items() if back_s is not None]
    if not lost:
        return "Every defence brings the service back after the outage"
    if not back:
        return "No defence brings the service back after the outage"
    never = "never recovers" if len(lost) == 1 else "never recover"
    return f"The outage ends, and {listed(lost)} {never}; {listed(back)} {'does' if len(back) == 1 else 'do'}"


def _said(back_s: float | None) -> str:
    return "never back" if back_s is None else f"back {back_s:g} s after the outage"


def _styles(count: int) -> list[LaneStyle]:
    return [FOREIGN_STYLES[place % len(FOREIGN_STYLES)] for place in range(count)]
