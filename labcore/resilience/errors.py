"""What the policies say when they refuse; every class is a `RefusedError`.

    RefusedError
    ├── CallNotPermittedError     the circuit breaker is open, or has no trial call left
    ├── BulkheadFullError         no place came free within the wait
    ├── RequestNotPermittedError  the rate allows no start within the wait
    ├── TimeLimitExceededError    the call took longer than its limit
    └── MaxRetriesExceededError   the last attempt's result was still one to retry

`TimeLimitExceededError` is the one of `labcore.virtual`: a call is late in one way only, whoever notices.
"""

from labcore.kernel import RefusedError
from labcore.virtual import TimeLimitExceededError


class CallNotPermittedError(RefusedError):
    """The breaker refuses. Resilience4j: CallNotPermittedException.

    `retry_after_s` is the rest of the wait in the open state in seconds, 0 when trial calls are under
    way, None when no wait ends it (forced open).
    """

    def __init__(self, message: str, *, retry_after_s: float | None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class BulkheadFullError(RefusedError):
    """Every place is taken, and stayed so for the whole wait. Resilience4j: BulkheadFullException."""


class RequestNotPermittedError(RefusedError):
    """The rate is used up. Resilience4j: RequestNotPermitted.

    `retry_after_s` is how long the next start is away, in seconds.
    """

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class MaxRetriesExceededError(RefusedError):
    """The last attempt gave a result to retry. Resilience4j: MaxRetriesExceededException."""


__all__ = [
    "BulkheadFullError",
    "CallNotPermittedError",
    "MaxRetriesExceededError",
    "RequestNotPermittedError",
    "TimeLimitExceededError",
]
