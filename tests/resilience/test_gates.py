"""One gate under many threads, and shared by all faces at once."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from labcore.reactive import Flux, Mono
from labcore.resilience import (
    Bulkhead,
    BulkheadConfig,
    BulkheadFullError,
    CallNotPermittedError,
    CircuitBreaker,
    CircuitBreakerConfig,
    Event,
    RateLimiter,
    RateLimiterConfig,
    RequestNotPermittedError,
    State,
)
from labcore.virtual import PlatformThreadExecutor

from .conftest import PlatformWorld, at_rest

THREADS = 64
PATIENCE_S = 15.0  # real threads on a busy machine: a bound against hanging, not a measurement


def on_all_threads(work: Callable[[int], object]) -> list[object]:
    """The work of 64 threads that begin together: what each returned or raised."""
    together = threading.Barrier(THREADS)

    def begin(number: int) -> object:
        together.wait(PATIENCE_S)
        try:
            return work(number)
        except (CallNotPermittedError, RequestNotPermittedError) as refusal:
            return refusal

    usual_s = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # threads change places often enough to show what no lock guards
    try:
        with ThreadPoolExecutor(THREADS) as pool:
            return list(pool.map(begin, range(THREADS)))
    finally:
        sys.setswitchinterval(usual_s)


def fail() -> None:
    raise OSError("down")


def test_threads_never_exceed_the_places_and_lose_none(world: PlatformWorld):
    bulkhead = Bulkhead(BulkheadConfig(8, max_wait_duration_s=PATIENCE_S))
    counter = threading.Lock()
    inside = most = ended = 0

    def call() -> None:
        nonlocal inside, most, ended
        with counter:
            inside += 1
            most = max(most, inside)
        time.sleep(0)  # lets the others run
        with counter:
            inside -= 1
            ended += 1

    on_all_threads(lambda _: [bulkhead.call(call, world) for _ in range(20)])
    assert most <= 8
    assert ended == THREADS * 20
    metrics = bulkhead.metrics()
    assert (metrics.in_use, metrics.waiting, metrics.refused) == (0, 0, 0)


def test_threads_are_counted_exactly(world: PlatformWorld):
    config = CircuitBreakerConfig(
        sliding_window_size=100_000, initial_state=State.METRICS_ONLY, minimum_number_of_calls=1
    )
    breaker = CircuitBreaker(config)

    def calls(number: int) -> None:
        for _ in range(100):
            if number % 2:
                breaker.call(lambda: None, world)
            else:
                with pytest.raises(OSError, match="down"):
                    breaker.call(fail, world)

    on_all_threads(calls)
    metrics = breaker.metrics()
    assert (metrics.buffered_calls, metrics.failed_calls) == (6_400, 3_200)


def test_half_open_admits_exactly_its_number_of_threads(world: PlatformWorld):
    config = CircuitBreakerConfig(permitted_number_of_calls_in_half_open_state=5)
    breaker = CircuitBreaker(config)
    breaker.transition_to(State.HALF_OPEN, now_s=world.now_s())
    refused = threading.Semaphore(0)
    everybody_answered = threading.Event()

    def trial(_: int) -> object:
        try:
            return breaker.call(lambda: everybody_answered.wait(PATIENCE_S), world)
        except CallNotPermittedError:
            refused.release()
            raise

    def wait_for_refusals() -> None:
        for _ in range(THREADS - 5):
            refused.acquire(timeout=PATIENCE_S)
        everybody_answered.set()

    with ThreadPoolExecutor(1) as watcher:
        watcher.submit(wait_for_refusals)
        results = on_all_threads(trial)
    assert results.count(True) == 5
    assert breaker.state is State.CLOSED


def test_exactly_the_rate_passes_under_contention(world: PlatformWorld):
    limiter = RateLimiter(RateLimiterConfig(10, 1_000.0, timeout_duration_s=0.0))
    results = on_all_threads(lambda _: limiter.call(lambda: "passed", world))
    assert results.count("passed") == 10


def test_the_machine_decides_under_the_lock(world: PlatformWorld, monkeypatch: pytest.MonkeyPatch):
    """Seen, not raced for: this interpreter seldom lets threads change places where it would show."""
    breaker = CircuitBreaker()
    held: list[bool] = []
    for name in ("acquire", "settle"):
        decide = getattr(breaker._machine, name)

        def watched(*args: Any, decide: Callable[..., Any] = decide, **options: Any) -> Any:
            held.append(breaker._lock.locked())
            return decide(*args, **options)

        monkeypatch.setattr(breaker._machine, name, watched)
    breaker.call(lambda: held.append(not breaker._lock.locked()), world)
    assert held == [True, True, True]


def test_no_lock_is_held_while_calls_run(world: PlatformWorld):
    breaker = CircuitBreaker()
    all_inside = threading.Barrier(THREADS)
    on_all_threads(lambda _: breaker.call(lambda: all_inside.wait(PATIENCE_S), world))
    assert breaker.metrics().buffered_calls == THREADS


def test_listeners_and_predicates_may_ask_the_gate_itself(world: PlatformWorld):
    breaker: CircuitBreaker
    states: list[State] = []

    def listen(_: Event) -> None:
        states.append(breaker.metrics().state)

    def is_failure(_: object) -> bool:
        return breaker.metrics().state is State.CLOSED

    breaker = CircuitBreaker(CircuitBreakerConfig(sliding_window_size=1, record_result=is_failure))
    breaker.on_event(listen)
    breaker.call(lambda: None, world)
    assert states == [State.CLOSED, State.OPEN, State.OPEN]


def test_a_predicate_that_raises_gives_the_permit_back(world: PlatformWorld):
    def broken(_: object) -> bool:
        raise LookupError("predicate")

    breaker = CircuitBreaker(CircuitBreakerConfig(record_result=broken))
    breaker.transition_to(State.HALF_OPEN, now_s=world.now_s())
    for _ in range(20):
        with pytest.raises(LookupError):
            breaker.call(lambda: None, world)
    assert breaker.metrics().buffered_calls == 0


class Telling(PlatformThreadExecutor):
    """Tells when a thread is about to wait."""

    def __init__(self) -> None:
        super().__init__(1, name="fork")
        self.waits = threading.Event()

    def latch(self) -> "Future[Any]":
        """As ever, and said."""
        self.waits.set()
        return super().latch()


def test_a_thread_gets_the_place_that_a_task_gives_up(world: PlatformWorld):
    bulkhead = Bulkhead(BulkheadConfig(1, max_wait_duration_s=PATIENCE_S))
    world.forks.shutdown()
    world.forks = forks = Telling()

    async def main() -> list[str]:
        async def hold() -> asyncio.Task[str]:
            waiting = asyncio.to_thread(bulkhead.call, lambda: "thread", world)
            thread = asyncio.create_task(waiting)
            assert await asyncio.to_thread(forks.waits.wait, PATIENCE_S)
            return thread

        return ["task", await (await bulkhead.call_async(hold))]

    assert asyncio.run(main()) == ["task", "thread"]
    assert bulkhead.metrics().in_use == 0


def test_a_block_is_a_call_for_threads(world: PlatformWorld):
    breaker = CircuitBreaker()
    with breaker.entered(world):
        assert breaker.metrics().buffered_calls == 0
    with pytest.raises(OSError, match="down"), breaker.entered(world):
        fail()
    metrics = breaker.metrics()
    assert (metrics.buffered_calls, metrics.failed_calls) == (2, 1)


async def test_a_block_is_a_call_for_tasks():
    bulkhead = Bulkhead(BulkheadConfig(1))
    async with bulkhead.entered_async():
        assert bulkhead.metrics().in_use == 1
        with pytest.raises(BulkheadFullError):
            async with bulkhead.entered_async():
                pass
    with pytest.raises(OSError, match="down"):
        async with bulkhead.entered_async():
            fail()
    assert bulkhead.metrics().in_use == 0


async def test_a_flux_has_succeeded_when_it_completes_and_holds_its_place_till_then():
    bulkhead = Bulkhead(BulkheadConfig(1))
    in_use: list[float] = []
    flux = Flux.just(1, 2).do_on_next(lambda _: in_use.append(bulkhead.metrics().in_use))
    assert await bulkhead.operator()(flux).collect_list() == [1, 2]
    assert (in_use, bulkhead.metrics().in_use) == ([1, 1], 0)


async def test_a_flux_that_is_cancelled_counts_neither_way():
    breaker = CircuitBreaker()
    assert await breaker.operator()(Flux.just(1, 2, 3)).take(1).collect_list() == [1]
    await at_rest()
    assert breaker.metrics().buffered_calls == 0


async def test_a_flux_waits_for_its_place():
    bulkhead = Bulkhead(BulkheadConfig(1, max_wait_duration_s=10.0))
    slow = bulkhead.operator()(Mono.just(1).delay_element(3.0))
    behind = bulkhead.operator()(Flux.just(2, 3))
    both = await Flux.merge(slow, behind).collect_list()
    assert both == [1, 2, 3]


async def test_the_context_reaches_the_source():
    named = Mono.defer_contextual(lambda context: Mono.just(context["user"]))
    guarded = CircuitBreaker().operator()(named)
    assert await guarded.context_write({"user": "ada"}) == "ada"


async def test_an_empty_mono_is_a_success():
    breaker = CircuitBreaker()
    assert await breaker.operator()(Mono.empty()) is None
    assert breaker.metrics().buffered_calls == 1
