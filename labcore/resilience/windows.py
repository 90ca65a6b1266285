"""Sliding windows over the outcomes of calls: the last N calls, or the last N seconds. Pure.

Source: Resilience4j, FixedSizeSlidingWindowMetrics and SlidingTimeWindowMetrics.
"""

import math
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple, Protocol

UNDEFINED_RATE = -1.0  # Resilience4j's word for "too few calls"


class Totals(NamedTuple):  # made at every end of a call: a tuple costs a third of a dataclass
    """What a window holds."""

    calls: int = 0
    failed: int = 0
    slow: int = 0

    def failure_rate(self, minimum: int) -> float:
        """Percent of failed calls; -1 below that many calls."""
        return self._rate(self.failed, minimum)

    def slow_call_rate(self, minimum: int) -> float:
        """Percent of slow calls; -1 below that many calls."""
        return self._rate(self.slow, minimum)

    def _rate(self, part: int, minimum: int) -> float:
        if not self.calls or self.calls < minimum:
            return UNDEFINED_RATE
        return 100.0 * part / self.calls


class Window(Protocol):
    """Remembers outcomes."""

    def record(self, now_s: float, *, failed: bool, slow: bool) -> None:
        """One call has ended."""
        ...

    def totals(self, now_s: float) -> Totals:
        """What is inside now."""
        ...


class CountWindow:
    """The last `size` calls."""

    def __init__(self, size: int) -> None:
        self._outcomes: deque[tuple[bool, bool]] = deque(maxlen=size)
        self._failed = self._slow = 0

    def record(self, now_s: float, *, failed: bool, slow: bool) -> None:  # noqa: ARG002 - time is the other window's
        """One call more; the oldest leaves."""
        if len(self._outcomes) == self._outcomes.maxlen:
            old_failed, old_slow = self._outcomes[0]
            self._failed -= old_failed
            self._slow -= old_slow
        self._outcomes.append((failed, slow))
        self._failed += failed
        self._slow += slow

    def totals(self, now_s: float) -> Totals:  # noqa: ARG002 - time is the other window's
        """What is inside."""
        return Totals(len(self._outcomes), self._failed, self._slow)


@dataclass(slots=True)
class _Bucket:
    second: int
    calls: int = 0
    failed: int = 0
    slow: int = 0


class TimeWindow:
    """The last `size` seconds, in buckets of one second; the running second is one of them."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._buckets: deque[_Bucket] = deque()

    def record(self, now_s: float, *, failed: bool, slow: bool) -> None:
        """One call more, in the bucket of its second."""
        second = self._forget(now_s)
        if not self._buckets or self._buckets[-1].second < second:
            self._buckets.append(_Bucket(second))
        bucket = self._buckets[-1]
        bucket.calls += 1
        bucket.failed += failed
        bucket.slow += slow

    def totals(self, now_s: float) -> Totals:
        """What is inside now."""
        self._forget(now_s)
        return Totals(
            sum(bucket.calls for bucket in self._buckets),
            sum(bucket.failed for bucket in self._buckets),
            sum(bucket.slow for bucket in self._buckets),
        )

    def _forget(self, now_s: float) -> int:
        second = math.floor(now_s)
        while self._buckets and self._buckets[0].second <= second - self._size:
            self._buckets.popleft()
        return second
