"""A retry storm, *simulated*: how retries keep a provider down after its outage has ended.

The provider serves calls in order and does not know that a caller has given up: it works through
requests that nobody waits for any more. Callers whose time limit passed try again. Once the retries
alone exceed what the provider can serve, it never catches up, although nothing is broken any longer:
a metastable failure. The policies at work are those of `labcore.resilience`, the very objects that the
services use; only time and the provider are simulated.

Source: N. Bronson et al., "Metastable Failures in Distributed Systems" (HotOS 2021); B. Beyer et al.,
Site Reliability Engineering, ch. 22, "Addressing Cascading Failures".
"""

import random
from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import simpy

from labcore.kernel import RefusedError, UsageError
from labcore.resilience import (
    BreakerMachine,
    CircuitBreakerConfig,
    RetryBudget,
    RetryCall,
    RetryConfig,
)

if TYPE_CHECKING:  # half a second for every checking process, which needs no table
    import pandas as pd

WINDOW_S: Final = 1.0
Process = Generator[simpy.Event, Any, None]


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to a provider, and what is asked of it.

    Raises: UsageError for numbers out of range.
    """

    rate_per_s: float = 100.0
    capacity_per_s: float = 150.0
    outage_s: tuple[float, float] = (10.0, 20.0)  # nothing is served from … to
    duration_s: float = 60.0
    timeout_s: float = 1.0
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name in ("rate_per_s", "capacity_per_s", "duration_s", "timeout_s"):
            if not getattr(self, name) > 0:
                raise UsageError(f"{name}={getattr(self, name)} must be above 0")
        begins_s, ends_s = self.outage_s
        if not 0 <= begins_s <= ends_s <= self.duration_s:
            raise UsageError(
                f"outage_s={self.outage_s} must lie within 0 and duration_s={self.duration_s}"
            )


@dataclass(frozen=True, slots=True)
class Defence:
    """What the callers do about failures; each part is optional."""

    retry: RetryConfig | None = None
    budget_share: float | None = None  # of the calls that may be retries
    breaker: CircuitBreakerConfig | None = None


def storm(defence: Defence, weather: Weather | None = None) -> "pd.DataFrame":
    """What callers and provider went through, one row a second.

    Columns: `second`, `calls` begun, `attempts` sent, `answered_share` of the calls begun in that second that
    got an answer in time, `backlog` of the provider at its end. Deterministic by the seed, which
    replaces the dice of the retry's jitter too.
    """
    weather = weather or Weather()
    return _Storm(defence, weather).run()


class _Storm:
    def __init__(self, defence: Defence, weather: Weather) -> None:
        self._weather = weather
        self._defence = defence
        self._clock = simpy.Environment()
        self._queue = simpy.Store(self._clock)
        self._draw = random.Random(weather.seed)
        given = defence.retry or RetryConfig(max_attempts=1)
        self._retry = replace(given, random=self._draw.random)
        self._budget = (
            None if defence.budget_share is None else RetryBudget(retry_share=defence.budget_share)
        )
        self._breaker = None if defence.breaker is None else BreakerMachine(defence.breaker)
        self._seconds = int(weather.duration_s / WINDOW_S)
        self._calls, self._attempts, self._answered, self._backlog = (
            [0] * self._seconds for _ in range(4)
        )

    def run(self) -> "pd.DataFrame":
        for process in (self._callers(), self._provider(), self._watch()):
            self._clock.process(process)
        # What began last may still be answered.
        self._clock.run(until=self._weather.duration_s + 10 * self._weather.timeout_s)
        import pandas as pd

        table = pd.DataFrame(
            {
                "second": range(self._seconds),
                "calls": self._calls,
                "attempts": self._attempts,
                "answered_share": self._answered,
                "backlog": self._backlog,
            }
        )
        table["answered_share"] = table.answered_share / table.calls.clip(lower=1)
        return table

    def _callers(self) -> Process:
        while True:
            yield self._clock.timeout(self._draw.expovariate(self._weather.rate_per_s))
            self._clock.process(self._call())

    def _provider(self) -> Process:
        begins_s, ends_s = self._weather.outage_s
        while True:
            answered: simpy.Event = yield self._queue.get()
            if begins_s <= self._clock.now < ends_s:
                yield self._clock.timeout(ends_s - self._clock.now)
            yield self._clock.timeout(1 / self._weather.capacity_per_s)
            if not answered.triggered:
                answered.succeed()

    def _watch(self) -> Process:
        for second in range(self._seconds):
            yield self._clock.timeout(WINDOW_S)
            self._backlog[second] = len(self._queue.items)

    def _call(self) -> Process:
        second = self._second()
        self._count(self._calls, second)
        retry = RetryCall(
            self._retry, backoff=self._retry.backoff(), budget=self._budget, name="storm"
        )
        retry.begin(self._clock.now)
        while True:
            error = yield from self._attempt()
            if error is None:
                self._count(self._answered, second)
                return
            wait_s = retry.after_error(error, self._clock.now)
            if wait_s is None:
                return
            yield self._clock.timeout(wait_s)

    def _attempt(self) -> Generator[simpy.Event, Any, Exception | None]:
        """One attempt, through the breaker if there is one: None when it was answered in time."""
        permit = None
        if self._breaker is not None:
            try:
                permit = self._breaker.acquire(self._clock.now)
            except RefusedError as refused:
                return refused
        self._count(self._attempts, self._second())
        answered = self._clock.event()
        began_s = self._clock.now
        self._queue.put(answered)
        yield answered | self._clock.timeout(self._weather.timeout_s)
        failed = not answered.triggered
        if self._breaker is not None and permit is not None:
            now_s = self._clock.now
            self._breaker.settle(permit, now_s, duration_s=now_s - began_s, failed=failed)
        return TimeoutError("no answer in time") if failed else None

    def _second(self) -> int:
        return int(self._clock.now / WINDOW_S)

    def _count(self, row: list[int], second: int) -> None:
        if second < self._seconds:
            row[second] += 1
