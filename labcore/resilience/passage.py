"""Passage: one call's way through a policy; the contract between pure rules and the three faces.

A policy is a state machine that takes the time as an argument. A face asks `enter` until it says 0 (or
raises a refusal), waiting as its kind of code waits in between, runs the call, and then tells how it
ended, once. What listeners should hear and whom to wake is left in `told` and `woken`, so that both
happen after the lock around the machine is free.
"""

from collections.abc import Callable
from enum import Enum
from typing import Protocol, TypeAlias

from labcore.kernel import UsageError
from labcore.resilience.events import Event

Wake: TypeAlias = Callable[[], None]
Arm: TypeAlias = Callable[[], Wake]

SAME_MOMENT_S = 1e-6  # a timer may ring this much early: clocks have a resolution, floats round


class Outcome(Enum):
    """How a call ended, as a policy sees it."""

    SUCCESS = "counts as a success"
    FAILURE = "counts as a failure"
    IGNORED = "an error that counts neither way"
    CANCELLED = "the caller went away, waiting or running; counts neither way"


class Passage(Protocol):
    """One call."""

    def enter(self, now_s: float, arm: Arm) -> float:
        """0: go on. Else the seconds to wait, at most, before asking again.

        Where something other than time ends the wait, `arm()` gives what that something will call.

        Raises: RefusedError when the policy says no.
        """
        ...

    def end(self, now_s: float, outcome: Outcome, error: Exception | None = None) -> None:
        """How it went; whatever comes after the first end is nothing."""
        ...


class Machine:
    """What every pure policy has: a name, what is to be told, whom to wake."""

    ends_matter = True  # False: a call that is in has passed, and need not be watched

    def __init__(self, name: str) -> None:
        self.name = name
        self.heard = False  # whether anybody has ever listened; unheard events are not made
        self.told: list[Event] = []
        self.woken: list[Wake] = []

    def passage(self) -> Passage:
        """The way of one more call."""
        raise NotImplementedError

    def judge(self, value: object, error: Exception | None) -> Outcome:  # noqa: ARG002 - for rules that look at values
        """What that end means here. Asked outside the lock, for the caller's predicates may decide."""
        return Outcome.SUCCESS if error is None else Outcome.FAILURE

    def drain(self) -> tuple[list[Event], list[Wake]] | None:
        """What is to be told and whom to wake, once."""
        if not (self.told or self.woken):
            return None
        pending = self.told, self.woken
        self.told, self.woken = [], []
        return pending


def check_positive(name: str, value: float) -> None:
    """Raise UsageError unless the value is above zero."""
    if not value > 0:
        raise UsageError(f"{name} is {value!r}; give a number > 0")


def check_not_negative(name: str, value: float) -> None:
    """Raise UsageError when the value is below zero."""
    if not value >= 0:
        raise UsageError(f"{name} is {value!r}; give a number >= 0")


def check_percent(name: str, value: float) -> None:
    """Raise UsageError unless 0 < value <= 100."""
    if not 0 < value <= 100:
        raise UsageError(f"{name} is {value!r}; give a percentage above 0 and up to 100")
