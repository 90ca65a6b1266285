"""The rate limiter as a pure rule: at most N starts in any period, waiting in order of arrival.

A call *reserves* its start, as in Resilience4j's AtomicRateLimiter: the moment it may begin is fixed when
it asks, so waiting is fair by construction and nobody polls. Unlike there, the period slides with the
calls instead of being cut into cycles, so no 2 N calls pass around the end of a cycle.

Why not the `limits` package: its storage in memory reads the wall clock itself and expires by a timer
thread of its own, so it can neither be held still by a test nor left without a thread behind; it says
when a window resets, but lets nobody wait in order. The rule itself is one line.
"""

from collections import deque
from dataclasses import dataclass

from labcore.resilience.errors import RequestNotPermittedError
from labcore.resilience.events import Event, EventKind
from labcore.resilience.passage import (
    SAME_MOMENT_S,
    Arm,
    Machine,
    Outcome,
    check_not_negative,
    check_positive,
)


@dataclass(frozen=True, slots=True)
class RateLimiterConfig:
    """Resilience4j's names and defaults: 50 starts per 500 ns, a wait of at most 5 s.

    Raises: UsageError for a value out of range.
    """

    limit_for_period: int = 50
    limit_refresh_period_s: float = 500e-9
    timeout_duration_s: float = 5.0

    def __post_init__(self) -> None:
        check_positive("limit_for_period", self.limit_for_period)
        check_positive("limit_refresh_period_s", self.limit_refresh_period_s)
        check_not_negative("timeout_duration_s", self.timeout_duration_s)


@dataclass(frozen=True, slots=True)
class RateLimiterMetrics:
    """How much of the rate is used: starts of the last period, calls that wait, calls refused."""

    limit_for_period: int
    started_in_period: int
    waiting: int
    refused: int


class LimiterMachine(Machine):
    """The rule. Not thread-safe: whoever shares it holds a lock around each call."""

    ends_matter = False  # it counts starts

    def __init__(self, config: RateLimiterConfig, *, name: str = "rate limiter") -> None:
        super().__init__(name)
        self.config = config
        self.refused = self.waiting = 0
        self._starts_s: deque[float] = deque()  # in order; the future ones are reserved

    def passage(self) -> "LimiterPassage":
        """The way of one more call."""
        return LimiterPassage(self)

    def reserve(self, now_s: float) -> float:
        """When the call may start. Raises: RequestNotPermittedError when that is too far away."""
        starts_s, config = self._starts_s, self.config
        self._forget(now_s)
        start_s = now_s
        if starts_s:
            start_s = max(start_s, starts_s[-1])
        if len(starts_s) >= config.limit_for_period:
            oldest_s = starts_s[-config.limit_for_period]
            start_s = max(start_s, oldest_s + config.limit_refresh_period_s)
        wait_s = start_s - now_s
        if wait_s > config.timeout_duration_s:
            self.refused += 1
            self.tell(EventKind.CALL_REFUSED, now_s, wait_s)
            raise RequestNotPermittedError(
                f"rate limiter {self.name!r}: the next start is {wait_s:g} s away, more than the "
                f"{config.timeout_duration_s:g} s a call may wait",
                retry_after_s=wait_s,
            )
        starts_s.append(start_s)
        return start_s

    def give_back(self, start_s: float) -> None:
        """A start that will not happen."""
        if start_s in self._starts_s:
            self._starts_s.remove(start_s)

    def metrics(self, now_s: float) -> RateLimiterMetrics:
        """How much is used at that moment."""
        self._forget(now_s)
        started = sum(start_s <= now_s for start_s in self._starts_s)
        return RateLimiterMetrics(self.config.limit_for_period, started, self.waiting, self.refused)

    def tell(self, kind: EventKind, now_s: float, wait_s: float | None = None) -> None:
        """What a passage has to say."""
        if self.heard:
            self.told.append(Event(kind, self.name, now_s, wait_s=wait_s))

    def _forget(self, now_s: float) -> None:
        while self._starts_s and self._starts_s[0] + self.config.limit_refresh_period_s <= now_s:
            self._starts_s.popleft()


class LimiterPassage:
    """One call through the rate limiter."""

    __slots__ = ("_machine", "_over", "_start_s", "_waits")

    def __init__(self, machine: LimiterMachine) -> None:
        self._machine = machine
        self._start_s: float | None = None
        self._waits = self._over = False

    def enter(self, now_s: float, arm: Arm) -> float:  # noqa: ARG002 - time alone ends the wait
        """Reserve a start, or see whether it has come. Raises: RequestNotPermittedError."""
        if self._over:
            return 0.0
        if self._start_s is None:
            self._start_s = self._machine.reserve(now_s)
        wait_s = self._start_s - now_s
        if wait_s > SAME_MOMENT_S:
            self._wait(True)
            return wait_s
        self._wait(False)
        self._over = True
        self._machine.tell(EventKind.CALL_PERMITTED, now_s)
        return 0.0

    def end(self, now_s: float, outcome: Outcome, error: Exception | None = None) -> None:  # noqa: ARG002 - a rate counts starts
        """A call that never started gives its start back; one that has started has used it."""
        if self._over:
            return
        self._over = True
        if self._start_s is not None:
            self._wait(False)
            self._machine.give_back(self._start_s)
            self._machine.tell(EventKind.CANCELLED, now_s)

    def _wait(self, waits: bool) -> None:
        self._machine.waiting += waits - self._waits
        self._waits = waits
