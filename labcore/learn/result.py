"""What a check answers: one of eight words, the evidence for it, and a hint when one is asked for."""

import html
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

HINT_GRADES = ("mild", "firm", "nearly the code")


class Status(Enum):
    """How an answer stands. The three that begin with *works* give the right values at a price."""

    NOT_STARTED = "not started"
    DOES_NOT_RUN = "does not run"
    NOT_YET = "not yet"
    WOULD_HANG = "would hang"
    BLOCKS = "works but blocks the loop"
    IGNORES_DEMAND = "works but ignores demand"
    SWALLOWS_CANCELLATION = "works but swallows cancellation"
    PASSED = "passed"


_MARKS = {Status.PASSED: "✓", Status.NOT_STARTED: "○"}
_COLOURS = {Status.PASSED: "#009e73", Status.NOT_STARTED: "#767676"}
_OPEN_COLOUR = "#d55e00"
_LEFT = "text-align:left"
MONOSPACE = "font-family:monospace;overflow-x:auto;margin:0.6em 0"  # pages differ in what they make of a bare pre


@dataclass(frozen=True, slots=True)
class Hint:
    """One hint of an exercise, mildest first; `grade` counts from 1."""

    exercise: str
    grade: int
    text: str

    def __str__(self) -> str:
        grades = len(HINT_GRADES)
        return f"Hint {self.grade} of {grades} ({HINT_GRADES[self.grade - 1]}): {self.text}"

    def _repr_html_(self) -> str:
        return f"<blockquote><p>{_prose(str(self))}</p></blockquote>"

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True, slots=True, repr=False)
class CheckResult:
    """The answer of a check; shows itself in a notebook and prints as text.

    `law` is the sentence that was broken, `expected` and `actual` say how, `marbles` draws both where
    a stream is involved. `line` counts in the learner's own source, from 1. `misconception` is the
    name of the known wrong answer that this one behaves like, and `advice` what it is told.
    """

    exercise: str
    status: Status
    law: str = ""
    expected: str = ""
    actual: str = ""
    marbles: str = ""
    line: int | None = None
    misconception: str = ""
    advice: str = ""
    printed: str = ""
    next_hint: Callable[[], Hint] | None = field(default=None, compare=False)

    @property
    def passed(self) -> bool:
        """Whether nothing is left to do."""
        return self.status is Status.PASSED

    def hint(self) -> Hint:
        """The next hint of the exercise: each call goes one grade further, up to the third.

        Asking is remembered in the journal, and nothing is taken off for it.
        """
        assert self.next_hint is not None, "a result of `check` always knows its hints"
        return self.next_hint()

    def as_json(self) -> dict[str, str | int | None]:
        """Its fields, for a script."""
        return {
            "exercise": self.exercise,
            "status": self.status.value,
            "law": self.law,
            "expected": self.expected,
            "actual": self.actual,
            "marbles": self.marbles,
            "line": self.line,
            "misconception": self.misconception,
            "advice": self.advice,
            "printed": self.printed,
        }

    def __str__(self) -> str:
        head = f"{_MARKS.get(self.status, '✗')} {self.exercise}: {self.status.value}"
        if self.line is not None:
            head += f" (line {self.line})"
        parts = [head, *(f"  {name:<8}  {text}" for name, text in self._rows())]
        if self.marbles:
            parts += ["", self.marbles]
        if not self.passed:
            parts += ["", self.advice or self._offer()]
        return "\n".join(parts)

    def __repr__(self) -> str:
        return str(self)

    def _offer(self) -> str:
        return (
            "Stuck? Put `.hint()` behind the check for the next hint; "
            f"on a terminal it is `labcore practise hint {self.exercise}`."
        )

    def _rows(self) -> list[tuple[str, str]]:
        rows = (
            ("law", self.law),
            ("expected", self.expected),
            ("actual", self.actual),
            ("printed", self.printed),
        )
        return [(name, text) for name, text in rows if text]

    def _repr_html_(self) -> str:
        colour = _COLOURS.get(self.status, _OPEN_COLOUR)
        where = "" if self.line is None else f" (line {self.line})"
        mark = _MARKS.get(self.status, "✗")
        parts = [
            f'<div style="border-left:4px solid {colour};padding:0.2em 0.9em" role="status">',
            f"<p><strong>{mark} {html.escape(self.exercise)}: {self.status.value}</strong>{where}</p>",
        ]
        if rows := self._rows():
            cells = "".join(
                f'<tr><th scope="row" style="{_LEFT}">{name}</th>'
                f'<td style="{_LEFT}">{_cell(name, text)}</td></tr>'
                for name, text in rows
            )
            parts.append(f"<table>{cells}</table>")
        if self.marbles:
            parts.append(
                f'<pre style="{MONOSPACE}" aria-label="marbles">{html.escape(self.marbles)}</pre>'
            )
        if not self.passed:
            parts.append(f"<p>{_prose(self.advice or self._offer())}</p>")
        return "".join([*parts, "</div>"])


def _cell(name: str, text: str) -> str:
    return html.escape(text) if name == "law" else f"<code>{html.escape(text)}</code>"


def _prose(text: str) -> str:
    """Escaped, with `code` in backticks as code."""
    pieces = html.escape(text).split("`")
    odd = len(pieces) % 2 == 0  # an unpaired backtick stays what it is
    return "".join(
        f"<code>{piece}</code>"
        if position % 2 and not (odd and position == len(pieces) - 1)
        else piece
        for position, piece in enumerate(pieces)
    )
