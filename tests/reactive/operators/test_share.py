"""Sharing: lockstep, counting, grace, history; clean-ups that the last subscriber waits for."""
# ruff: noqa: D102 - the readers are the protocols' methods

import itertools
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from labcore.reactive import UNBOUNDED, DisconnectedError, Flux, Hooks, Mono, Scope, Subscription
from labcore.reactive.testing import StepVerifier, TestPublisher, VirtualTime


def counted(runs: list[int]) -> int:
    runs.append(1)
    return len(runs)


class Reader:
    """Notes what it gets, asks for what it is told."""

    def __init__(self, first: int = UNBOUNDED) -> None:
        self.first = first
        self.seen: list[Any] = []
        self.end: object = None
        self.subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription, /) -> None:
        self.subscription = subscription
        if self.first:
            subscription.request(self.first)

    def ask(self, n: int) -> None:
        assert self.subscription is not None
        self.subscription.request(n)

    def cancel(self) -> None:
        assert self.subscription is not None
        self.subscription.cancel()

    def on_next(self, value: Any, /) -> None:
        self.seen.append(value)

    def on_error(self, error: Exception, /) -> None:
        self.end = error

    def on_complete(self) -> None:
        self.end = "complete"


async def test_the_slowest_subscriber_sets_the_pace():
    shared = Flux.range(0, 10).publish().auto_connect(2)
    quick, slow = Reader(), Reader(2)
    async with Scope() as scope:
        shared.subscribe(quick, scope=scope)
        shared.subscribe(slow, scope=scope)
        assert quick.seen == slow.seen == [0, 1]
        slow.ask(3)
        assert quick.seen == slow.seen == [0, 1, 2, 3, 4]
        slow.cancel()
    assert quick.seen == list(range(10))
    assert (quick.end, slow.end) == ("complete", None)


async def test_a_lockstep_source_runs_no_further_ahead_than_its_prefetch():
    taken: list[int] = []
    shared = Flux.range(0, 1000).do_on_next(taken.append).publish(prefetch=8).auto_connect(1)
    reader = Reader(3)
    async with Scope() as scope:
        shared.subscribe(reader, scope=scope)
        assert len(taken) <= 3 + 8
        reader.cancel()
        scope.cancel()


async def test_who_comes_late_to_a_share_sees_only_what_is_new():
    source: TestPublisher[int] = TestPublisher.create()
    shared = Flux.from_publisher(source).share()
    early, late = Reader(), Reader()
    async with Scope() as scope:
        shared.subscribe(early, scope=scope)
        source.next(1)
        shared.subscribe(late, scope=scope)
        source.next(2)
        source.complete()
    assert (early.seen, late.seen) == ([1, 2], [2])
    assert early.end == late.end == "complete"


def test_a_share_runs_its_source_anew_after_the_end():
    runs: list[int] = []
    shared = Flux.defer(lambda: Flux.just(counted(runs))).share()
    assert [shared.block_last(), shared.block_last()] == [1, 2]


class Opened:
    """An endless source that knows whether it is open."""

    def __init__(self) -> None:
        self.opened = self.closed = 0

    async def __call__(self) -> AsyncIterator[int]:
        self.opened += 1
        try:
            while True:
                yield self.opened
                await anyio.lowlevel.checkpoint()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            self.closed += 1


async def test_a_shared_source_outlives_its_first_subscriber_and_ends_with_its_last():
    opened = Opened()
    shared = Flux.from_async_iterable(opened).share()
    async with shared.stream(window=4) as second:
        async with shared.stream(window=4) as first:
            assert await anext(first) == 1
            assert await anext(second) == 1
        assert (opened.opened, opened.closed) == (1, 0)
        for _ in range(20):
            await anext(second)
    assert (opened.opened, opened.closed) == (1, 1)


def test_ref_count_waits_for_so_many_and_keeps_the_connection_in_the_grace_time():
    opened = Opened()

    async def main() -> list[tuple[int, int]]:
        ticks = Flux.from_async_iterable(opened).delay_elements(0.1)
        shared = ticks.publish().ref_count(2, grace_s=10)
        states = []

        async def read(count: int) -> None:
            await shared.take(count).count()

        async def state() -> None:
            states.append((opened.opened, opened.closed))

        async with anyio.create_task_group() as group:
            group.start_soon(read, 3)
            await anyio.sleep(1)  # simulated time
            await state()
            group.start_soon(read, 3)
        await state()
        await anyio.sleep(9)  # simulated time
        await state()
        await anyio.sleep(2)  # simulated time
        await state()
        return states

    assert VirtualTime.run(main) == [(0, 0), (1, 0), (1, 0), (1, 1)]


async def test_disconnecting_tells_the_subscribers():
    hot = Flux.from_publisher(TestPublisher[int].create()).publish()
    reader = Reader()
    async with Scope() as scope:
        hot.subscribe(reader, scope=scope)
        disconnect = hot.connect(scope)
        disconnect()
    assert isinstance(reader.end, DisconnectedError)


async def test_replay_gives_latecomers_the_history_at_their_own_pace():
    source: TestPublisher[int] = TestPublisher.create()
    replayed = Flux.from_publisher(source).replay(2).auto_connect()
    early, late = Reader(), Reader(1)
    async with Scope() as scope:
        replayed.subscribe(early, scope=scope)
        source.next(1, 2, 3)
        replayed.subscribe(late, scope=scope)
        assert late.seen == [2]
        source.next(4, 5)
        source.complete()
        late.ask(9)
    assert (early.seen, late.seen) == ([1, 2, 3, 4, 5], [2, 3, 4, 5])


def test_replay_forgets_what_is_too_old():
    async def main() -> list[int]:
        replayed = Flux.interval(1).take(5).replay(ttl_s=2.5).auto_connect()
        await replayed.take(5).count()
        return await replayed.collect_list()

    assert VirtualTime.run(main) == [2, 3, 4]


def test_cache_runs_once():
    runs: list[int] = []
    cached = Mono.from_callable(lambda: counted(runs)).cache()

    async def main() -> list[int]:
        return [await cached, await cached]

    assert anyio.run(main) == [1, 1]


async def test_cancelling_one_in_the_middle_of_a_delivery_spares_it_the_value():
    shared = Flux.just(1, 2).publish().auto_connect(2)
    second = Reader()

    class First(Reader):
        def on_next(self, value: Any, /) -> None:
            second.cancel()
            super().on_next(value)

    first = First()
    async with Scope() as scope:
        shared.subscribe(first, scope=scope)
        shared.subscribe(second, scope=scope)
    assert (first.seen, second.seen) == ([1, 2], [])


@pytest.mark.parametrize("n", [1, 3])
def test_share_passes_failures_to_everybody(n: int):
    shared = Flux.error(OSError("x")).publish().auto_connect(n)
    merged = Flux.merge(*[shared.on_error_return(-1) for _ in range(n)])
    StepVerifier.create(merged).expect_next(*[-1] * n).verify_complete()


async def test_a_connected_source_without_subscribers_drops_what_it_gives():
    dropped: list[Any] = []
    taken: list[int] = []
    shared = Flux.range(0, 1000).do_on_next(taken.append).publish(prefetch=8)
    async with Scope(hooks=Hooks(discarded=dropped.append)) as scope:
        shared.connect(scope)
    assert taken == dropped == list(range(1000))


async def test_when_all_have_left_a_connected_source_drops_until_somebody_comes():
    source: TestPublisher[int] = TestPublisher.create()
    shared = Flux.from_publisher(source).publish(prefetch=4)
    dropped: list[Any] = []
    first, second = Reader(2), Reader()
    async with Scope(hooks=Hooks(discarded=dropped.append)) as scope:
        shared.subscribe(first, scope=scope)
        shared.connect(scope)
        source.next(0, 1, 2, 3)
        assert (first.seen, dropped) == ([0, 1], [])
        first.cancel()
        assert dropped == [2, 3]
        source.next(4)
        shared.subscribe(second, scope=scope)
        source.next(5)
        source.complete()
    assert dropped == [2, 3, 4]
    assert second.seen == [5]


def test_publish_asks_by_the_slowest_and_pauses_without_its_demand():
    asked: list[int] = []
    shared = Flux.range(0, 100).hide().do_on_request(asked.append).publish(prefetch=8)
    script = StepVerifier.create(shared.auto_connect(), 0).expect_subscription()
    script = script.then(lambda: asked.append(-1)).expect_no_event(0).then_request(6)
    script.expect_next(0, 1, 2, 3, 4, 5).expect_no_event(0).then_cancel().verify()
    assert asked[:3] == [8, -1, 6]


async def test_an_endless_source_that_nobody_hears_lets_the_loop_turn():
    shared = Flux.from_iterable(itertools.count()).hide().publish()
    async with Scope() as scope:
        disconnect = shared.connect(scope)
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        disconnect()


def test_values_of_the_grace_time_are_dropped():
    dropped: list[int] = []
    ticks = Flux.interval(1).do_on_next(dropped.append)
    shared = ticks.publish().ref_count(1, grace_s=3)
    flux = shared.take(1).concat_with(Mono.delay(1.5).then_many(shared.take(1)))
    StepVerifier.with_virtual_time(lambda: flux).then_await(3).expect_next(0, 2).verify_complete()
    assert dropped == [0, 1, 2]
