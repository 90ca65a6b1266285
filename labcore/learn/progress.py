"""How far the learner has come: read from the journal, shown in a notebook or on a terminal."""

from collections.abc import Sequence
from dataclasses import dataclass

from labcore.learn.exercise import Exercise, catalogue
from labcore.learn.journal import Journal
from labcore.learn.predictions import right_of
from labcore.learn.result import Status
from labcore.learn.table import html_table, text_table

_HEADS = ("", "chapter", "exercise", "about", "state", "attempts", "hints")


@dataclass(frozen=True, slots=True)
class Standing:
    """One exercise: passed once is passed, else the state of the last attempt."""

    chapter: str
    name: str
    title: str
    state: Status
    attempts: int
    hints: int


@dataclass(frozen=True, slots=True, repr=False)
class Progress:
    """Where each exercise stands, and how the predictions went."""

    standings: tuple[Standing, ...]
    predictions: int
    scored: int
    right: int
    torn: int

    @property
    def passed(self) -> int:
        """How many exercises are done."""
        return sum(one.state is Status.PASSED for one in self.standings)

    def __str__(self) -> str:
        return f"{text_table(_HEADS, self._cells())}\n\n{self._sentence()}"

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return f"{html_table(_HEADS, self._cells())}<p>{self._sentence()}</p>"

    def _cells(self) -> list[list[str]]:
        return [
            [
                "✓" if one.state is Status.PASSED else "",
                one.chapter,
                one.name,
                one.title,
                one.state.value,
                str(one.attempts),
                str(one.hints),
            ]
            for one in self.standings
        ]

    def _sentence(self) -> str:
        parts = [f"{self.passed} of {len(self.standings)} exercises passed."]
        if self.predictions:
            parts.append(
                f"{self.predictions} predictions written down; of {self.scored} numbers with an "
                f"interval, {self.right} lay inside it."
            )
        if self.torn:
            parts.append(f"{self.torn} lines of the journal are torn and were passed over.")
        return " ".join(parts)


def progress(
    exercises: Sequence[Exercise] | None = None, *, journal: Journal | None = None
) -> Progress:
    """The learner's progress; by default in all exercises, from this user's journal."""
    journal = journal or Journal()
    entries, torn = journal.read()
    own = [entry for entry in entries if entry.fields.get("own")]
    judged = [right for entry in own if entry.kind == "scored" for right in right_of(entry.fields)]
    return Progress(
        tuple(_standing(one, journal) for one in (catalogue() if exercises is None else exercises)),
        predictions=sum(entry.kind == "predicted" for entry in own),
        scored=sum(right is not None for right in judged),
        right=sum(right is True for right in judged),
        torn=torn,
    )


def _standing(task: Exercise, journal: Journal) -> Standing:
    states = [Status(entry.fields["status"]) for entry in journal.of("checked", exercise=task.name)]
    tried = [state for state in states if state is not Status.NOT_STARTED]
    last = tried[-1] if tried else Status.NOT_STARTED
    return Standing(
        chapter=task.chapter,
        name=task.name,
        title=task.title,
        state=Status.PASSED if Status.PASSED in tried else last,
        attempts=len(tried),
        hints=journal.hints_taken(task.name),
    )
