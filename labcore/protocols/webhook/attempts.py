"""What an answer to a delivery means, and when the next attempt is due. Pure: no clock, no dice.

The five schedules are those whose load on a recovering partner differs: all at once (fixed), in
waves (exponential), spread (full and decorrelated jitter), and the published list of the standard.

Source: Standard Webhooks 1.0.0, "Deliverability and reliability"; M. Brooker, "Exponential Backoff
And Jitter", AWS Architecture Blog (2015); RFC 9110 section 10.2.3 (Retry-After).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final, Protocol

from labcore.kernel import UsageError

DAY_S: Final = 86_400.0
STANDARD_DELAYS_S: Final = tuple(
    float(seconds) for seconds in (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
)
MOST_RETRY_AFTER_S: Final = DAY_S  # a partner may ask for patience, not for ever


class Next(Enum):
    """What becomes of a delivery after an attempt."""

    DELIVERED = "delivered"
    RETRY = "retry"
    DEAD = "dead"  # to the dead letters: the schedule is at its end
    GONE = "gone"  # the partner wants no more of any: 410


class Schedule(Protocol):
    """When to try again: the wait before attempt `attempt + 1`, or None when it was the last.

    `previous_s` is the wait before this attempt; `draw` is uniform in 0..1.
    """

    def wait_s(self, attempt: int, *, previous_s: float, draw: float) -> float | None:
        """Seconds to wait after that attempt (1, 2, …), or None."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Always the same wait. Partners meet every failed delivery again at once."""

    delay_s: float = 5.0
    attempts: int = 10

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        _check(self.delay_s, self.delay_s, self.attempts)

    def wait_s(self, attempt: int, *, previous_s: float, draw: float) -> float | None:  # noqa: ARG002 - a schedule's signature
        """See `Schedule`."""
        return self.delay_s if attempt < self.attempts else None


@dataclass(frozen=True, slots=True)
class Exponential:
    """Doubling, up to a ceiling, without jitter: waves that stay waves."""

    base_s: float = 1.0
    ceiling_s: float = 600.0
    attempts: int = 10

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        _check(self.base_s, self.ceiling_s, self.attempts)

    def wait_s(self, attempt: int, *, previous_s: float, draw: float) -> float | None:  # noqa: ARG002 - a schedule's signature
        """See `Schedule`."""
        return _reach_s(self, attempt) if attempt < self.attempts else None


@dataclass(frozen=True, slots=True)
class FullJitter:
    """Anywhere between 0 and the exponential wait: the least load on a partner that comes back."""

    base_s: float = 1.0
    ceiling_s: float = 600.0
    attempts: int = 10

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        _check(self.base_s, self.ceiling_s, self.attempts)

    def wait_s(self, attempt: int, *, previous_s: float, draw: float) -> float | None:  # noqa: ARG002 - a schedule's signature
        """See `Schedule`."""
        return draw * _reach_s(self, attempt) if attempt < self.attempts else None


@dataclass(frozen=True, slots=True)
class Decorrelated:
    """Between the base and three times the wait before, up to a ceiling."""

    base_s: float = 1.0
    ceiling_s: float = 600.0
    attempts: int = 10

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        _check(self.base_s, self.ceiling_s, self.attempts)

    def wait_s(self, attempt: int, *, previous_s: float, draw: float) -> float | None:
        """See `Schedule`."""
        if attempt >= self.attempts:
            return None
        reach_s = max(self.base_s, 3 * previous_s)
        return min(self.ceiling_s, self.base_s + (reach_s - self.base_s) * draw)


@dataclass(frozen=True, slots=True)
class Listed:
    """A list of waits, each lengthened by up to `jitter_share` of itself; default the standard's example."""

    delays_s: tuple[float, ...] = STANDARD_DELAYS_S
    jitter_share: float = 0.1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for delay_s in self.delays_s:
            _check(delay_s, delay_s, 1)
        if not 0 <= self.jitter_share <= 1:
            raise UsageError(f"jitter_share={self.jitter_share} must lie between 0 and 1")

    def wait_s(self, attempt: int, *, previous_s: float, draw: float) -> float | None:  # noqa: ARG002 - a schedule's signature
        """See `Schedule`."""
        if attempt > len(self.delays_s):
            return None
        return self.delays_s[attempt - 1] * (1 + self.jitter_share * draw)


def after_attempt(
    status: int | None,
    *,
    attempt: int,
    schedule: Schedule,
    previous_s: float,
    draw: float,
    retry_after_s: float | None = None,
) -> tuple[Next, float]:
    """What becomes of the delivery, and after how many seconds it is tried again (0: never).

    2xx alone is a delivery; a redirect is a failure and not followed. 410 ends the endpoint. Everything
    else is tried again while the schedule lasts, not before the partner's own `Retry-After`.

    Args:
        status: of the answer; None when there was none.
        attempt: its number (1, 2, …).
        schedule: the partner's.
        previous_s: the wait before this attempt.
        draw: uniform in 0..1, for the jitter.
        retry_after_s: the partner's wish, if it had one.
    """
    if status is not None and 200 <= status < 300:
        return Next.DELIVERED, 0.0
    if status == 410:
        return Next.GONE, 0.0
    wait_s = schedule.wait_s(attempt, previous_s=previous_s, draw=draw)
    if wait_s is None:
        return Next.DEAD, 0.0
    return Next.RETRY, max(wait_s, min(retry_after_s or 0.0, MOST_RETRY_AFTER_S))


def _reach_s(schedule: Exponential | FullJitter, attempt: int) -> float:
    return float(min(schedule.ceiling_s, schedule.base_s * 2.0 ** min(attempt - 1, 60)))


def _check(base_s: float, ceiling_s: float, attempts: int) -> None:
    if not 0 <= base_s <= ceiling_s < float("inf"):
        raise UsageError(f"waits from {base_s} to {ceiling_s} s; give 0 <= base <= ceiling")
    if attempts < 1:
        raise UsageError(f"attempts={attempts} must be 1 or more")
