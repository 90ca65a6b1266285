"""The bulkhead as a pure state machine: so many calls at once, so many waiting, first come first served.

A place that comes free is handed to the first in the queue directly, so nobody who comes later takes it.

Source: M. Nygard, Release It!, "Bulkheads"; Resilience4j, SemaphoreBulkhead (fair) and the bounded queue
of its FixedThreadPoolBulkhead.
"""

import math
from collections import deque
from dataclasses import dataclass

from labcore.resilience.errors import BulkheadFullError
from labcore.resilience.events import Event, EventKind
from labcore.resilience.passage import (
    SAME_MOMENT_S,
    Arm,
    Machine,
    Outcome,
    Wake,
    check_not_negative,
    check_positive,
)


@dataclass(frozen=True, slots=True)
class BulkheadConfig:
    """Resilience4j's names and defaults.

    `queue_capacity` bounds how many may wait; unbounded, as Resilience4j's semaphore, by default.
    `queued(n)` is the queue of its pool bulkhead, where only a full queue refuses.

    Raises: UsageError for a value out of range.
    """

    max_concurrent_calls: int = 25
    max_wait_duration_s: float = 0.0
    queue_capacity: float = math.inf

    def __post_init__(self) -> None:
        check_positive("max_concurrent_calls", self.max_concurrent_calls)
        check_not_negative("max_wait_duration_s", self.max_wait_duration_s)
        check_not_negative("queue_capacity", self.queue_capacity)

    @staticmethod
    def queued(max_concurrent_calls: int, queue_capacity: int = 100) -> "BulkheadConfig":
        """Calls wait in a bounded queue for as long as it takes. Resilience4j: ThreadPoolBulkhead."""
        return BulkheadConfig(max_concurrent_calls, math.inf, queue_capacity)


@dataclass(frozen=True, slots=True)
class BulkheadMetrics:
    """How full it is."""

    max_concurrent_calls: int
    in_use: int
    waiting: int
    refused: int


class BulkheadMachine(Machine):
    """The rules. Not thread-safe: whoever shares it holds a lock around each call."""

    def __init__(self, config: BulkheadConfig, *, name: str = "bulkhead") -> None:
        super().__init__(name)
        self.config = config
        self.in_use = self.refused = 0
        self.queue: deque[BulkheadPassage] = deque()

    def passage(self) -> "BulkheadPassage":
        """The way of one more call."""
        return BulkheadPassage(self)

    def metrics(self) -> BulkheadMetrics:
        """How full it is now."""
        return BulkheadMetrics(
            self.config.max_concurrent_calls, self.in_use, len(self.queue), self.refused
        )

    def refusal(self, now_s: float) -> BulkheadFullError:
        """The error for a call that finds no place."""
        self.refused += 1
        self.tell(EventKind.CALL_REFUSED, now_s)
        return BulkheadFullError(
            f"bulkhead {self.name!r} is full: {self.in_use} of {self.config.max_concurrent_calls} "
            f"calls run and {len(self.queue)} wait; no place within "
            f"{self.config.max_wait_duration_s:g} s"
        )

    def give_up_place(self) -> None:
        """To the first who waits, or back."""
        if self.queue:
            self.woken.append(self.queue.popleft().granted())
        else:
            self.in_use -= 1

    def tell(self, kind: EventKind, now_s: float) -> None:
        """What a passage has to say."""
        if self.heard:
            self.told.append(Event(kind, self.name, now_s))


def _nobody() -> None:
    """Nobody waits."""


class BulkheadPassage:
    """One call through the bulkhead."""

    __slots__ = ("_closed", "_deadline_s", "_holds", "_machine", "_waits", "_wake")

    def __init__(self, machine: BulkheadMachine) -> None:
        self._machine = machine
        self._holds = self._waits = self._closed = False
        self._deadline_s = 0.0
        self._wake: Wake = _nobody

    def enter(self, now_s: float, arm: Arm) -> float:
        """Take a place, or wait for one. Raises: BulkheadFullError."""
        machine = self._machine
        if self._closed:  # cancelled between its place coming free and this: it wants none
            return 0.0
        if self._waits:
            left_s = self._deadline_s - now_s
            if left_s > SAME_MOMENT_S:
                return left_s
            machine.queue.remove(self)
            self._waits = False
            self._closed = True
            raise machine.refusal(now_s)
        if not self._holds:
            if machine.in_use >= machine.config.max_concurrent_calls:
                return self._queue_up(now_s, arm)
            machine.in_use += 1
            self._holds = True
        machine.tell(EventKind.CALL_PERMITTED, now_s)
        return 0.0

    def granted(self) -> Wake:
        """The place of another is this one's now; whom to tell."""
        self._waits = False
        self._holds = True
        return self._wake

    def end(self, now_s: float, outcome: Outcome, error: Exception | None = None) -> None:  # noqa: ARG002 - a place is a place
        """The place comes free, or the wait ends."""
        if self._closed:
            return
        self._closed = True
        if self._waits:
            self._machine.queue.remove(self)
            self._waits = False
        elif self._holds:
            self._holds = False
            self._machine.give_up_place()
        cancelled = outcome is Outcome.CANCELLED
        self._machine.tell(EventKind.CANCELLED if cancelled else EventKind.FINISHED, now_s)

    def _queue_up(self, now_s: float, arm: Arm) -> float:
        machine, config = self._machine, self._machine.config
        if not config.max_wait_duration_s or len(machine.queue) >= config.queue_capacity:
            self._closed = True
            raise machine.refusal(now_s)
        self._waits = True
        self._deadline_s = now_s + config.max_wait_duration_s
        self._wake = arm()
        machine.queue.append(self)
        return config.max_wait_duration_s
