"""The retry budget: only a share of the calls may be retries, whatever each call would like.

Retries multiply the load just when the other side can bear least: three attempts on three layers are 27
calls. A budget shared by the calls to one peer caps that: each call pays in `retry_share` of a retry, each
retry takes one out.

Source: B. Beyer et al., Site Reliability Engineering, ch. 21, "Deciding to Retry"; Finagle, RetryBudget.
"""

from labcore.kernel import UsageError
from labcore.resilience.passage import check_not_negative, check_positive


class TokenBucket:
    """The rule. Not thread-safe: `RetryBudget` is.

    In any time t with n calls at most `capacity + retry_share·n + min_retries_per_s·t` retries pass. It
    starts full.

    Raises: UsageError for a value out of range.
    """

    def __init__(self, *, retry_share: float, min_retries_per_s: float, capacity: float) -> None:
        if not 0 <= retry_share <= 1:
            raise UsageError(f"retry_share is {retry_share!r}; give a share between 0 and 1")
        check_not_negative("min_retries_per_s", min_retries_per_s)
        check_positive("capacity", capacity)
        self.retry_share = retry_share
        self.min_retries_per_s = min_retries_per_s
        self.capacity = capacity
        self.tokens = capacity
        self._latest_s: float | None = None

    def deposit(self, now_s: float) -> None:
        """A call begins."""
        self._trickle(now_s)
        self.tokens = min(self.capacity, self.tokens + self.retry_share)

    def withdraw(self, now_s: float) -> bool:
        """Whether one more retry may be."""
        self._trickle(now_s)
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True

    def _trickle(self, now_s: float) -> None:
        passed_s = 0.0 if self._latest_s is None else max(0.0, now_s - self._latest_s)
        self._latest_s = now_s if self._latest_s is None else max(now_s, self._latest_s)
        self.tokens = min(self.capacity, self.tokens + passed_s * self.min_retries_per_s)
