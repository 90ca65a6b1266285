"""Retry: the rule that says whether and when a failed stream is subscribed to again.

Source: reactor.util.retry.Retry, RetryBackoffSpec and RetrySpec.
"""

import builtins
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

from labcore.kernel import UsageError
from labcore.reactive.errors import RetryExhaustedError, check_not_negative

Filter: TypeAlias = Callable[[Exception], bool]


@dataclass(frozen=True, slots=True)
class RetrySignal:
    """What is known when a stream has failed. Reactor: Retry.RetrySignal."""

    total_retries: int
    """How many retries came before."""
    total_retries_in_row: int
    """How many of them since the last value."""
    failure: Exception


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try again and how long to wait; made by `backoff`, `fixed_delay` or `max`.

    `max_attempts` counts retries: 3 means up to four subscriptions. Delays are seconds.
    """

    max_attempts: float
    min_backoff_s: float = 0.0
    max_backoff_s: float = math.inf
    multiplier: float = 2.0
    jitter: float = 0.0
    transient_errors: bool = False
    filter: Filter | None = None
    on_exhausted: Callable[[RetrySignal], Exception] | None = None
    before_retry: Callable[[RetrySignal], object] | None = None
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        check_not_negative("max_attempts", self.max_attempts)
        check_not_negative("min_backoff_s", self.min_backoff_s)
        if not 0 <= self.jitter <= 1:
            raise UsageError(f"jitter is {self.jitter}; give a share between 0 and 1")
        if self.max_backoff_s < self.min_backoff_s:
            raise UsageError(
                f"max_backoff_s {self.max_backoff_s} is below min_backoff_s {self.min_backoff_s}"
            )

    @staticmethod
    def backoff(
        max_attempts: int,
        min_backoff_s: float,
        *,
        max_backoff_s: float = math.inf,
        multiplier: float = 2.0,
        jitter: float = 0.5,
    ) -> "Retry":
        """Waits of `min · multiplier^i`, at most `max_backoff_s`, moved by up to ±`jitter` of themselves.

        >>> Retry.backoff(3, 0.1, jitter=0).delay_s(RetrySignal(2, 2, OSError()))
        0.4

        Reactor: Retry.backoff (jitter default 0.5; never below the minimum)
        """
        return Retry(max_attempts, min_backoff_s, max_backoff_s, multiplier, jitter)

    @staticmethod
    def fixed_delay(max_attempts: int, delay_s: float) -> "Retry":
        """The same wait each time.

        >>> Retry.fixed_delay(3, 0.1).delay_s(RetrySignal(2, 2, OSError()))
        0.1

        Reactor: Retry.fixedDelay
        """
        return Retry(max_attempts, delay_s, delay_s)

    @staticmethod
    def max(max_attempts: int) -> "Retry":
        """Without waiting, so often in all.

        >>> Retry.max(3).max_attempts
        3

        Reactor: Retry.max
        """
        return Retry(max_attempts)

    @staticmethod
    def max_in_a_row(max_attempts: int) -> "Retry":
        """Without waiting, so often since the last value.

        >>> Retry.max_in_a_row(3).transient_errors
        True

        Reactor: Retry.maxInARow
        """
        return Retry(max_attempts, transient_errors=True)

    @staticmethod
    def indefinitely() -> "Retry":
        """Without waiting, for ever.

        >>> Retry.indefinitely().max_attempts
        inf

        Reactor: Retry.indefinitely
        """
        return Retry(math.inf)

    def with_filter(self, accept: Filter) -> "Retry":
        """Only errors that `accept`; others pass through unchanged. Reactor: RetrySpec.filter."""
        return replace(self, filter=accept)

    def with_transient_errors(self, transient: bool = True) -> "Retry":
        """Count and wait anew after each value. Reactor: RetryBackoffSpec.transientErrors."""
        return replace(self, transient_errors=transient)

    def with_exhausted(self, error: Callable[[RetrySignal], Exception]) -> "Retry":
        """The error for when attempts are used up. Reactor: RetrySpec.onRetryExhaustedThrow."""
        return replace(self, on_exhausted=error)

    def do_before_retry(self, action: Callable[[RetrySignal], object]) -> "Retry":
        """Called before each wait. Reactor: RetrySpec.doBeforeRetry."""
        return replace(self, before_retry=action)

    def delay_s(self, signal: RetrySignal) -> float:
        """Seconds to wait before the next attempt, or the failure raised when there is none.

        Raises:
            Exception: The failure itself, when the filter refuses it.
            RetryExhaustedError: When the attempts are used up, with the last failure as its cause.
        """
        if self.filter is not None and not self.filter(signal.failure):
            raise signal.failure
        done = signal.total_retries_in_row if self.transient_errors else signal.total_retries
        if done >= self.max_attempts:
            final = self._exhausted(signal)
            raise final from (None if final is signal.failure else signal.failure)
        if self.before_retry is not None:
            self.before_retry(signal)
        return self._jittered(self._backoff(done))

    def _backoff(self, done: int) -> float:
        try:
            wait_s = self.min_backoff_s * self.multiplier**done
        except OverflowError:
            wait_s = math.inf
        return min(wait_s, self.max_backoff_s)

    def _jittered(self, wait_s: float) -> float:
        if not self.jitter or not wait_s or math.isinf(wait_s):
            return wait_s
        offset_s = wait_s * self.jitter
        lowest_s = builtins.max(wait_s - offset_s, self.min_backoff_s)
        highest_s = min(wait_s + offset_s, self.max_backoff_s)
        return min(lowest_s + self.random() * (highest_s - lowest_s), highest_s)

    def _exhausted(self, signal: RetrySignal) -> Exception:
        if self.on_exhausted is not None:
            return self.on_exhausted(signal)
        limit = int(self.max_attempts)
        if self.transient_errors:
            return RetryExhaustedError(
                f"Retries exhausted: {signal.total_retries_in_row}/{limit} in a row "
                f"({signal.total_retries} total)"
            )
        return RetryExhaustedError(f"Retries exhausted: {signal.total_retries}/{limit}")


__all__ = ["Retry", "RetrySignal"]
