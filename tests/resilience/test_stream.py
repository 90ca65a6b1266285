"""All policies of a call in one operator: its kind, its ends, its waits, and nothing left behind."""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from types import FunctionType, MethodType
from typing import Any

import anyio
import pytest

from labcore.kernel import LabError
from labcore.reactive import Flux, Mono, Scope
from labcore.reactive.testing import VirtualTime
from labcore.resilience import (
    Bulkhead,
    BulkheadConfig,
    CircuitBreaker,
    CircuitBreakerConfig,
    Event,
    Fallback,
    MaxRetriesExceededError,
    Policies,
    RateLimiter,
    RateLimiterConfig,
    Retry,
    RetryConfig,
    State,
    TimeLimiter,
    TimeLimiterConfig,
    TimeLimitExceededError,
)
from labcore.virtual import PlatformThreadExecutor

from .conftest import Work, returns


class PlantedError(Exception):
    """What a test raises."""


def boom(*_: object) -> Any:
    raise PlantedError("planted")


def all_five(**other: Any) -> Policies:
    """One of each, roomy enough that nobody waits, but for what is given."""
    given: dict[str, Any] = {
        "retry": Retry(RetryConfig(max_attempts=2, wait_duration_s=1.0)),
        "circuit_breaker": CircuitBreaker(),
        "rate_limiter": RateLimiter(RateLimiterConfig(1000, 1.0)),
        "time_limiter": TimeLimiter(TimeLimiterConfig(5.0)),
        "bulkhead": Bulkhead(BulkheadConfig(1)),
    }
    return Policies(**(given | other))


async def test_a_mono_stays_one_and_a_flux_too():
    guard = all_five().operator()
    assert isinstance(guard(Mono.just(1)), Mono)
    assert isinstance(guard(Flux.just(1, 2)), Flux)
    assert await guard(Flux.just(1, 2)).collect_list() == [1, 2]


async def test_it_begins_anew_with_each_subscription_and_not_before():
    policies = all_five()
    guarded = policies.operator()(Mono.just(1))
    assert policies.circuit_breaker is not None
    assert policies.circuit_breaker.metrics().buffered_calls == 0
    assert [await guarded, await guarded] == [1, 1]
    assert policies.circuit_breaker.metrics().buffered_calls == 2


async def test_a_bounded_reader_gets_what_it_asks_for_also_from_the_second_attempt():
    runs = iter([Flux.just(1, 2).concat_with(Flux.error(OSError())), Flux.just(3, 4, 5)])
    guarded = all_five().operator()(Flux.defer(lambda: next(runs)))
    assert await guarded.limit_rate(1).take(4).collect_list() == [1, 2, 3, 4]


async def test_cancelled_in_any_place_it_gives_everything_back():
    """Between two attempts, running, waiting for a place, and waiting for the rate."""
    bulkhead = Bulkhead(BulkheadConfig(1, max_wait_duration_s=100.0))
    limiter = RateLimiter(RateLimiterConfig(1, 10.0, timeout_duration_s=100.0))
    guard = all_five(
        bulkhead=bulkhead,
        rate_limiter=limiter,
        time_limiter=TimeLimiter(TimeLimiterConfig(50.0)),
        retry=Retry(RetryConfig(wait_duration_s=60.0)),
    ).operator()
    sources: list[Mono[Any]] = [Mono.error(OSError()), Mono.never(), Mono.never(), Mono.never()]
    tasks = [asyncio.ensure_future(awaited(guard(source))) for source in sources]
    await VirtualTime.sleep(21.0)
    assert (bulkhead.metrics().in_use, bulkhead.metrics().waiting) == (1, 1)
    assert limiter.metrics(21.0).waiting == 1
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert (bulkhead.metrics().in_use, bulkhead.metrics().waiting) == (0, 0)
    assert limiter.metrics(21.0).waiting == 0


async def awaited(stream: Mono[Any]) -> Any:
    return await stream


async def test_a_listener_that_ends_the_stream_leaves_no_place_taken():
    bulkhead = Bulkhead(BulkheadConfig(1))
    async with Scope() as scope:
        reader = Reader()
        bulkhead.on_event(lambda _: reader.cancel())
        bulkhead.operator()(Mono.never()).subscribe(reader, scope=scope)
    assert bulkhead.metrics().in_use == 0


async def test_too_late_while_it_waits_for_a_place_it_leaves_the_queue():
    bulkhead = Bulkhead(BulkheadConfig(1, max_wait_duration_s=100.0))
    policies = Policies(bulkhead=bulkhead, time_limiter=TimeLimiter(TimeLimiterConfig(5.0)))
    async with bulkhead.entered_async():
        with pytest.raises(TimeLimitExceededError):
            await policies.operator()(Mono.just(1))
        assert bulkhead.metrics().waiting == 0
    assert bulkhead.metrics().in_use == 0


async def test_a_predicate_that_raises_is_a_failure_to_the_layers_around_it():
    policies = Policies(
        circuit_breaker=CircuitBreaker(CircuitBreakerConfig(record_result=boom)),
        bulkhead=Bulkhead(BulkheadConfig(1)),
        retry=Retry(RetryConfig(max_attempts=3, wait_duration_s=0.0)),
    )
    work = returns(1)
    with pytest.raises(PlantedError):
        await policies.operator()(Mono.from_callable(work.as_task))
    assert len(work.began_s) == 3
    assert policies.gauges()["bulkhead_in_use"] == 0


async def test_streams_are_told_of_in_the_order_of_nested_calls():
    """What tasks hear, streams hear, of calls that succeed, fail, time out or are refused."""

    async def heard(run: Callable[[Policies, Work], Awaitable[object]]) -> list[Any]:
        told: list[Event] = []
        policies = all_five(retry=Retry(RetryConfig(max_attempts=2, wait_duration_s=0.0)))
        policies.on_event(told.append)
        works = [Work([1]), Work([OSError(), 1]), Work([OSError()]), Work([1], takes_s=9.0)]
        for work in works:
            with suppress(OSError, LabError):
                await run(policies, work)
        assert policies.circuit_breaker is not None
        policies.circuit_breaker.transition_to(State.OPEN, now_s=anyio.current_time())
        with suppress(LabError):
            await run(policies, Work())
        return [(event.kind, event.policy) for event in told]

    async def as_stream(policies: Policies, work: Work) -> object:
        return await policies.operator()(Mono.from_callable(work.as_task))

    tasks = await heard(lambda policies, work: policies.call_async(work.as_task))
    assert await heard(as_stream) == tasks


async def test_within_a_hop_the_policies_decide_on_the_loop():
    threads = PlatformThreadExecutor(1, name="hop")
    guarded = all_five(fallback=Fallback(lambda _: "other")).operator()(Mono.from_callable(boom))
    try:
        assert await guarded.subscribe_on(threads) == "other"
    finally:
        threads.shutdown()


class Reader:
    """Asks for everything, and can be told to cancel."""

    def __init__(self) -> None:
        self.cancel: Callable[[], object] = lambda: None

    def on_subscribe(self, subscription: Any, /) -> None:
        """Ask."""
        self.cancel = subscription.cancel
        subscription.request(1)

    def on_next(self, _: object, /) -> None:
        """Nothing to do."""

    def on_error(self, _: Exception, /) -> None:
        """Nothing to do."""

    def on_complete(self) -> None:
        """Nothing to do."""


async def given_up(stream: Mono[Any]) -> None:
    with anyio.move_on_after(0.5):
        await stream


async def while_full(guard: Policies, stream: Mono[Any]) -> None:
    assert guard.bulkhead is not None
    async with guard.bulkhead.entered_async():
        await stream


ENDINGS: dict[str, Callable[[], Awaitable[object]]] = {
    "completed": lambda: awaited(all_five().operator()(Mono.just(1))),
    "awaited": lambda: awaited(all_five().operator()(Mono.from_callable(returns(1).as_task))),
    "empty": lambda: awaited(all_five().operator()(Mono.empty())),
    "many": lambda: awaited(all_five().operator()(Flux.just(1, 2)).collect_list()),
    "raised": lambda: awaited(all_five().operator()(Mono.from_callable(boom))),
    "given up": lambda: given_up(all_five().operator()(Mono.never())),
    "given up between attempts": lambda: given_up(all_five().operator()(Mono.from_callable(boom))),
    "late": lambda: awaited(all_five().operator()(Mono.never())),
    "refused": lambda: while_full(guard := all_five(), guard.operator()(Mono.just(1))),
    "a predicate raised": lambda: awaited(
        all_five(
            circuit_breaker=CircuitBreaker(CircuitBreakerConfig(record_result=boom))
        ).operator()(Mono.just(1))
    ),
    "a retry predicate raised": lambda: awaited(
        all_five(retry=Retry(RetryConfig(retry_on_result=boom))).operator()(Mono.just(1))
    ),
    "no answer": lambda: awaited(
        all_five(
            retry=Retry(RetryConfig(retry_on_result=bool, fail_after_max_attempts=True))
        ).operator()(Mono.just(1))
    ),
    "recovered": lambda: awaited(
        all_five(fallback=Fallback(lambda _: 0)).operator()(Mono.from_callable(boom))
    ),
}


@pytest.fixture
def _collector_off() -> Iterator[None]:
    gc.collect()
    gc.freeze()
    gc.disable()
    yield
    gc.set_debug(0)
    gc.garbage.clear()
    gc.enable()
    gc.unfreeze()


def ours(thing: object) -> bool:
    if isinstance(thing, MethodType):
        return ours(thing.__self__)
    module = thing.__module__ if isinstance(thing, FunctionType) else type(thing).__module__
    frame = getattr(thing, "f_code", None) or getattr(thing, "cr_code", None)
    return module.startswith("labcore.") or "labcore/" in getattr(frame, "co_filename", "")


@pytest.mark.usefixtures("_collector_off")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_call_that_has_ended_leaves_nothing_to_the_collector(ending: str):
    async def left() -> list[object]:
        for turn in range(3):
            if turn == 1:  # the first warms caches
                gc.collect()
                gc.set_debug(gc.DEBUG_SAVEALL)
            with suppress(PlantedError, LabError, MaxRetriesExceededError):
                await ENDINGS[ending]()
        gc.collect()
        return [thing for thing in gc.garbage if ours(thing)]

    assert VirtualTime.run(left) == []
