"""Time as an argument: the one protocol that pure rules and engines read time through."""

import time
from datetime import UTC, datetime
from typing import Protocol

from labcore.kernel.errors import UsageError


class Clock(Protocol):
    """Monotonic seconds; the zero point is arbitrary, differences are meaningful."""

    def now_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...


class SystemClock:
    """The machine's monotonic clock; the same in every process of one machine on Linux."""

    def now_s(self) -> float:
        """Seconds of `time.monotonic`."""
        return time.monotonic()


class ManualClock:
    """A clock that stands still until it is advanced: virtual time for pure rules."""

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s

    def now_s(self) -> float:
        """Seconds since the start, plus what was advanced."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move forward. Raises: UsageError for a negative step."""
        if seconds < 0:
            raise UsageError(f"a clock cannot go back: advance({seconds}); give seconds >= 0")
        self._now_s += seconds


def utc_now() -> datetime:
    """Wall time, for records only; never used to measure."""
    return datetime.now(UTC)
