"""What a failed script says: where, what was expected, what came, and how it got there."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Place:
    """Where a script stands."""

    script: str
    number: int  # from 1
    steps: int
    step: str
    demand: str
    signals: str
    clock: str

    def __str__(self) -> str:
        name = f"{self.script}: " if self.script else ""
        return f"{name}step {self.number} of {self.steps}, {self.step}"


class VerificationError(AssertionError):
    """The publisher did not follow the script.

    Attributes:
        place: Where the script stood; None when the script itself was over.
        expected: What the step asked for.
        actual: What happened instead.
    """

    def __init__(self, place: Place | None, *, expected: str, actual: str) -> None:
        self.place = place
        self.expected = expected
        self.actual = actual
        rows = {"expected": expected, "actual": actual}
        if place is not None:
            rows |= {"demand": place.demand, "signals": place.signals, "clock": place.clock}
        body = "\n".join(f"  {name:<8}  {text}" for name, text in rows.items())
        super().__init__(f"{place or 'after the script'}\n{body}")
