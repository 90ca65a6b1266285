"""The search for a capacity: which rate to offer next, by what the rates tried so far have shown.

Pure, and without memory of its own: the same tallies give the same next rung, so a search that was
cut short goes on from its record. Rates lie on a ladder of equal ratios. The search doubles until
the objective breaks, bisects the gap to one step, and then confirms both sides of it; a rate whose
confirmation comes out otherwise moves the gap, and the search goes on from there.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from labcore.kernel import UsageError
from labcore.measure.record import RateState

CONFIRMING: Final = 3  # runs that all keep the objective at a rate that is called passed
FAILING: Final = 2  # of them break it at a rate that is called failed
VOID_PATIENCE: Final = 3  # void runs at one rate, after which it is left alone
HOPELESS: Final = 2  # rates in a row without one valid run: the machine is not fit to measure


@dataclass(frozen=True, slots=True)
class Tally:
    """What the runs at one rate came to."""

    passes: int = 0
    fails: int = 0
    voids: int = 0

    @property
    def state(self) -> RateState:
        """In one word; `unconfirmed` while further runs could make it one of the others."""
        if self.fails >= FAILING:
            return "failed"
        if self.passes >= CONFIRMING and not self.fails:
            return "passed"
        if self.passes + self.fails >= CONFIRMING:
            return "mixed"
        return "void" if self.voids >= VOID_PATIENCE else "unconfirmed"

    @property
    def leaning(self) -> RateState:
        """The state, or for an unconfirmed one where it points; `unconfirmed` if nowhere."""
        if self.state != "unconfirmed" or bool(self.passes) == bool(self.fails):
            return self.state
        return "passed" if self.passes else "failed"


@dataclass(frozen=True, slots=True)
class Ladder:
    """The rates that may be offered: equal ratios from `lowest_per_s` up to `highest_per_s`.

    Raises: UsageError for bounds out of order, or a start outside them.
    """

    lowest_per_s: float = 10.0
    highest_per_s: float = 20_000.0  # the load driver is known to be honest up to here
    start_per_s: float = 50.0
    steps_per_doubling: int = 4

    def __post_init__(self) -> None:
        if not 0 < self.lowest_per_s <= self.start_per_s <= self.highest_per_s < math.inf:
            raise UsageError(
                f"lowest={self.lowest_per_s:g}, start={self.start_per_s:g}, "
                f"highest={self.highest_per_s:g}: give rates that ascend from above 0"
            )
        if not 1 <= self.steps_per_doubling <= 32:
            raise UsageError(
                f"steps_per_doubling={self.steps_per_doubling!r} is out of range; give 1 to 32"
            )

    @property
    def top(self) -> int:
        """The number of the highest rung; the lowest is 0."""
        doublings = math.log2(self.highest_per_s / self.lowest_per_s)
        return math.floor(doublings * self.steps_per_doubling + 1e-9)

    @property
    def start(self) -> int:
        """The rung to begin with: the one at `start_per_s`, or just below."""
        doublings = math.log2(self.start_per_s / self.lowest_per_s)
        return math.floor(doublings * self.steps_per_doubling + 1e-9)

    def rate_per_s(self, rung: int) -> float:
        """The rate of a rung, to three digits."""
        return float(f"{self.lowest_per_s * 2 ** (rung / self.steps_per_doubling):.3g}")


def next_rung(tallies: Mapping[int, Tally], ladder: Ladder) -> int | None:
    """The rung to try next; None when the search has come to its end."""
    if not tallies:
        return ladder.start
    unclear = [rung for rung, tally in tallies.items() if tally.leaning == "unconfirmed"]
    if unclear:
        return min(unclear)
    if len(tallies) >= HOPELESS and all(tally.leaning == "void" for tally in tallies.values()):
        return None
    high = _lowest_barrier(tallies)
    low = highest_passing(tallies, below=high)
    reach = _further(tallies, ladder, low=low, high=high)
    if reach is not None:
        return reach
    between = _untried(tallies, low=low, high=ladder.top + 1 if high is None else high)
    if between is not None:
        return between
    confirming = [rung for rung in (high, low) if rung is not None]
    return next((rung for rung in confirming if tallies[rung].state == "unconfirmed"), None)


def highest_passing(tallies: Mapping[int, Tally], *, below: int | None) -> int | None:
    """The highest rung that passes or so far seems to, below the barrier."""
    passing = [rung for rung, tally in tallies.items() if tally.leaning == "passed"]
    return max((rung for rung in passing if below is None or rung < below), default=None)


def _lowest_barrier(tallies: Mapping[int, Tally]) -> int | None:
    """The lowest rung that fails, so far seems to, or cannot be judged."""
    barriers = [rung for rung, tally in tallies.items() if tally.leaning in {"failed", "void"}]
    return min(barriers, default=None)


def _further(
    tallies: Mapping[int, Tally], ladder: Ladder, *, low: int | None, high: int | None
) -> int | None:
    """A rung one doubling further out, while one side of the gap is missing."""
    if high is None and max(tallies) < ladder.top:
        return min(max(tallies) + ladder.steps_per_doubling, ladder.top)
    if low is None and min(tallies) > 0:
        return max(min(tallies) - ladder.steps_per_doubling, 0)
    return None


def _untried(tallies: Mapping[int, Tally], *, low: int | None, high: int) -> int | None:
    """The rung nearest the middle of the gap that was not tried yet."""
    start = -1 if low is None else low
    middle = (start + high) / 2
    untried = [rung for rung in range(start + 1, high) if rung not in tallies]
    return min(untried, key=lambda rung: abs(rung - middle), default=None)
