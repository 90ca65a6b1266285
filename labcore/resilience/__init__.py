"""Floor 2: Resilience4j's patterns as pure rules, each with one face per calling style."""

from labcore.resilience.backoff import Backoff, Jitter, parse_retry_after, retry_after_of
from labcore.resilience.breaker import (
    TRANSITIONS,
    BreakerMachine,
    CircuitBreakerConfig,
    CircuitBreakerMetrics,
    SlidingWindowType,
    State,
    Trigger,
)
from labcore.resilience.bulkhead import BulkheadConfig, BulkheadMetrics
from labcore.resilience.errors import (
    BulkheadFullError,
    CallNotPermittedError,
    MaxRetriesExceededError,
    RequestNotPermittedError,
    TimeLimitExceededError,
)
from labcore.resilience.events import Event, EventKind, Listener
from labcore.resilience.fallback import Fallback
from labcore.resilience.gates import Bulkhead, CircuitBreaker, RateLimiter
from labcore.resilience.limiter import RateLimiterConfig, RateLimiterMetrics
from labcore.resilience.policies import Policies, Policy
from labcore.resilience.retry import RetryCall, RetryConfig, RetryMetrics
from labcore.resilience.retrying import Retry, RetryBudget
from labcore.resilience.stream import Operator
from labcore.resilience.time_limiter import TimeLimiter, TimeLimiterConfig, TimeLimiterMetrics
from labcore.resilience.waiting import Blocking

__all__ = [
    "TRANSITIONS",
    "Backoff",
    "Blocking",
    "BreakerMachine",
    "Bulkhead",
    "BulkheadConfig",
    "BulkheadFullError",
    "BulkheadMetrics",
    "CallNotPermittedError",
    "CircuitBreaker",
    "CircuitBreakerConfig",
    "CircuitBreakerMetrics",
    "Event",
    "EventKind",
    "Fallback",
    "Jitter",
    "Listener",
    "MaxRetriesExceededError",
    "Operator",
    "Policies",
    "Policy",
    "RateLimiter",
    "RateLimiterConfig",
    "RateLimiterMetrics",
    "RequestNotPermittedError",
    "Retry",
    "RetryBudget",
    "RetryCall",
    "RetryConfig",
    "RetryMetrics",
    "SlidingWindowType",
    "State",
    "TimeLimitExceededError",
    "TimeLimiter",
    "TimeLimiterConfig",
    "TimeLimiterMetrics",
    "Trigger",
    "parse_retry_after",
    "retry_after_of",
]
