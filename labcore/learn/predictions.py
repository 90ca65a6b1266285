"""Predictions: written down before the run, held against it afterwards, kept in the journal.

A guess is a ratio to the baseline lane for each metric: `{"p99_ms": 2.0}` says *twice the reactive p99*.
A prediction made after the measurement had begun is scored all the same, and called hindsight.

Source: the PRIMM framework (King's College London, 2017): predict, run, investigate, modify, make.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from labcore.kernel import UsageError, utc_now
from labcore.learn.journal import Journal
from labcore.learn.table import html_table, text_table

if TYPE_CHECKING:  # the measuring room brings tables along, which a checking process does without
    from labcore.measure import Recording, Verdict


@dataclass(frozen=True, slots=True)
class Prediction:
    """A guess and when it was written down (ISO 8601, UTC).

    `own` is False for the numbers that the book prints: nobody has guessed them.
    """

    about: str
    guess: Mapping[str, float]
    at: str
    journal: Journal
    own: bool = True

    def score(self, recording: "Recording", *, arm: str) -> "Score":
        """The guess beside what that recording measured of `arm`; noted in the journal.

        Raises:
            UsageError: an arm, or a metric of the guess, on which the recording has no verdict.
        """
        measured = {one.metric: one for one in recording.verdicts if one.arm == arm}
        strangers = sorted(set(self.guess) - set(measured))
        if strangers:
            known = ", ".join(sorted(measured)) or "none for this arm"
            raise UsageError(f"no verdict on {strangers[0]!r} for {arm!r}; there are: {known}")
        rows = tuple(_row(metric, said, measured[metric]) for metric, said in self.guess.items())
        # The recording knows its beginning to the second.
        hindsight = self.at[:19] > str(recording.experiment["started_at"])[:19]
        score = Score(self.about, arm, rows, hindsight, self.own)
        self.journal.note(
            "scored",
            about=self.about,
            arm=arm,
            hindsight=hindsight,
            own=self.own,
            rows=[{k: None if v != v else v for k, v in asdict(row).items()} for row in rows],  # noqa: PLR0124 - NaN, which JSON cannot say
        )
        return score

    def __repr__(self) -> str:
        said = ", ".join(f"{metric} × {ratio:g}" for metric, ratio in self.guess.items())
        whose = "" if self.own else " (the book's numbers; change them, and they are yours)"
        return f"Written down at {self.at[:19]} UTC about {self.about}: {said}{whose}"


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One metric: what was said, and what was measured with its interval (NaN: none yet)."""

    metric: str
    predicted: float
    measured: float
    low: float
    high: float

    @property
    def right(self) -> bool | None:
        """Whether the interval holds the prediction; None without an interval."""
        if math.isnan(self.low) or math.isnan(self.high):
            return None
        return self.low <= self.predicted <= self.high

    @property
    def told(self) -> str:
        """The judgement in words."""
        if self.right is None:
            return "open: too few pairs for an interval"
        if self.right:
            return "right: inside the interval"
        factor = self.predicted / self.measured
        return f"{factor:.2g} times too high" if factor > 1 else f"{1 / factor:.2g} times too low"


@dataclass(frozen=True, slots=True, repr=False)
class Score:
    """A prediction held against a measurement; shows itself as a table."""

    about: str
    arm: str
    rows: tuple[ScoreRow, ...]
    hindsight: bool
    own: bool = True

    @property
    def right(self) -> int:
        """How many of the predictions lie inside their interval."""
        return sum(row.right is True for row in self.rows)

    def __str__(self) -> str:
        return f"{self._title()}\n{text_table(_HEADS, self._cells())}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<p>{self._title()}</p>{html_table(_HEADS, self._cells())}"

    def _title(self) -> str:
        late = " (written down after the run had begun: hindsight)" if self.hindsight else ""
        who = "You" if self.own else "The book"
        return f"{who} said, and it was: {self.arm} as a multiple of the baseline{late}"

    def _cells(self) -> list[list[str]]:
        return [
            [row.metric, f"{row.predicted:.3g}", f"{row.measured:.3g}", _interval(row), row.told]
            for row in self.rows
        ]


_HEADS = ("metric", "predicted", "measured", "interval", "and so")


def predict(
    about: str,
    guess: Mapping[str, float],
    *,
    printed: Mapping[str, float] | None = None,
    journal: Journal | None = None,
) -> Prediction:
    """Write a guess down, before the run that will answer it.

        prediction = predict("checkout: threads", {"p99_ms": 2.0, "cpu_per_request_us": 1.5})
        ...
        prediction.score(result.recording, arm="threads")

    Args:
        about: What the guess is about, in the learner's words.
        guess: Ratios to the baseline by metric; 1.0 says *the same*.
        printed: What the book prints in its place; a guess that equals it is nobody's, and not counted.
        journal: Where it is written down; default: this user's.

    Raises:
        UsageError: no guess at all, or a ratio that is not above 0.
    """
    if not guess:
        raise UsageError("an empty guess cannot be wrong; give at least one metric and a ratio")
    for metric, ratio in guess.items():
        if not 0 < ratio < math.inf:
            raise UsageError(f"{metric}={ratio} is no ratio; 1.0 says the same, 2.0 twice as much")
    journal = journal or Journal()
    own = printed is None or dict(guess) != dict(printed)
    journal.note("predicted", about=about, guess=dict(guess), own=own)
    return Prediction(about, dict(guess), utc_now().isoformat(), journal, own)


def _row(metric: str, said: float, verdict: "Verdict") -> ScoreRow:
    return ScoreRow(metric, said, verdict.ratio, verdict.low, verdict.high)


def _interval(row: ScoreRow) -> str:
    return "–" if row.right is None else f"{row.low:.3g} to {row.high:.3g}"


def right_of(fields: Mapping[str, Any]) -> list[bool | None]:
    """For each row of a `scored` entry: right, wrong, or open."""
    return [
        None
        if row["low"] is None or row["high"] is None
        else row["low"] <= row["predicted"] <= row["high"]
        for row in fields["rows"]
    ]
