"""Marbles as text: what was expected over what came, on one axis of time.

Made for a few signals side by side; the full diagram of a recording, demand included, is drawn by
the charts' room.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from labcore.reactive import UNBOUNDED, Flux, MarkKind, Mono, Recording

WIDTH = 100  # characters; moments that find no room are counted
LONGEST_TOKEN = 22
_ENDS = {MarkKind.COMPLETE: "|", MarkKind.CANCEL: "/"}


@dataclass(frozen=True, slots=True)
class Track:
    """A recording and which of its marks to draw."""

    recording: Recording
    demand: bool = False

    @property
    def name(self) -> str:
        """What the row is called."""
        return self.recording.name

    def tokens(self) -> dict[float, str]:
        """What happened at each moment, seconds rounded to a tenth of a millisecond."""
        moments: dict[float, list[str]] = {}
        for mark in self.recording.marks:
            token = _token(mark.kind, mark.value, demand=self.demand)
            if token:
                moments.setdefault(round(mark.at_s, 4), []).append(token)
        return {at_s: _joined(tokens) for at_s, tokens in moments.items()}

    def values(self) -> int:
        """How many values passed."""
        return sum(mark.kind is MarkKind.NEXT for mark in self.recording.marks)

    def requests(self) -> int:
        """How many times something was asked for."""
        return sum(mark.kind is MarkKind.REQUEST for mark in self.recording.marks)

    def most_open_demand(self) -> int:
        """The most that was asked for and not delivered yet, at any moment."""
        now = most = 0
        for mark in self.recording.marks:
            if mark.kind is MarkKind.REQUEST:
                now += mark.value
            elif mark.kind is MarkKind.NEXT:
                now -= 1
            most = max(most, now)
        return most


def side_by_side(expected: Sequence[Track], actual: Sequence[Track]) -> str:
    """Each track of a right run over the same track of the learner's; empty without signals.

    A value is itself, `|` completed, `X` failed, `/` cancelled, `+n` asked for.
    """
    rows: list[tuple[str, dict[float, str]]] = []
    for position, right in enumerate(expected):
        rows.append((f"{right.name}, expected", right.tokens()))
        found = actual[position].tokens() if position < len(actual) else {}
        rows.append((f"{right.name}, actual", found))
    moments = sorted({at_s for _, tokens in rows for at_s in tokens})
    if not moments:
        return ""
    return _drawn(rows, moments)


def _drawn(rows: list[tuple[str, dict[float, str]]], moments: list[float]) -> str:
    margin = max(len(name) for name, _ in rows) + 2
    every = [_width(at_s, rows) for at_s in moments]
    room = [sum(every[: count + 1]) + margin <= WIDTH for count in range(len(moments))]
    widths = every[: max(1, sum(room))]
    shown, left_out = moments[: len(widths)], len(moments) - len(widths)
    heads = [f"{at_s:.3g}s" for at_s in shown]
    pairs = list(zip(heads, widths, strict=True))
    lines = [" " * (margin + 1) + "".join(head.ljust(width) for head, width in pairs).rstrip()]
    for name, tokens in rows:
        cells = [
            tokens.get(at_s, "").ljust(width, "-")
            for at_s, width in zip(shown, widths, strict=True)
        ]
        lines.append(f"{name.ljust(margin)}-{''.join(cells)}")
    if left_out:
        lines.append(f"{left_out} later moments are left out")
    return "\n".join(lines)


def _width(at_s: float, rows: list[tuple[str, dict[float, str]]]) -> int:
    return max(len(f"{at_s:.3g}s"), *(len(tokens.get(at_s, "")) for _, tokens in rows)) + 1


def _token(kind: MarkKind, value: object, *, demand: bool) -> str:
    if kind is MarkKind.REQUEST:
        many = isinstance(value, int) and value > UNBOUNDED // 2
        return ("+all" if many else f"+{value}") if demand else ""
    if kind is MarkKind.NEXT:
        return type(value).__name__ if isinstance(value, Flux | Mono) else str(value)
    if kind is MarkKind.ERROR:
        return f"X {type(value).__name__}"
    return _ENDS.get(kind, "")


def _joined(tokens: list[str]) -> str:
    text = " ".join(tokens)
    return text if len(text) <= LONGEST_TOKEN else f"{text[: LONGEST_TOKEN - 1]}…"
