"""A guess in plain numbers, for experiments that count instead of comparing lanes.

It lies in the same journal as every other prediction, so `progress()` counts both alike.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from labcore.kernel import UsageError
from labcore.learn.journal import Journal
from labcore.learn.table import html_table, text_table

_HEADS = ("what", "said", "was", "")


@dataclass(frozen=True, slots=True)
class Guess:
    """Numbers written down before an experiment. `own` is False for those that the book prints."""

    about: str
    numbers: Mapping[str, float]
    own: bool
    journal: Journal = field(repr=False)

    def score(self, measured: Mapping[str, float]) -> "GuessScore":
        """The guess beside what was counted; noted in the journal.

        Raises: UsageError for a number of the guess that the experiment does not count.
        """
        strangers = sorted(set(self.numbers) - set(measured))
        if strangers:
            known = ", ".join(sorted(measured))
            raise UsageError(f"nothing was counted as {strangers[0]!r}; there are: {known}")
        rows = tuple((name, said, measured[name]) for name, said in self.numbers.items())
        noted = [
            {"metric": name, "predicted": said, "measured": was, "low": was, "high": was}
            for name, said, was in rows
        ]
        self.journal.note(
            "scored", about=self.about, arm="", hindsight=False, own=self.own, rows=noted
        )
        return GuessScore(rows, self.own)

    def __str__(self) -> str:
        said = ", ".join(f"{name}: {number:g}" for name, number in self.numbers.items())
        whose = "" if self.own else " (the book's numbers; change them, and they are yours)"
        return f"Written down about {self.about}: {said}{whose}"

    __repr__ = __str__


@dataclass(frozen=True, slots=True, repr=False)
class GuessScore:
    """What was said beside what was counted, one row (name, said, was) a number."""

    rows: tuple[tuple[str, float, float], ...]
    own: bool

    @property
    def right(self) -> int:
        """How many numbers were right to the digit."""
        return sum(said == was for _, said, was in self.rows)

    def __str__(self) -> str:
        return f"{self._title()}\n{text_table(_HEADS, self._cells())}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"<p>{self._title()}</p>{html_table(_HEADS, self._cells())}"

    def _title(self) -> str:
        return f"{'You' if self.own else 'The book'} said, and it was: {self.right} of {len(self.rows)} right"

    def _cells(self) -> list[list[str]]:
        return [
            [name, f"{said:g}", f"{was:g}", "right" if said == was else f"off by {was - said:+g}"]
            for name, said, was in self.rows
        ]


def guess(
    about: str,
    numbers: Mapping[str, float],
    *,
    printed: Mapping[str, float] | None = None,
    journal: Journal | None = None,
) -> Guess:
    """Write numbers down before the experiment that will count them.

        said = guess("a server killed", {"missing": 5}, printed={"missing": 0})
        said.score(result.counts)

    Args:
        about: what the guess is about.
        numbers: by the names that the experiment's `counts` has.
        printed: what the book prints in their place; a guess that equals it is nobody's.
        journal: where it is written down; default: this user's.

    Raises: UsageError for no numbers.
    """
    if not numbers:
        raise UsageError("an empty guess cannot be wrong; give at least one number")
    journal = journal or Journal()
    own = printed is None or dict(numbers) != dict(printed)
    journal.note("predicted", about=about, guess=dict(numbers), own=own)
    return Guess(about, dict(numbers), own, journal)
