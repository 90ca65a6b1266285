"""The retry budget: only a share of the calls may be retries, whatever each call would like.

Retries multiply the load just when the other side can bear least: three attempts on three layers are 27
calls. A budget shared by the calls to one peer caps that: each call pays in `retry_share` of a retry, each
retry takes one out.

Source: B. Beyer et al., Site Reliability Engineering, ch. 21, "Deciding to Retry"; Finagle, RetryBudget.
"""

import threading

from labcore.kernel import UsageError
from labcore.resilience.passage import check_not_negative, check_positive


class RetryBudget:
    """A bucket of retries, thread-safe; give one to every `Retry` of the same peer.

    In any time t with n calls at most `capacity + retry_share·n + min_retries_per_s·t` retries pass. It
    starts full.

    Args:
        retry_share: of a retry, paid in by each call; 0.2 is a fifth more load at worst.
        min_retries_per_s: paid in by time, so that a rare caller may retry, too.
        capacity: retries saved up at most.

    Raises: UsageError for a value out of range.
    """

    def __init__(
        self,
        *,
        retry_share: float = 0.2,
        min_retries_per_s: float = 1.0,
        capacity: float = 10.0,
    ) -> None:
        if not 0 <= retry_share <= 1:
            raise UsageError(f"retry_share is {retry_share!r}; give a share between 0 and 1")
        check_not_negative("min_retries_per_s", min_retries_per_s)
        check_positive("capacity", capacity)
        self.retry_share = retry_share
        self.min_retries_per_s = min_retries_per_s
        self.capacity = capacity
        self._tokens = capacity
        self._latest_s: float | None = None
        self._lock = threading.Lock()

    def deposit(self, now_s: float) -> None:
        """A call begins."""
        with self._lock:
            self._trickle(now_s)
            self._tokens = min(self.capacity, self._tokens + self.retry_share)

    def withdraw(self, now_s: float) -> bool:
        """Whether one more retry may be."""
        with self._lock:
            self._trickle(now_s)
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    @property
    def balance(self) -> float:
        """Retries left, as of the last call."""
        return self._tokens

    def _trickle(self, now_s: float) -> None:
        if self._latest_s is not None and now_s > self._latest_s:
            paid = (now_s - self._latest_s) * self.min_retries_per_s
            self._tokens = min(self.capacity, self._tokens + paid)
        self._latest_s = max(now_s, self._latest_s or now_s)
