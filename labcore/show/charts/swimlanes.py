"""What each task, thread and carrier did during one request: lanes of running, waiting and queued.

The point to see is whom a wait holds: a platform thread's wait keeps its OS thread, a task's and a
virtual thread's keep nobody. Below the lanes of the request stand the OS threads that carried them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from labcore.kernel import HANDED_OVER, Span, Trace, UsageError
from labcore.show.charts.figure import Cell, Chart, Table, corner_note, house_style, new_figure
from labcore.show.palette import INK, MUTED, PAPER, LaneStyle, lane_styles
from labcore.show.words import listed, number

MOST_ROWS: Final = 14  # of one trace; the lanes that did least are left out, and counted
_LABELLED: Final = 0.16  # of the time axis: a wait this long has room for its name
_HEIGHTS: Final = {"running": 0.66, "waiting": 0.4, "queued": 0.4}
_WAIT_OPACITY, _HATCH = 0.3, "//////"


@dataclass(frozen=True, slots=True)
class _Row:
    """One lane: a task, a thread, or an OS thread seen as a carrier."""

    label: str
    spans: tuple[Span, ...]

    def busy_ms(self, kind: str) -> float:
        """Milliseconds of this kind, overlaps counted once; a held thread does not run while it waits."""
        spans = [span for span in self.spans if span.kind == kind]
        waits = [span for span in self.spans if span.kind == "waiting" and span.on]
        if kind == "running" and waits:
            return _covered_ms([*spans, *waits]) - _covered_ms(waits)
        return _covered_ms(spans)


def swimlanes(*traces: Trace) -> Chart:
    """The lanes of one request, or of the same request on several lanes, on one time axis.

    A trace named after a lane has that lane's colour. Full bars ran; pale ones waited and held nobody;
    hatched ones waited and held their OS thread; outlined ones stood in a queue.

    Raises: UsageError for no traces, or one without a span.
    """
    if not traces or not all(trace.spans for trace in traces):
        raise UsageError("nothing to draw: give traces of requests that were served")
    styles = lane_styles([trace.name for trace in traces])
    rows = [_rows(trace) for trace in traces]
    heights = [len(shown) + 0.3 for shown, _ in rows]
    longest_ms = max(_length_ms(trace) for trace in traces)
    with house_style():
        figure, grid = new_figure(
            len(traces),
            height_in=1.0 + 0.24 * sum(heights) + 0.28 * len(traces),
            sharex=True,
            height_ratios=heights,
        )
        for (axes,), trace, (shown, _) in zip(grid, traces, rows, strict=True):
            _panel(axes, trace, shown, styles[trace.name], longest_ms=longest_ms)
        grid[-1][0].set_xlabel("ms since the request arrived")
        grid[-1][0].set_xlim(0, 1.01 * longest_ms)
        _key(figure)
        corner_note(figure, _note(traces, [left for _, left in rows]))
    return Chart(
        name="swimlanes",
        title=_title(traces),
        alt=_alt(traces, [shown for shown, _ in rows]),
        reading="One row a task or thread, time from left to right. A full bar ran, a pale one waited"
        " and held nobody, a hatched one held its OS thread while it waited, an outlined one stood in a"
        " queue. The last rows are the OS threads that carried the others.",
        figure=figure,
        table=_table(traces),
    )


def _rows(trace: Trace) -> tuple[list[_Row], int]:
    """The lanes in the order of their beginning, carriers last, and how many were left out."""
    owners = list(dict.fromkeys(span.who for span in trace.spans))
    lanes = [_Row(who, tuple(s for s in trace.spans if s.who == who)) for who in owners]
    threads = dict.fromkeys(span.on for span in trace.spans if span.on and span.on not in owners)
    carriers = [
        _Row(f"{thread} (OS thread)", tuple(s for s in trace.spans if s.on == thread))
        for thread in threads
    ]
    room = max(1, MOST_ROWS - len(carriers))
    kept = sorted(lanes, key=lambda row: -_covered_ms(row.spans))[:room]
    return [*(row for row in lanes if row in kept), *carriers], len(lanes) - len(kept)


def _panel(
    axes: Axes, trace: Trace, rows: Sequence[_Row], style: LaneStyle, *, longest_ms: float
) -> None:
    origin_ns = trace.spans[0].start_ns
    axes.set_title(trace.name)
    axes.set_yticks(range(len(rows)), [row.label for row in rows], fontsize=7.5)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.grid(axis="y", visible=False)
    for place, row in enumerate(rows):
        for span in sorted(row.spans, key=_depth):
            _bar(axes, place, span, style, origin_ns=origin_ns)
        for span in _named(row.spans):
            _label(axes, place, span, origin_ns=origin_ns, longest_ms=longest_ms)


def _depth(span: Span) -> tuple[int, int]:
    """What is drawn first and so lies lowest: a thread's whole turn, hand-overs, waits, steps."""
    if span.kind == "running":
        layer = 0 if span.on == span.who else 3
    else:
        layer = 1 if span.what in HANDED_OVER else 2
    return layer, span.start_ns - span.end_ns


def _bar(axes: Axes, place: int, span: Span, style: LaneStyle, *, origin_ns: int) -> None:
    left, width = (span.start_ns - origin_ns) / 1e6, (span.end_ns - span.start_ns) / 1e6
    height = _HEIGHTS[span.kind]
    if span.kind == "running":
        axes.barh(place, width, left=left, height=height, color=style.color, linewidth=0)
        return
    if span.kind == "queued":
        axes.barh(
            place,
            width,
            left=left,
            height=height,
            color=PAPER[0],
            edgecolor=MUTED[0],
            linewidth=0.8,
        )
        return
    # Paper first: what lies below, such as the turn of a held thread, must not shine through.
    axes.barh(place, width, left=left, height=0.66, color=PAPER[0], linewidth=0)
    axes.barh(
        place,
        width,
        left=left,
        height=0.66 if span.on else height,
        color=style.color,
        alpha=_WAIT_OPACITY,
        linewidth=0,
        hatch=_HATCH if span.on else None,
        edgecolor=style.color,
    )


def _named(spans: Iterable[Span]) -> list[Span]:
    return [span for span in spans if span.kind == "waiting" and span.what not in HANDED_OVER]


def _label(axes: Axes, place: int, span: Span, *, origin_ns: int, longest_ms: float) -> None:
    width = (span.end_ns - span.start_ns) / 1e6
    if width < _LABELLED * longest_ms:
        return
    letters = int(95 * width / longest_ms)
    text = span.what if len(span.what) <= letters else f"{span.what[: letters - 1]}…"
    middle = (span.start_ns + span.end_ns) / 2 - origin_ns
    axes.text(middle / 1e6, place, text, ha="center", va="center", fontsize=7, color=INK[0])


def _key(figure: Figure) -> None:
    tone = MUTED[0]
    handles = [
        Patch(facecolor=tone, label="ran"),
        Patch(facecolor=tone, alpha=_WAIT_OPACITY, label="waited, held nobody"),
        Patch(
            facecolor=tone,
            alpha=_WAIT_OPACITY,
            hatch=_HATCH,
            edgecolor=tone,
            label="waited, held its OS thread",
        ),
        Patch(facecolor=PAPER[0], edgecolor=tone, label="queued"),
    ]
    figure.legend(handles=handles, loc="outside upper left", ncols=4, borderaxespad=0.2)


def _covered_ms(spans: Iterable[Span]) -> float:
    covered, until = 0, 0
    for start, end in sorted((span.start_ns, span.end_ns) for span in spans):
        covered += max(0, end - max(start, until))
        until = max(until, end)
    return covered / 1e6


def _length_ms(trace: Trace) -> float:
    spans = trace.spans
    return (max(span.end_ns for span in spans) - spans[0].start_ns) / 1e6


def _title(traces: Sequence[Trace]) -> str:
    """The longest wait that all requests had, and on which of them it held an OS thread."""
    common = set.intersection(*({span.what for span in _named(trace.spans)} for trace in traces))
    if not common:
        return f"What was done for one request on {listed(trace.name for trace in traces)}"
    waits = {
        trace.name: max(
            (span for span in _named(trace.spans) if span.what in common),
            key=lambda span: span.end_ns - span.start_ns,
        )
        for trace in traces
    }
    what = max(waits.values(), key=lambda span: span.end_ns - span.start_ns).what
    held = [name for name, span in waits.items() if span.on]
    free = [name for name, span in waits.items() if not span.on]
    if not held:
        return f"While {what} is awaited, {listed(free)} {_verb('hold', free)} no OS thread"
    sentence = f"While {what} is awaited, {listed(held)} {_verb('hold', held)} an OS thread"
    return f"{sentence}, {listed(free)} none" if free else sentence


def _verb(verb: str, subjects: Sequence[str]) -> str:
    return f"{verb}s" if len(subjects) == 1 else verb


def _note(traces: Sequence[Trace], left_out: Sequence[int]) -> str:
    note = f"n = {len(traces)} traced request" + ("s" if len(traces) > 1 else "")
    rows, spans = sum(left_out), sum(trace.dropped for trace in traces)
    if rows:
        note += f"; {rows} rows that did least left out"
    return f"{note}; {spans} spans beyond the bound" if spans else note


def _table(traces: Sequence[Trace]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            trace.name,
            span.who,
            span.kind,
            span.what,
            (span.start_ns - trace.spans[0].start_ns) / 1e6,
            (span.end_ns - span.start_ns) / 1e6,
            span.on or "–",
        )
        for trace in traces
        for span in trace.spans
    ]
    columns = ("lane", "who", "did", "what", "from, ms", "for, ms", "OS thread held")
    return Table(columns, tuple(rows))


def _alt(traces: Sequence[Trace], rows: Sequence[Sequence[_Row]]) -> str:
    parts = []
    for trace, shown in zip(traces, rows, strict=True):
        lanes = [
            f"{row.label} ran {number(row.busy_ms('running'))} ms and waited"
            f" {number(row.busy_ms('waiting'))} ms"
            for row in shown
        ]
        parts.append(f"{trace.name}, {number(_length_ms(trace))} ms: {listed(lanes)}")
    return f"Swim-lanes, one row a task or thread, against time. {'. '.join(parts)}."
