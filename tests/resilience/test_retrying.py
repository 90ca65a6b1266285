"""Retry on streams of many values, and counted under threads; the rest is in the table."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from labcore.reactive import Flux
from labcore.resilience import Retry, RetryBudget, RetryConfig

from .conftest import Face, PlatformWorld, outcome, raises, returns

AT_ONCE = RetryConfig(wait_duration_s=0.0)


async def test_a_flux_begins_again_from_its_start():
    seen: list[int] = []
    endings = iter([OSError("once"), None])

    def stream() -> Flux[int]:
        error = next(endings)
        return Flux.just(1, 2) if error is None else Flux.just(1).concat_with(Flux.error(error))

    retried = Retry().operator()(Flux.defer(stream)).do_on_next(seen.append)
    assert await retried.collect_list() == [1, 1, 2]


async def test_a_value_to_retry_begins_a_flux_again():
    attempts = iter([[1, -1, 2], [1, 2]])
    retry = Retry(replace(AT_ONCE, retry_on_result=lambda value: value == -1))
    values = await retry.operator()(
        Flux.defer(lambda: Flux.from_iterable(next(attempts)))
    ).collect_list()
    assert values == [1, 1, 2]


async def test_each_subscription_is_a_call_of_its_own():
    retry = Retry(AT_ONCE)
    broken = retry.operator()(Flux.error(OSError("down")))
    for _ in range(2):
        with pytest.raises(OSError, match="down"):
            await broken.collect_list()
    assert (retry.metrics().retries, retry.metrics().failed_with_retry) == (4, 2)


async def test_calls_are_counted_by_how_they_ended(call: Face):
    retry = Retry(replace(AT_ONCE, ignore_exceptions=(ValueError,)))
    for work in (returns(), returns(OSError(), None), raises(ValueError()), raises()):
        await outcome(call, retry, work)
    metrics = retry.metrics()
    assert (metrics.successful_without_retry, metrics.successful_with_retry) == (1, 1)
    assert (metrics.failed_without_retry, metrics.failed_with_retry) == (1, 1)
    assert retry.gauges()["retries_total"] == 3


async def test_a_refusal_of_the_budget_is_counted(call: Face):
    budget = RetryBudget(retry_share=0.0, min_retries_per_s=0.0, capacity=1.0)
    retry = Retry(AT_ONCE, budget=budget)
    await outcome(call, retry, raises())
    assert retry.gauges() == {"retries_total": 1, "retry_budget_refused_total": 1}
    assert budget.balance == 0.0


def test_a_budget_shared_by_threads_gives_no_retry_twice(world: PlatformWorld):
    budget = RetryBudget(retry_share=0.0, min_retries_per_s=0.0, capacity=100.0)
    retries = [Retry(AT_ONCE, budget=budget) for _ in range(8)]

    def fail() -> None:
        raise OSError("down")

    def calls(retry: Retry) -> None:
        for _ in range(50):
            with pytest.raises(OSError, match="down"):
                retry.call(fail, world)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(calls, retries))
    assert sum(retry.metrics().retries for retry in retries) == 100
