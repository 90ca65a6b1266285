"""How long to wait before an attempt: the schedule of `labcore.reactive.Retry`, and four ways to spread it.

Also what the other side asks for: `Retry-After`. Pure, but for the one look at the wall clock that a date
in that header needs.

Source: M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog); RFC 9110, 10.2.3.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import Enum

from labcore.kernel import UsageError, utc_now
from labcore.reactive import Retry, RetrySignal
from labcore.resilience.passage import check_not_negative, check_positive

DECORRELATED_GROWTH = 3.0  # Brooker's factor


class Jitter(Enum):
    """How waits are spread, so that callers who failed together do not come back together."""

    NONE = "the schedule itself"
    PROPORTIONAL = "the schedule, moved by up to ± the factor of itself"
    FULL = "anything from 0 to the schedule"
    DECORRELATED = "anything from the first wait to three times the wait before"


@dataclass(frozen=True, slots=True)
class Backoff:
    """`first · multiplier^i` seconds, at most `longest_s`, spread by the jitter.

    Raises: UsageError for a value out of range.
    """

    first_s: float = 0.5
    multiplier: float = 1.0
    longest_s: float = 60.0
    jitter: Jitter = Jitter.NONE
    randomized_wait_factor: float = 0.5
    random: Callable[[], float] = random.random

    def __post_init__(self) -> None:
        check_not_negative("wait_duration_s", self.first_s)
        if not self.multiplier >= 1:
            raise UsageError(f"multiplier is {self.multiplier!r}; give a number >= 1")
        check_positive("max_wait_duration_s", self.longest_s)
        if self.longest_s < self.first_s:
            raise UsageError(
                f"max_wait_duration_s {self.longest_s!r} is below wait_duration_s {self.first_s!r}"
            )
        if not 0 <= self.randomized_wait_factor <= 1:
            raise UsageError(
                f"randomized_wait_factor is {self.randomized_wait_factor!r}; "
                "give a share between 0 and 1"
            )

    def wait_s(self, done: int, *, before_s: float) -> float:
        """The wait after that many retries, `before_s` being the one before (0: none)."""
        schedule_s = self._schedule().delay_s(RetrySignal(done, done, _NO_FAILURE))
        if self.jitter is Jitter.NONE:
            return schedule_s
        if self.jitter is Jitter.FULL:
            return self.random() * schedule_s
        if self.jitter is Jitter.PROPORTIONAL:
            spread = 1 + self.randomized_wait_factor * (2 * self.random() - 1)
            return min(self.longest_s, schedule_s * spread)
        highest_s = max(self.first_s, before_s * DECORRELATED_GROWTH)
        return min(self.longest_s, self.first_s + self.random() * (highest_s - self.first_s))

    def _schedule(self) -> Retry:
        return Retry(
            _WITHOUT_END, self.first_s, max_backoff_s=self.longest_s, multiplier=self.multiplier
        )


_WITHOUT_END = float("inf")  # attempts are counted by who asks
_NO_FAILURE = Exception()


def retry_after_of(outcome: object) -> float | None:
    """The seconds an error or a reply asks to wait; None when it says nothing.

    An attribute `retry_after_s` counts first (a breaker's refusal has one), then a header `Retry-After` in
    `headers`, in seconds or as a date.
    """
    seconds = getattr(outcome, "retry_after_s", None)
    if isinstance(seconds, int | float):
        return float(seconds)
    headers = getattr(outcome, "headers", None)
    if not isinstance(headers, Mapping):
        return None
    text = headers.get("retry-after") or headers.get("Retry-After")
    return parse_retry_after(text, at=utc_now()) if isinstance(text, str) else None


def parse_retry_after(text: str, *, at: datetime) -> float | None:
    """Seconds from `at` (UTC), never below 0; None for what is neither seconds nor a date.

    Source: RFC 9110, 10.2.3 (delay-seconds or HTTP-date).
    """
    text = text.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - at).total_seconds())
