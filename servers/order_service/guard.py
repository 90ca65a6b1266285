"""What stands between an order and the payment adapter: retry, breaker, rate limit, bulkhead.

One guard a server: its breaker judges the adapter by all of its calls. The order is Resilience4j's,
Retry(CircuitBreaker(RateLimiter(Bulkhead(call)))); the time limit is the innermost, each attempt's own,
and every lane sets it in its own style: a platform thread cannot be interrupted, so its limit lies in
its sockets.

A void does not pass through, for its success says nothing of payments, and would close a breaker that
is trying whether they work. But while the breaker is open no void is sent either: an adapter that is
down is left in peace, and what is due waits for reconciliation.
"""

from dataclasses import dataclass, field

from labcore.kernel import RefusedError
from labcore.lanes import Values
from labcore.resilience import (
    Bulkhead,
    BulkheadConfig,
    CircuitBreaker,
    CircuitBreakerConfig,
    Jitter,
    Policies,
    RateLimiter,
    RateLimiterConfig,
    Retry,
    RetryBudget,
    RetryConfig,
    State,
)
from servers.order_service.payments import PaymentUnknownError, Policy, TransientPaymentError

NAME = "payments"
BUDGET_RETRIES_PER_S = 1.0  # a quiet service may still retry
BUDGET_CAPACITY = 100.0
SHORTEST_S = 1e-6  # the policies want a longest wait above 0, where a scenario may say 0


@dataclass(frozen=True, slots=True)
class Guard:
    """The policies around an authorisation with all its attempts, and what they know of the adapter."""

    paying: Policies = field(default_factory=Policies)

    def may_void(self, now_s: float) -> bool:
        """Whether the adapter may be bothered with a void at that moment of the monotonic clock."""
        breaker = self.paying.circuit_breaker
        return breaker is None or breaker.look(now_s) is not State.OPEN


NO_VERDICT = (RefusedError, TransientPaymentError)
"""What `Guard.paying` raises when no attempt brought a verdict: refused, used up, or outside the contract."""


def guard_of(values: Values, policy: Policy) -> Guard:
    """The guard that a scenario's parameters describe.

    Raises: UsageError for numbers that contradict each other.
    """
    bulkhead, rate_per_s = int(values["payment_bulkhead"]), float(values["payment_rate_per_s"])
    return Guard(
        Policies(
            retry=_retry(policy, budget_share=float(values["retry_budget_share"])),
            circuit_breaker=_breaker(values) if values["breaker"] else None,
            rate_limiter=_rate_limiter(rate_per_s) if rate_per_s else None,
            bulkhead=_bulkhead(bulkhead) if bulkhead else None,
        )
    )


def _retry(policy: Policy, *, budget_share: float) -> Retry:
    longest_s = max(policy.backoff_max_s, SHORTEST_S)
    config = RetryConfig(
        max_attempts=policy.retries + 1,
        wait_duration_s=policy.backoff_min_s,
        multiplier=2.0,
        max_wait_duration_s=longest_s,
        jitter=Jitter.PROPORTIONAL,
        randomized_wait_factor=policy.jitter_share,
        retry_exceptions=(TransientPaymentError,),
        max_retry_after_s=longest_s,  # who asks for more patience gets no second attempt
    )
    budget = None
    if budget_share < 1:
        budget = RetryBudget(
            retry_share=budget_share,
            min_retries_per_s=BUDGET_RETRIES_PER_S,
            capacity=BUDGET_CAPACITY,
        )
    return Retry(config, budget=budget, name=NAME)


def _breaker(values: Values) -> CircuitBreaker:
    config = CircuitBreakerConfig(
        failure_rate_threshold=float(values["breaker_failure_percent"]),
        slow_call_duration_threshold_s=float(values["breaker_slow_ms"]) / 1e3,
        slow_call_rate_threshold=float(values["breaker_slow_percent"]),
        sliding_window_size=int(values["breaker_window"]),
        minimum_number_of_calls=int(values["breaker_minimum_calls"]),
        wait_duration_in_open_state_s=float(values["breaker_wait_ms"]) / 1e3,
        permitted_number_of_calls_in_half_open_state=int(values["breaker_trial_calls"]),
        automatic_transition_from_open_to_half_open_enabled=True,  # voids look, and do not call
        # A refusal is ours, and says nothing of the adapter; an answer outside the contract does.
        ignore_exception=_is_our_refusal,
    )
    return CircuitBreaker(config, name=NAME)


def _is_our_refusal(error: Exception) -> bool:
    return isinstance(error, RefusedError) and not isinstance(error, PaymentUnknownError)


def _rate_limiter(rate_per_s: float) -> RateLimiter:
    config = RateLimiterConfig(
        limit_for_period=1, limit_refresh_period_s=1 / rate_per_s, timeout_duration_s=1.0
    )
    return RateLimiter(config, name=NAME)


def _bulkhead(places: int) -> Bulkhead:
    return Bulkhead(BulkheadConfig(max_concurrent_calls=places), name=NAME)
