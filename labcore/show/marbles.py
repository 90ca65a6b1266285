"""Marble diagrams of what really happened: values, ends and demand, drawn from recordings.

Each recorded point of a chain is a row: marbles on a line of time, and under it the demand that was
open at every moment, with each request as a step up. Rows share one axis, so that a request can be
followed up the chain and its values down again. Where marks would overlap the axis is stretched;
its labels stay true. The same diagram exists as text, for terminals, and as sentences, for readers
who listen.

Source: the diagrams of ReactiveX and of Project Reactor's reference, here with demand.
"""

import html
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from labcore.kernel import UsageError
from labcore.reactive import UNBOUNDED, Mark, MarkKind, Recording
from labcore.show.palette import ALARM, INK, LANE_STYLES, MUTED, PAPER, RULE, ZONE
from labcore.show.words import number

MOST_MARKS = 400  # of all rows together; a longer story is no picture any more
LONGEST_LABEL = 10
_LEFT, _RIGHT, _TOP = 118.0, 28.0, 60.0
_SIGNALS, _DEMAND, _BETWEEN = 44.0, 26.0, 26.0
_RADIUS = 12.0
_CLOSE = 8.0  # between marks of different rows, px
_CHARACTER = 6.4  # width of a label's character, px
# Marbles of the same value have the same colour in every row; the label says the value.
_FILLS = tuple(style.color for name, style in LANE_STYLES.items() if name != "threads")


@dataclass(frozen=True, slots=True)
class _Event:
    """A mark in its row; `open_after` is the demand left when it has passed."""

    at_s: float
    row: int
    mark: Mark
    open_after: int


@dataclass(frozen=True, slots=True)
class Marbles:
    """A diagram, in three forms: `svg()`, `text()` and `sentences()`.

    Notebooks show the SVG, and the text where nothing can draw.
    """

    title: str
    rows: tuple[str, ...]
    events: tuple[_Event, ...]
    left_out: int

    def svg(self, *, width_px: int = 720) -> str:
        """A self-contained picture for light and dark pages, with its text alternative inside.

        It grows wider than `width_px` when the marks need the room.
        """
        xs = _positions(self.events, width_px - _LEFT - _RIGHT)
        width = max(float(width_px), xs[-1] + _RIGHT)
        height = _TOP + len(self.rows) * (_SIGNALS + _DEMAND + _BETWEEN)
        label = html.escape(self.title or "Marble diagram")
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" '
            f'width="{width:.0f}" height="{height:.0f}" role="img" aria-label="{label}">',
            f"<title>{label}</title>",
            f"<desc>{html.escape(' '.join(self.sentences()))}</desc>",
            _STYLE,
            f'<rect class="paper" width="{width:.0f}" height="{height:.0f}"/>',
            f'<text class="ink title" x="16" y="22">{html.escape(self._heading())}</text>',
            *_axis(self.events, xs, height),
        ]
        fills = _fills(self.events)
        for row, name in enumerate(self.rows):
            parts += _row(row, name, self.events, xs, fills)
        return "\n".join([*parts, "</svg>"])

    def text(self, *, width: int = 100) -> str:
        """Columns of characters: a line of signals and a line of open demand for each row.

        A value is itself, `(value)` one that a filter below refused; `|` completed, `X` failed,
        `/` cancelled. The demand line shows what is open after each mark, and `+n` where it was asked.
        """
        names = max(len(name) for name in self.rows)
        names = max(names, len("demand") + 2)
        blocks = []
        for block in _blocks(self.events, width - names - 2):
            lines = [" " * names + "  " + _times(block)]
            for row, name in enumerate(self.rows):
                lines.append(f"{name:<{names}}  {_signal_line(block, row)}".rstrip())
                lines.append(f"{'  demand':<{names}}  {_demand_line(block, row)}".rstrip())
            blocks.append("\n".join(lines))
        return "\n\n".join([self._heading(), *blocks])

    def sentences(self) -> list[str]:
        """What happened, one sentence a mark, oldest first."""
        told = [f"At {_seconds(event.at_s)} {self._tell(event)}." for event in self.events]
        return [*told, f"{self.left_out} more marks are left out."] if self.left_out else told

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        return {"image/svg+xml": self.svg(), "text/plain": self.text()}

    def _heading(self) -> str:
        note = f"({self.left_out} later marks left out)" if self.left_out else ""
        return f"{self.title or ' and '.join(self.rows)} {note}".strip()

    def _tell(self, event: _Event) -> str:
        name, value = self.rows[event.row], event.mark.value
        match event.mark.kind:
            case MarkKind.REQUEST:
                return f"{name} is asked for {_demand(value)}; {_demand(event.open_after)} open"
            case MarkKind.NEXT:
                return f"{name} signals {_label(value)}; {_demand(event.open_after)} open"
            case MarkKind.DROP:
                return f"{name} signals {_label(value)}, which is refused below"
            case MarkKind.ERROR:
                return f"{name} fails with {_label(value)}"
            case kind:
                return f"{name} {_VERBS[kind]}"


_VERBS = {
    MarkKind.SUBSCRIBE: "is subscribed to",
    MarkKind.COMPLETE: "completes",
    MarkKind.CANCEL: "is cancelled",
}
_ENDS = {MarkKind.COMPLETE: "|", MarkKind.ERROR: "X", MarkKind.CANCEL: "/"}


def marbles(*recordings: Recording, title: str = "") -> Marbles:
    """The diagram of what was recorded, the first recording on top (put the upper stage first).

        upper, lower = Recording("source"), Recording("filtered")
        await source.record(upper).filter(even).record(lower).collect_list()
        marbles(upper, lower)

    Each subscription is a row of its own. At most 400 marks are drawn.

    Raises:
        UsageError: When nothing was recorded: the stream has not run.
    """
    rows: list[str] = []
    events: list[_Event] = []
    missed = 0
    for position, recording in enumerate(recordings, 1):
        missed += recording.missed
        for subscription in range(1, recording.subscriptions + 1):
            name = recording.name or f"stream {position}"
            many = recording.subscriptions > 1
            rows.append(f"{name} #{subscription}" if many else name)
            events += _events(recording, subscription, len(rows) - 1)
    if not events:
        raise UsageError("nothing was recorded; run the stream that has .record(recording) first")
    began_s = min(event.at_s for event in events)
    events = [
        _Event(event.at_s - began_s, event.row, event.mark, event.open_after)
        for event in sorted(events, key=lambda event: event.mark.order)
    ]
    left_out = missed + max(0, len(events) - MOST_MARKS)
    return Marbles(title, tuple(rows), tuple(events[:MOST_MARKS]), left_out)


def _events(recording: Recording, subscription: int, row: int) -> Iterator[_Event]:
    open_demand = 0
    start_s = recording.start_s or 0.0
    for mark in recording.marks:
        if mark.subscription != subscription:
            continue
        if mark.kind is MarkKind.REQUEST:
            open_demand = min(open_demand + mark.value, UNBOUNDED)
        elif mark.kind is MarkKind.NEXT and open_demand < UNBOUNDED:
            open_demand -= 1
        elif mark.kind in _ENDS:
            open_demand = 0
        yield _Event(start_s + mark.at_s, row, mark, open_demand)


def _positions(events: tuple[_Event, ...], width: float) -> list[float]:
    """Where each mark stands: in proportion to time, moved apart where labels would touch."""
    tight = _moved_apart(events, free=0.0)
    return _moved_apart(events, free=max(0.0, _LEFT + width - tight[-1]))


def _moved_apart(events: tuple[_Event, ...], *, free: float) -> list[float]:
    """Marks of one row may not touch, those of different rows may stand close."""
    span_s = events[-1].at_s
    xs: list[float] = []
    latest: dict[int, tuple[float, _Event]] = {}  # by row
    before_s, x = 0.0, _LEFT + _RADIUS - _CLOSE
    for event in events:
        passed = (event.at_s - before_s) / span_s if span_s else 0.0
        before_s = event.at_s
        x += _CLOSE + passed * free
        if event.row in latest:
            there, neighbour = latest[event.row]
            x = max(x, there + (_breadth(neighbour) + _breadth(event)) / 2 + 4)
        latest[event.row] = (x, event)
        xs.append(x)
    return xs


def _breadth(event: _Event) -> float:
    if event.mark.kind is MarkKind.REQUEST:
        return _CHARACTER * (len(_demand(event.mark.value)) + 2)
    if event.mark.kind in {MarkKind.NEXT, MarkKind.DROP}:
        return max(2 * _RADIUS, _CHARACTER * len(_label(event.mark.value)))
    return _RADIUS


def _axis(events: tuple[_Event, ...], xs: list[float], height: float) -> Iterator[str]:
    free, said = 0.0, ""
    for event, x in zip(events, xs, strict=True):
        text = _seconds(event.at_s)
        if x < free or text == said:
            continue
        free, said = x + _CHARACTER * (len(text) + 3), text
        yield f'<line class="rule" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP - 8:.0f}" y2="{height:.0f}"/>'
        yield f'<text class="muted middle" x="{x:.1f}" y="{_TOP - 12:.0f}">{text}</text>'


def _row(
    row: int, name: str, events: tuple[_Event, ...], xs: list[float], fills: dict[str, str]
) -> Iterator[str]:
    own = [(event, x) for event, x in zip(events, xs, strict=True) if event.row == row]
    top = _TOP + row * (_SIGNALS + _DEMAND + _BETWEEN)
    middle = top + _SIGNALS / 2
    floor = top + _SIGNALS + _DEMAND
    if not own:  # all its marks were left out
        yield f'<text class="muted" x="16" y="{middle + 4:.1f}">{html.escape(_cut(name, 14))}</text>'
        return
    ends = [x for event, x in own if event.mark.kind in _ENDS]
    right = ends[0] if ends else xs[-1] + _RADIUS
    yield f'<text class="ink" x="16" y="{middle + 4:.1f}">{html.escape(_cut(name, 14))}</text>'
    yield f'<text class="muted" x="16" y="{floor - 4:.1f}">open demand</text>'
    yield f'<line class="time" x1="{own[0][1]:.1f}" x2="{right:.1f}" y1="{middle:.1f}" y2="{middle:.1f}"/>'
    yield _steps(own, right, floor)
    for event, x in own:
        yield from _drawn(event, x, middle, floor, fills)


def _drawn(
    event: _Event, x: float, middle: float, floor: float, fills: dict[str, str]
) -> Iterator[str]:
    kind, value = event.mark.kind, event.mark.value
    if kind is MarkKind.REQUEST:
        yield f'<text class="asked middle" x="{x:.1f}" y="{floor + 13:.1f}">+{_demand(value)}</text>'
    elif kind in {MarkKind.NEXT, MarkKind.DROP}:
        yield from _marble(_label(value), x, middle, fills, refused=kind is MarkKind.DROP)
    elif kind is MarkKind.COMPLETE:
        yield _stroke("end", x, middle - 14, x, middle + 14)
    elif kind is MarkKind.ERROR:
        yield _stroke("error", x - 8, middle - 8, x + 8, middle + 8)
        yield _stroke("error", x - 8, middle + 8, x + 8, middle - 8)
    elif kind is MarkKind.CANCEL:
        yield _stroke("cancel", x - 5, middle + 12, x + 5, middle - 12)


def _marble(
    label: str, x: float, middle: float, fills: dict[str, str], *, refused: bool
) -> Iterator[str]:
    kind = "marble refused" if refused else "marble"
    place = f'cx="{x:.1f}" cy="{middle:.1f}" r="{_RADIUS:.0f}"'
    yield f'<circle class="{kind}" {place} stroke="{fills[label]}"/>'
    y = middle + 4 if len(label) <= 3 else middle - _RADIUS - 4
    yield f'<text class="ink middle" x="{x:.1f}" y="{y:.1f}">{html.escape(label)}</text>'


def _steps(own: list[tuple[_Event, float]], right: float, floor: float) -> str:
    """The open demand as a filled staircase; without bound it fills the lane."""
    finite = [event.open_after for event, _ in own if event.open_after < UNBOUNDED]
    most = max([*finite, 1])
    x, y = own[0][1], floor
    path = [f"M{x:.1f} {floor:.1f}"]
    for event, x in own:
        y = floor - _DEMAND * 0.9 * min(1.0, event.open_after / most)
        path.append(f"H{x:.1f}V{y:.1f}")
    return f'<path class="demand" d="{"".join(path)}H{max(right, x):.1f}V{floor:.1f}Z"/>'


def _stroke(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _fills(events: tuple[_Event, ...]) -> dict[str, str]:
    labels = dict.fromkeys(
        _label(event.mark.value)
        for event in events
        if event.mark.kind in {MarkKind.NEXT, MarkKind.DROP}
    )
    return {label: _FILLS[position % len(_FILLS)] for position, label in enumerate(labels)}


def _blocks(events: Iterable[_Event], width: int) -> Iterator[list[_Event]]:
    """The events, cut where the terminal's line ends."""
    block: list[_Event] = []
    used = 0
    for event in events:
        breadth = len(_cell(event)) + 1
        if block and used + breadth > width:
            yield block
            block, used = [], 0
        block.append(event)
        used += breadth
    yield block


def _cell(event: _Event) -> str:
    """The widest text that stands in the event's column."""
    return max(_signal(event), _asked(event), key=len)


def _signal_line(block: list[_Event], row: int) -> str:
    cells = [(_signal(event) if event.row == row else "", len(_cell(event))) for event in block]
    return "".join(f"-{text:-<{width}}" for text, width in cells)


def _demand_line(block: list[_Event], row: int) -> str:
    cells = [(_asked(event) if event.row == row else "", len(_cell(event))) for event in block]
    return "".join(f" {text:<{width}}" for text, width in cells)


def _times(block: list[_Event]) -> str:
    line, column, said = "", 0, ""
    for event in block:
        column += 1
        text = _seconds(event.at_s)
        if column > len(line) and text != said:
            line, said = f"{line:<{column}}{text}", text
        column += len(_cell(event))
    return line


def _signal(event: _Event) -> str:
    match event.mark.kind:
        case MarkKind.NEXT:
            return _label(event.mark.value)
        case MarkKind.DROP:
            return f"({_label(event.mark.value)})"
        case kind:
            return _ENDS.get(kind, "-")


def _asked(event: _Event) -> str:
    """What the demand line says: `+n=open` for a request, else what is left open."""
    if event.mark.kind is MarkKind.REQUEST:
        return f"+{_demand(event.mark.value)}={_demand(event.open_after)}"
    return _demand(event.open_after) if event.mark.kind is MarkKind.NEXT else ""


def _label(value: object) -> str:
    return _cut(value if isinstance(value, str) else repr(value), LONGEST_LABEL)


def _cut(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def _demand(n: int) -> str:
    return "∞" if n >= UNBOUNDED else str(n)


def _seconds(at_s: float) -> str:
    """A moment as a reader says it, in the unit that fits."""
    if at_s == 0 or at_s >= 1:
        return f"{number(at_s)} s"
    return f"{number(at_s * 1e3)} ms" if at_s >= 1e-3 else f"{number(at_s * 1e6)} µs"


def _style() -> str:
    light, dark = [], []
    tones = {
        ".paper,.marble": ("fill", PAPER),
        ".ink": ("fill", INK),
        ".muted": ("fill", MUTED),
        ".asked": ("fill", MUTED),
        ".rule": ("stroke", RULE),
        ".time,.end": ("stroke", INK),
        ".cancel": ("stroke", MUTED),
        ".error": ("stroke", ALARM),
        ".demand": ("fill", ZONE),
    }
    for selector, (kind, (day, night)) in tones.items():
        light.append(f"{selector}{{{kind}:{day}}}")
        dark.append(f"{selector}{{{kind}:{night}}}")
    shared = (
        "text{font:11px system-ui,sans-serif}.title{font-weight:600;font-size:13px}"
        ".middle{text-anchor:middle}.marble{stroke-width:2.6}.refused{stroke-dasharray:3 2}"
        ".time{stroke-width:1.4}.end,.error,.cancel{stroke-width:2.4}"
        f".demand{{stroke:{MUTED[0]};stroke-width:.8}}"
    )
    day, night = "".join(light), "".join(dark)
    return f"<style>{shared}{day}@media (prefers-color-scheme:dark){{{night}}}</style>"


_STYLE = _style()
