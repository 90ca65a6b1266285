"""The oracle: what Resilience4j documents, one test a row, each on tasks, threads and streams.

Where labcore departs on purpose, the docstring says so.
"""

import asyncio
from dataclasses import replace

import anyio
import pytest

from labcore.reactive.testing import VirtualTime
from labcore.resilience import (
    Bulkhead,
    BulkheadConfig,
    BulkheadFullError,
    CallNotPermittedError,
    CircuitBreaker,
    CircuitBreakerConfig,
    Fallback,
    MaxRetriesExceededError,
    Policies,
    RateLimiter,
    RateLimiterConfig,
    RequestNotPermittedError,
    Retry,
    RetryBudget,
    RetryConfig,
    SlidingWindowType,
    State,
    TimeLimiter,
    TimeLimiterConfig,
    TimeLimitExceededError,
)

from .conftest import Calls, Face, Heard, at_rest, outcome, raises, returns

SMALL = CircuitBreakerConfig(
    sliding_window_size=4,
    minimum_number_of_calls=4,
    wait_duration_in_open_state_s=10.0,
    permitted_number_of_calls_in_half_open_state=2,
)


async def opened(call: Face, config: CircuitBreakerConfig = SMALL) -> CircuitBreaker:
    """A breaker that failing calls have opened."""
    breaker = CircuitBreaker(config)
    for _ in range(config.minimum_number_of_calls):
        await outcome(call, breaker, raises())
    assert state_of(breaker) is State.OPEN
    return breaker


def state_of(breaker: CircuitBreaker) -> State:
    """As a call, so that the type checker does not think it fixed."""
    return breaker.state


async def half_open(call: Face, config: CircuitBreakerConfig = SMALL) -> CircuitBreaker:
    """A breaker with one trial call under its belt: a success."""
    breaker = await opened(call, config)
    await VirtualTime.sleep(10)
    await outcome(call, breaker, returns())
    assert state_of(breaker) is State.HALF_OPEN
    return breaker


# Circuit breaker: closed


async def test_rates_are_undefined_and_nothing_opens_below_the_minimum_number_of_calls(call: Face):
    breaker = CircuitBreaker()
    for _ in range(99):
        await outcome(call, breaker, raises())
    assert state_of(breaker) is State.CLOSED
    assert breaker.metrics().failure_rate == -1.0
    await outcome(call, breaker, raises())
    assert state_of(breaker) is State.OPEN


@pytest.mark.parametrize(("failures", "state"), [(1, State.CLOSED), (2, State.OPEN)])
async def test_a_failure_rate_at_the_threshold_opens(call: Face, failures: int, state: State):
    breaker = CircuitBreaker(SMALL)
    for number in range(4):
        await outcome(call, breaker, raises() if number < failures else returns())
    assert state_of(breaker) is state


@pytest.mark.parametrize(("takes_s", "state"), [(1.0, State.CLOSED), (1.5, State.OPEN)])
async def test_only_calls_longer_than_the_threshold_are_slow(
    call: Face, takes_s: float, state: State
):
    breaker = CircuitBreaker(replace(SMALL, slow_call_duration_threshold_s=1.0))
    for _ in range(4):
        await outcome(call, breaker, returns(takes_s=takes_s))
    assert state_of(breaker) is state


async def test_a_slow_call_rate_at_the_threshold_opens(call: Face):
    breaker = CircuitBreaker(
        replace(SMALL, slow_call_duration_threshold_s=1.0, slow_call_rate_threshold=50.0)
    )
    for takes_s in (0.0, 2.0, 0.0):
        await outcome(call, breaker, returns(takes_s=takes_s))
    assert state_of(breaker) is State.CLOSED
    await outcome(call, breaker, returns(takes_s=2.0))
    assert state_of(breaker) is State.OPEN


async def test_the_minimum_is_capped_to_the_size_of_a_count_window(call: Face):
    breaker = CircuitBreaker(replace(SMALL, minimum_number_of_calls=100))
    for _ in range(4):
        await outcome(call, breaker, raises())
    assert state_of(breaker) is State.OPEN


async def test_the_count_window_forgets_the_oldest_call(call: Face):
    breaker = CircuitBreaker(replace(SMALL, failure_rate_threshold=75.0))
    for work in (raises(), raises(), returns(), returns(), returns(), raises(), raises()):
        await outcome(call, breaker, work)
    assert breaker.metrics().failure_rate == 50.0
    await outcome(call, breaker, raises())
    assert state_of(breaker) is State.OPEN


async def test_the_time_window_forgets_whole_seconds(call: Face):
    breaker = CircuitBreaker(
        replace(
            SMALL,
            sliding_window_type=SlidingWindowType.TIME_BASED,
            sliding_window_size=3,
            minimum_number_of_calls=3,
        )
    )
    await VirtualTime.sleep(0.9)
    await outcome(call, breaker, raises())
    await outcome(call, breaker, raises())
    await VirtualTime.sleep(2.0)
    assert breaker.metrics(anyio.current_time()).failed_calls == 2
    await VirtualTime.sleep(0.2)
    assert breaker.metrics(anyio.current_time()).failed_calls == 0
    await outcome(call, breaker, raises())
    assert state_of(breaker) is State.CLOSED


async def test_an_error_that_is_not_recorded_is_a_success(call: Face):
    breaker = CircuitBreaker(replace(SMALL, record_exceptions=(OSError,)))
    await outcome(call, breaker, raises(ValueError("bad input")))
    metrics = breaker.metrics()
    assert (metrics.buffered_calls, metrics.failed_calls) == (1, 0)


async def test_an_ignored_error_counts_neither_way_and_passes_through(call: Face):
    breaker = CircuitBreaker(replace(SMALL, ignore_exceptions=(ValueError,)))
    assert isinstance(await outcome(call, breaker, raises(ValueError("bad"))), ValueError)
    assert breaker.metrics().buffered_calls == 0


async def test_a_recorded_result_is_a_failure_and_still_the_answer(call: Face):
    breaker = CircuitBreaker(replace(SMALL, record_result=lambda value: value == 503))
    assert await call(breaker, returns(503)) == 503
    assert breaker.metrics().failed_calls == 1


# Circuit breaker: open


async def test_an_open_breaker_refuses_and_says_how_long_still(call: Face):
    breaker = await opened(call)
    await VirtualTime.sleep(4)
    work = returns()
    refused = await outcome(call, breaker, work)
    assert isinstance(refused, CallNotPermittedError)
    assert refused.retry_after_s == 6.0
    assert work.began_s == []
    assert breaker.metrics().not_permitted_calls == 1


async def test_it_is_half_open_with_the_first_call_after_the_wait_and_not_before(call: Face):
    breaker = await opened(call)
    await VirtualTime.sleep(11)
    assert breaker.look(anyio.current_time()) is State.OPEN
    await outcome(call, breaker, returns())
    assert state_of(breaker) is State.HALF_OPEN


async def test_an_automatic_transition_needs_no_call(call: Face):
    """Without a timer: seen at the next look, and dated to the moment it was due."""
    config = replace(SMALL, automatic_transition_from_open_to_half_open_enabled=True)
    breaker = await opened(call, config)
    heard = Heard()
    breaker.on_event(heard.append)
    due_s = anyio.current_time() + 10
    await VirtualTime.sleep(15)
    assert breaker.look(anyio.current_time()) is State.HALF_OPEN
    assert [(event.change, event.now_s) for event in heard] == [(("OPEN", "HALF_OPEN"), due_s)]


async def test_the_wait_may_grow_with_each_attempt_in_a_row(call: Face):
    breaker = await opened(
        call, replace(SMALL, wait_interval_in_open_state=lambda attempt: 10.0 * attempt)
    )
    await VirtualTime.sleep(10)
    await outcome(call, breaker, raises())
    await outcome(call, breaker, raises())
    assert state_of(breaker) is State.OPEN
    refused = await outcome(call, breaker, returns())
    assert isinstance(refused, CallNotPermittedError)
    assert refused.retry_after_s == 20.0


# Circuit breaker: half-open


async def test_half_open_admits_the_permitted_number_and_refuses_the_rest(call: Face):
    breaker = await opened(call)
    await VirtualTime.sleep(10)
    calls = Calls(call, breaker)
    calls.start(*(returns("answer", takes_s=1.0) for _ in range(20)))
    results = await calls.results()
    assert results.count("answer") == 2
    assert sum(isinstance(one, CallNotPermittedError) for one in results) == 18


async def test_half_open_closes_when_the_trial_calls_stay_below_the_thresholds(call: Face):
    breaker = await half_open(call)
    await outcome(call, breaker, returns())
    assert state_of(breaker) is State.CLOSED
    assert breaker.metrics().buffered_calls == 0


async def test_half_open_opens_again_when_a_threshold_is_reached(call: Face):
    breaker = await half_open(call)
    await outcome(call, breaker, raises())
    assert state_of(breaker) is State.OPEN


async def test_the_verdict_falls_once_the_minimum_is_reached(call: Face):
    config = replace(SMALL, minimum_number_of_calls=1, sliding_window_size=1)
    breaker = await opened(call, config)
    await VirtualTime.sleep(10)
    await outcome(call, breaker, returns())
    assert state_of(breaker) is State.CLOSED


async def test_an_ignored_error_gives_its_trial_call_back(call: Face):
    breaker = await half_open(call, replace(SMALL, ignore_exceptions=(ValueError,)))
    for _ in range(5):
        assert isinstance(await outcome(call, breaker, raises(ValueError("bad"))), ValueError)
    await outcome(call, breaker, returns())
    assert state_of(breaker) is State.CLOSED


async def test_a_half_open_that_takes_too_long_opens_again(call: Face):
    breaker = await half_open(call, replace(SMALL, max_wait_duration_in_half_open_state_s=5.0))
    await VirtualTime.sleep(5)
    refused = await outcome(call, breaker, returns())
    assert isinstance(refused, CallNotPermittedError)
    assert refused.retry_after_s == 10.0


async def test_a_call_of_another_state_counts_nowhere(call: Face):
    """Resilience4j counts it as a trial call; each of ours belongs to the state that admitted it."""
    breaker = CircuitBreaker(SMALL)
    calls = Calls(call, breaker)
    calls.start(raises(takes_s=12.0))
    await at_rest()
    for _ in range(4):
        await outcome(call, breaker, raises())
    await VirtualTime.sleep(11)
    await outcome(call, breaker, returns())
    assert state_of(breaker) is State.HALF_OPEN
    await calls.results()
    metrics = breaker.metrics()
    assert (metrics.buffered_calls, metrics.failed_calls, metrics.stale_outcomes) == (1, 0, 1)


# Circuit breaker: by hand


async def test_disabled_admits_everything_and_remembers_nothing(call: Face):
    breaker = CircuitBreaker(replace(SMALL, initial_state=State.DISABLED))
    for _ in range(10):
        await outcome(call, breaker, raises())
    assert (breaker.state, breaker.metrics().buffered_calls) == (State.DISABLED, 0)


async def test_forced_open_refuses_for_ever(call: Face):
    breaker = CircuitBreaker(SMALL)
    breaker.transition_to(State.FORCED_OPEN, now_s=anyio.current_time())
    await VirtualTime.sleep(1_000_000)
    refused = await outcome(call, breaker, returns())
    assert isinstance(refused, CallNotPermittedError)
    assert refused.retry_after_s is None


async def test_metrics_only_counts_and_never_opens(call: Face):
    breaker = CircuitBreaker(replace(SMALL, initial_state=State.METRICS_ONLY))
    for _ in range(10):
        await outcome(call, breaker, raises())
    assert (breaker.state, breaker.metrics().failure_rate) == (State.METRICS_ONLY, 100.0)


# Bulkhead


async def test_a_full_bulkhead_refuses_at_once_by_default(call: Face):
    bulkhead = Bulkhead()
    calls = Calls(call, bulkhead)
    calls.start(*(returns(takes_s=1.0) for _ in range(26)))
    results = await calls.results()
    assert [type(one) for one in results] == [type(None)] * 25 + [BulkheadFullError]
    assert calls.ended_s[25] == calls.ended_s[0] - 1.0


async def test_a_call_waits_for_a_place_at_most_so_long(call: Face):
    bulkhead = Bulkhead(BulkheadConfig(1, max_wait_duration_s=2.0))
    began_s = anyio.current_time()
    calls = Calls(call, bulkhead)
    calls.start(returns(takes_s=1.5), returns(takes_s=1.0), returns())
    results = await calls.results()
    assert isinstance(results[2], BulkheadFullError)
    ended_s = [calls.ended_s[number] - began_s for number in range(3)]
    assert ended_s == pytest.approx([1.5, 2.5, 2.0])


async def test_places_go_to_those_who_wait_in_order(call: Face):
    bulkhead = Bulkhead(BulkheadConfig(1, max_wait_duration_s=100.0))
    works = [returns(number, takes_s=1.0) for number in range(4)]
    began_s = anyio.current_time()
    calls = Calls(call, bulkhead)
    calls.start(*works)
    await at_rest()
    assert bulkhead.gauges()["bulkhead_waiting"] == 3
    await calls.results()
    assert [work.began_s[0] - began_s for work in works] == pytest.approx([0, 1, 2, 3])


async def test_a_bounded_queue_refuses_when_it_is_full_and_else_lets_wait_for_ever(call: Face):
    bulkhead = Bulkhead(BulkheadConfig.queued(1, queue_capacity=1))
    calls = Calls(call, bulkhead)
    calls.start(returns(1, takes_s=10_000.0), returns(2), returns(3))
    results = await calls.results()
    assert results[:2] == [1, 2]
    assert isinstance(results[2], BulkheadFullError)


# Rate limiter


async def test_a_call_beyond_the_rate_waits_for_its_start_in_order(call: Face):
    limiter = RateLimiter(RateLimiterConfig(2, 1.0))
    works = [returns() for _ in range(6)]
    began_s = anyio.current_time()
    calls = Calls(call, limiter)
    calls.start(*works)
    await calls.results()
    starts_s = [work.began_s[0] - began_s for work in works]
    assert starts_s == pytest.approx([0, 0, 1, 1, 2, 2])


async def test_a_call_whose_start_is_too_far_away_is_refused_at_once(call: Face):
    limiter = RateLimiter(RateLimiterConfig(1, 10.0))
    await call(limiter, returns())
    await VirtualTime.sleep(4)
    asked_s = anyio.current_time()
    refused = await outcome(call, limiter, returns())
    assert isinstance(refused, RequestNotPermittedError)
    assert refused.retry_after_s == pytest.approx(6.0)
    assert anyio.current_time() == asked_s


async def test_no_burst_of_twice_the_rate_around_the_end_of_a_period(call: Face):
    """Resilience4j's fixed cycles let 2 N pass within an instant there; a sliding period does not."""
    limiter = RateLimiter(RateLimiterConfig(2, 1.0, timeout_duration_s=0.0))
    await VirtualTime.sleep(0.9)
    await call(limiter, returns())
    await call(limiter, returns())
    await VirtualTime.sleep(0.2)
    assert isinstance(await outcome(call, limiter, returns()), RequestNotPermittedError)


# Time limiter


async def test_a_late_call_is_cancelled_and_cleaned_up_first(call: Face):
    began_s = anyio.current_time()
    work = returns(takes_s=5.0)
    late = await outcome(call, TimeLimiter(), work)
    assert isinstance(late, TimeLimitExceededError)
    assert anyio.current_time() - began_s == pytest.approx(1.0)
    await at_rest()
    assert work.unwound == 1


async def test_a_timeout_of_the_calls_own_passes_through(call: Face):
    raised = await outcome(call, TimeLimiter(), raises(TimeoutError("its own")))
    assert type(raised) is TimeoutError


async def test_a_call_in_time_gives_its_value(call: Face):
    assert await call(TimeLimiter(TimeLimiterConfig(2.0)), returns(7, takes_s=1.5)) == 7


# Retry


async def test_three_attempts_half_a_second_apart_then_the_last_error(call: Face):
    began_s = anyio.current_time()
    work = raises(OSError("1"), OSError("2"), OSError("3"))
    assert str(await outcome(call, Retry(), work)) == "3"
    assert [at_s - began_s for at_s in work.began_s] == pytest.approx([0, 0.5, 1.0])


async def test_the_first_success_ends_the_retries(call: Face):
    retry = Retry()
    assert await call(retry, returns(OSError("once"), "answer")) == "answer"
    metrics = retry.metrics()
    assert (metrics.successful_with_retry, metrics.retries) == (1, 1)


async def test_a_result_may_be_one_to_retry_and_the_last_is_the_answer(call: Face):
    retry = Retry(RetryConfig(retry_on_result=lambda value: value == 503))
    work = returns(503)
    assert await call(retry, work) == 503
    assert len(work.began_s) == 3


async def test_the_last_result_to_retry_may_be_refused(call: Face):
    config = RetryConfig(retry_on_result=lambda value: value == 503, fail_after_max_attempts=True)
    retry = Retry(config)
    work = returns(503)
    assert isinstance(await outcome(call, retry, work), MaxRetriesExceededError)
    assert len(work.began_s) == 3
    assert retry.metrics().failed_with_retry == 1


async def test_an_ignored_error_is_not_retried(call: Face):
    work = raises(ValueError("bad"))
    await outcome(call, Retry(RetryConfig(ignore_exceptions=(ValueError,))), work)
    assert len(work.began_s) == 1


async def test_a_breakers_refusal_is_not_retried(call: Face):
    """Resilience4j retries every error; ours knocks on no closed door unless it is told to."""
    work = raises(CallNotPermittedError("open", retry_after_s=5.0))
    await outcome(call, Retry(), work)
    assert len(work.began_s) == 1


async def test_told_to_it_retries_a_refusal_when_the_breakers_wait_is_over(call: Face):
    began_s = anyio.current_time()
    work = returns(CallNotPermittedError("open", retry_after_s=5.0), "answer")
    assert await call(Retry(RetryConfig(ignore_exceptions=())), work) == "answer"
    assert work.began_s[1] - began_s == pytest.approx(5.0)


async def test_a_budget_caps_the_share_of_retries(call: Face):
    budget = RetryBudget(retry_share=0.5, min_retries_per_s=0.0, capacity=2.0)
    retry = Retry(RetryConfig(wait_duration_s=0.0), budget=budget)
    works = [raises() for _ in range(20)]
    for work in works:
        await outcome(call, retry, work)
    assert sum(len(work.began_s) - 1 for work in works) == 11  # 2 saved, 19 halves paid in: 11.5
    assert retry.metrics().retries == 11


# Order of decorators


async def test_every_attempt_is_counted_by_the_breaker(call: Face):
    breaker = CircuitBreaker(SMALL)
    await outcome(call, Policies(retry=Retry(), circuit_breaker=breaker), raises())
    assert breaker.metrics().failed_calls == 3


async def test_the_breakers_refusal_ends_the_retries(call: Face):
    breaker = CircuitBreaker(replace(SMALL, minimum_number_of_calls=2))
    policies = Policies(retry=Retry(RetryConfig(max_attempts=5)), circuit_breaker=breaker)
    work = raises()
    assert isinstance(await outcome(call, policies, work), CallNotPermittedError)
    assert len(work.began_s) == 2


async def test_waiting_for_the_rate_is_time_of_the_call_for_the_breaker_alone(call: Face):
    breaker = CircuitBreaker(replace(SMALL, slow_call_duration_threshold_s=1.5))
    policies = Policies(
        circuit_breaker=breaker,
        rate_limiter=RateLimiter(RateLimiterConfig(1, 2.0)),
        time_limiter=TimeLimiter(),
    )
    assert [await call(policies, returns(n)) for n in range(2)] == [0, 1]
    assert breaker.metrics().slow_calls == 1


async def test_waiting_for_a_place_counts_against_the_time_limit(call: Face):
    policies = Policies(
        time_limiter=TimeLimiter(), bulkhead=Bulkhead(BulkheadConfig(1, max_wait_duration_s=9.0))
    )
    calls = Calls(call, policies)
    calls.start(returns(takes_s=0.9), returns(takes_s=0.2))
    results = await calls.results()
    assert results[0] is None
    assert isinstance(results[1], TimeLimitExceededError)
    await at_rest()
    assert policies.gauges()["bulkhead_in_use"] == 0


async def test_the_fallback_is_outside_of_everything(call: Face):
    policies = Policies(
        fallback=Fallback(lambda error: f"instead of {error}", only=OSError), retry=Retry()
    )
    work = raises(OSError("down"))
    assert await call(policies, work) == "instead of down"
    assert len(work.began_s) == 3
    assert isinstance(await outcome(call, policies, raises(ValueError("bad"))), ValueError)


async def test_events_tell_the_order(call: Face):
    policies = Policies(
        retry=Retry(RetryConfig(max_attempts=2)),
        circuit_breaker=CircuitBreaker(),
        rate_limiter=RateLimiter(),
        bulkhead=Bulkhead(),
    )
    heard = Heard()
    policies.on_event(heard.append)
    await outcome(call, policies, raises())
    attempt = [
        *(("breaker", "call_permitted"), ("rate limiter", "call_permitted")),
        *(("bulkhead", "call_permitted"), ("bulkhead", "finished"), ("breaker", "error")),
    ]
    assert [(event.policy, event.kind.value) for event in heard] == [
        *attempt,
        ("retry", "retry"),
        *attempt,
        ("retry", "retries_exhausted"),
    ]


# Cancellation


async def cancelled_after(calls: Calls, seconds: float) -> None:
    """Cancel the last call so much later, and wait for its end."""
    await VirtualTime.sleep(seconds)
    calls.tasks[-1].cancel()
    await asyncio.wait([calls.tasks[-1]])
    assert calls.tasks[-1].cancelled()


async def test_a_cancelled_call_counts_neither_way_and_gives_its_trial_back(call: Face):
    breaker = await half_open(call)
    for _ in range(5):
        calls = Calls(call, breaker)
        calls.start(returns(takes_s=9.0))
        await cancelled_after(calls, 1.0)
    assert (breaker.state, breaker.metrics().buffered_calls) == (State.HALF_OPEN, 1)
    assert await call(breaker, returns("answer")) == "answer"
    assert state_of(breaker) is State.CLOSED


async def test_a_cancelled_call_frees_its_place(call: Face):
    bulkhead = Bulkhead(BulkheadConfig(1))
    calls = Calls(call, bulkhead)
    calls.start(returns(takes_s=9.0))
    await cancelled_after(calls, 1.0)
    assert await call(bulkhead, returns("answer")) == "answer"


async def test_a_cancelled_wait_for_a_place_leaves_the_queue(call: Face):
    bulkhead = Bulkhead(BulkheadConfig(1, max_wait_duration_s=100.0))
    calls = Calls(call, bulkhead)
    calls.start(returns(takes_s=9.0), returns())
    await cancelled_after(calls, 1.0)
    assert bulkhead.metrics().waiting == 0
    await calls.tasks[0]
    assert bulkhead.metrics().in_use == 0


async def test_a_cancelled_wait_for_the_rate_gives_its_start_back(call: Face):
    limiter = RateLimiter(RateLimiterConfig(1, 4.0))
    await call(limiter, returns())
    began_s = anyio.current_time()
    calls = Calls(call, limiter)
    calls.start(returns())
    await cancelled_after(calls, 1.0)
    work = returns()
    await call(limiter, work)
    assert work.began_s[0] - began_s == pytest.approx(4.0)
    assert limiter.gauges()["limiter_waiting"] == 0


async def test_a_cancelled_wait_between_attempts_ends_at_once(call: Face):
    retry = Retry(RetryConfig(wait_duration_s=50.0))
    calls = Calls(call, retry)
    work = raises()
    calls.start(work)
    await cancelled_after(calls, 1.0)
    await VirtualTime.sleep(100.0)
    assert len(work.began_s) == 1


async def test_a_cancelled_call_within_a_time_limit_is_cleaned_up(call: Face):
    limiter = TimeLimiter(TimeLimiterConfig(50.0))
    calls = Calls(call, limiter)
    work = returns(takes_s=9.0)
    calls.start(work)
    await cancelled_after(calls, 1.0)
    assert work.unwound == 1
    assert limiter.metrics().timeouts == 0
