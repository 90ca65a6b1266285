"""Composition: order, listeners and figures; what the order does is in the table."""

from labcore.reactive import Mono
from labcore.resilience import (
    Bulkhead,
    CircuitBreaker,
    Event,
    Fallback,
    Policies,
    RateLimiter,
    RateLimiterConfig,
    Retry,
    TimeLimiter,
)

from .conftest import Face, outcome, returns


def test_the_order_is_resilience4js_however_they_are_given():
    bulkhead, breaker = Bulkhead(), CircuitBreaker()
    retry, fallback = Retry(), Fallback(str)
    limiter, limit = RateLimiter(), TimeLimiter()
    policies = Policies(
        bulkhead=bulkhead,
        time_limiter=limit,
        rate_limiter=limiter,
        circuit_breaker=breaker,
        retry=retry,
        fallback=fallback,
    )
    assert policies.outermost_first == (fallback, retry, breaker, limiter, limit, bulkhead)


async def test_no_policies_let_everything_through(call: Face):
    assert await call(Policies(), returns("answer")) == "answer"
    assert Policies().gauges() == {"refused_total": 0}


async def test_figures_of_all_and_the_sum_of_refusals(call: Face):
    policies = Policies(
        circuit_breaker=CircuitBreaker(),
        rate_limiter=RateLimiter(RateLimiterConfig(1, 10.0, timeout_duration_s=0.0)),
        bulkhead=Bulkhead(),
    )
    for _ in range(3):
        await outcome(call, policies, returns())
    gauges = policies.gauges()
    assert gauges["limiter_refused_total"] == gauges["refused_total"] == 2
    assert gauges["breaker_state"] == gauges["bulkhead_in_use"] == gauges["bulkhead_waiting"] == 0


async def test_a_listener_of_all_is_let_go_at_once(call: Face):
    heard: list[Event] = []
    policies = Policies(circuit_breaker=CircuitBreaker(), bulkhead=Bulkhead())
    stop = policies.on_event(heard.append)
    await call(policies, returns())
    count = len(heard)
    stop()
    await call(policies, returns())
    assert len(heard) == count == 4


async def test_policies_nest():
    inner = Policies(circuit_breaker=CircuitBreaker(name="inner"))
    outer = Policies(bulkhead=Bulkhead())
    assert await outer.operator()(inner.operator()(Mono.just(1))) == 1
