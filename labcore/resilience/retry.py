"""Retry as a pure rule: after each attempt, whether there is another and how long to wait for it.

Beside Resilience4j's rules: a refusal of a circuit breaker is not retried (it would only knock on a
closed door), the other side's `Retry-After` is honoured, and a budget shared with other calls may say no.

Source: Resilience4j, RetryImpl and RetryConfig.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from labcore.kernel import UsageError
from labcore.resilience.backoff import Backoff, Jitter, retry_after_of
from labcore.resilience.errors import CallNotPermittedError, MaxRetriesExceededError
from labcore.resilience.events import Event, EventKind
from labcore.resilience.passage import check_not_negative

Matching = tuple[type[Exception], ...]


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """Resilience4j's names and defaults: 3 attempts in all, 0.5 s between them, after every error.

    `multiplier` above 1 makes the waits grow, up to `max_wait_duration_s`. `retry_on_result` names results
    to try again; the last one is returned, or with `fail_after_max_attempts` refused. `retry_after` reads
    the wait an error or result asks for: the longer of it and the schedule is taken, and one above
    `max_retry_after_s` means no retry.

    Raises: UsageError for a value out of range.
    """

    max_attempts: int = 3
    wait_duration_s: float = 0.5
    multiplier: float = 1.0
    max_wait_duration_s: float = 60.0
    jitter: Jitter = Jitter.NONE
    randomized_wait_factor: float = 0.5
    retry_exceptions: Matching = (Exception,)
    ignore_exceptions: Matching = (CallNotPermittedError,)
    retry_on_exception: Callable[[Exception], bool] | None = None
    retry_on_result: Callable[[object], bool] | None = None
    fail_after_max_attempts: bool = False
    retry_after: Callable[[object], float | None] | None = retry_after_of
    max_retry_after_s: float = 60.0
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        if self.max_attempts < 1:
            raise UsageError(f"max_attempts is {self.max_attempts!r}; give a number >= 1")
        check_not_negative("max_retry_after_s", self.max_retry_after_s)
        self.backoff()

    def backoff(self) -> Backoff:
        """The schedule of waits."""
        return Backoff(
            self.wait_duration_s,
            self.multiplier,
            self.max_wait_duration_s,
            self.jitter,
            self.randomized_wait_factor,
            self.random,
        )

    def retries(self, error: Exception) -> bool:
        """Whether that error is one to try again after."""
        if isinstance(error, self.ignore_exceptions):
            return False
        if self.retry_on_exception is not None and self.retry_on_exception(error):
            return True
        return isinstance(error, self.retry_exceptions)


@dataclass(frozen=True, slots=True)
class RetryMetrics:
    """Calls by how they ended, as Resilience4j counts them, and attempts beyond the first."""

    successful_without_retry: int = 0
    successful_with_retry: int = 0
    failed_without_retry: int = 0
    failed_with_retry: int = 0
    retries: int = 0
    budget_refusals: int = 0


class Budget(Protocol):
    """What may say no to a retry."""

    def deposit(self, now_s: float) -> None:
        """A call begins."""
        ...

    def withdraw(self, now_s: float) -> bool:
        """Whether one more retry may be."""
        ...


class RetryCall:
    """One call: asked after each attempt. Belongs to one caller, so it needs no lock.

    Args:
        tell: takes the events; None when nobody listens.
    """

    __slots__ = (
        *("_backoff", "_before_s", "_budget", "_config", "_name", "_tell"),
        *("attempts", "budget_refused", "over"),
    )

    def __init__(
        self,
        config: RetryConfig,
        *,
        backoff: Backoff,
        budget: Budget | None,
        name: str,
        tell: Callable[[Event], None] | None = None,
    ) -> None:
        self._config = config
        self._backoff = backoff
        self._budget = budget
        self._name = name
        self._tell = tell
        self._before_s = 0.0
        self.attempts = 1
        self.budget_refused = self.over = False

    def begin(self, now_s: float) -> None:
        """The first attempt: it pays into the budget."""
        if self._budget is not None:
            self._budget.deposit(now_s)

    def after_result(self, value: object, now_s: float) -> float | None:
        """Seconds to wait before another attempt; None: the value is the answer.

        Raises: MaxRetriesExceededError when it is one to retry, attempts are used up, and the
            configuration says so.
        """
        retry_on_result = self._config.retry_on_result
        if retry_on_result is None or not retry_on_result(value):
            return None
        wait_s = self._next(value, None, now_s)
        if wait_s is None and self._config.fail_after_max_attempts:
            self.over = True
            raise MaxRetriesExceededError(
                f"retry {self._name!r}: the result of attempt {self.attempts} of "
                f"{self._config.max_attempts} is still one to retry"
            )
        return wait_s

    def after_error(self, error: Exception, now_s: float) -> float | None:
        """Seconds to wait before another attempt; None: the error is the answer."""
        if not self._config.retries(error):
            return None
        return self._next(error, error, now_s)

    def _next(self, outcome: object, error: Exception | None, now_s: float) -> float | None:
        config = self._config
        wait_s = self._backoff.wait_s(self.attempts - 1, before_s=self._before_s)
        asked_s = config.retry_after(outcome) if config.retry_after is not None else None
        too_long = asked_s is not None and asked_s > config.max_retry_after_s
        if self.attempts >= config.max_attempts or too_long:
            self._say(EventKind.RETRIES_EXHAUSTED, now_s, None, error)
            return None
        if self._budget is not None and not self._budget.withdraw(now_s):
            self.budget_refused = True
            self._say(EventKind.BUDGET_EXHAUSTED, now_s, None, error)
            return None
        self._before_s = wait_s
        wait_s = max(wait_s, asked_s or 0.0)
        self._say(EventKind.RETRY, now_s, wait_s, error)
        self.attempts += 1
        return wait_s

    def _say(
        self, kind: EventKind, now_s: float, wait_s: float | None, error: Exception | None
    ) -> None:
        if self._tell is not None:
            event = Event(
                kind, self._name, now_s, attempt=self.attempts, wait_s=wait_s, error=error
            )
            self._tell(event)
