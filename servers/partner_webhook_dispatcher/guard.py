"""What stands between a delivery and its endpoint: circuit breaker, rate limit, bulkhead, one set a partner.

The order is Resilience4j's, CircuitBreaker(RateLimiter(Bulkhead(call))); the time limit is the HTTP client's, over
the whole exchange, and the retry is the database's, for it must outlive the process. A refusal is no attempt:
the delivery is put off until the policy says that it may come again.

Breakers, rates and places are those of one dispatcher: with several, a partner meets as many times the rate.
"""

from dataclasses import dataclass

from labcore.kernel import RefusedError
from labcore.lanes import Values
from labcore.resilience import (
    Bulkhead,
    BulkheadConfig,
    CircuitBreaker,
    CircuitBreakerConfig,
    Policies,
    RateLimiter,
    RateLimiterConfig,
    State,
)
from servers.partner_webhook_dispatcher.domain import Outcome, Partner

RATE_WAIT_S = 0.5  # longest wait for a start, in the partner's own place; a later one is put off


@dataclass(frozen=True, slots=True)
class Rules:
    """How partners are guarded, and when an endpoint is given up. Seconds, calls, percent."""

    bulkheads: bool = True
    breaker: bool = True
    breaker_window: int = 20
    breaker_failure_percent: float = 50.0
    breaker_wait_s: float = 2.0
    breaker_trial_calls: int = 2
    disable_after_failures: int = 20
    disable_after_s: float = 60.0
    probe_s: float = 10.0
    give_up_s: float = 3 * 86_400.0


def rules_of(values: Values) -> Rules:
    """The rules that a scenario's parameters describe."""
    return Rules(
        bulkheads=bool(values["bulkheads"]),
        breaker=bool(values["breaker"]),
        breaker_window=int(values["breaker_window"]),
        breaker_failure_percent=float(values["breaker_failure_percent"]),
        breaker_wait_s=float(values["breaker_wait_ms"]) / 1e3,
        breaker_trial_calls=int(values["breaker_trial_calls"]),
        disable_after_failures=int(values["disable_after_failures"]),
        disable_after_s=float(values["disable_after_s"]),
        probe_s=float(values["probe_s"]),
        give_up_s=float(values["give_up_s"]),
    )


def policies_of(partner: Partner, rules: Rules) -> Policies:
    """The policies around each attempt at that partner.

    Raises: UsageError for numbers that contradict each other.
    """
    return Policies(
        circuit_breaker=_breaker(partner, rules) if rules.breaker else None,
        rate_limiter=_rate_limiter(partner) if partner.rate_per_s else None,
        bulkhead=_bulkhead(partner) if rules.bulkheads else None,
    )


def places_of(policies: Policies, now_s: float) -> float:
    """How many attempts the breaker would let begin at that moment of the monotonic clock."""
    breaker = policies.circuit_breaker
    if breaker is None:
        return float("inf")
    state = breaker.look(now_s)
    if state is State.HALF_OPEN:
        return breaker.config.permitted_number_of_calls_in_half_open_state
    return 0 if state is State.OPEN else float("inf")


def _breaker(partner: Partner, rules: Rules) -> CircuitBreaker:
    config = CircuitBreakerConfig(
        failure_rate_threshold=rules.breaker_failure_percent,
        sliding_window_size=rules.breaker_window,
        minimum_number_of_calls=rules.breaker_window,
        wait_duration_in_open_state_s=rules.breaker_wait_s,
        permitted_number_of_calls_in_half_open_state=rules.breaker_trial_calls,
        automatic_transition_from_open_to_half_open_enabled=True,  # a claim looks before it calls
        record_result=_blames_endpoint,
        ignore_exceptions=(RefusedError,),  # ours: it says nothing of the endpoint
    )
    return CircuitBreaker(config, name=partner.id)


def _blames_endpoint(result: object) -> bool:
    return isinstance(result, Outcome) and result.blames_endpoint


def _rate_limiter(partner: Partner) -> RateLimiter:
    config = RateLimiterConfig(
        limit_for_period=1,
        limit_refresh_period_s=1 / partner.rate_per_s,
        timeout_duration_s=RATE_WAIT_S,
    )
    return RateLimiter(config, name=partner.id)


def _bulkhead(partner: Partner) -> Bulkhead:
    return Bulkhead(BulkheadConfig(max_concurrent_calls=partner.places), name=partner.id)
