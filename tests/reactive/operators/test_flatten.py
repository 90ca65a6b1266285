"""Flattening: concurrency, run-ahead, order, errors, cancellation."""
# ruff: noqa: D102 - the readers are the protocols' methods

import itertools
from collections.abc import AsyncIterator
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from labcore.reactive import Flux, Hooks, Mono, Scope
from labcore.reactive.testing import StepVerifier, TestPublisher, VirtualTime


class Calls:
    """A coroutine function that knows how many of its calls run."""

    def __init__(self, seconds: float = 1.0) -> None:
        self.running = self.most = self.begun = self.ended = 0
        self.seconds = seconds

    async def __call__(self, value: int) -> int:
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await anyio.sleep(self.seconds)  # simulated time
        finally:
            self.running -= 1
            self.ended += 1
        return value


def test_at_most_so_many_calls_run_at_once():
    calls = Calls()

    async def main() -> tuple[int, float]:
        seen = await Flux.range(0, 100).flat_map(calls, concurrency=8).count()
        return seen, anyio.current_time()

    assert VirtualTime.run(main) == (100, 13.0)
    assert calls.most == 8


@pytest.mark.parametrize("operator", ["flat_map", "flat_map_sequential"])
def test_calls_run_no_further_ahead_than_their_places(operator: str):
    calls = Calls()
    flux = getattr(Flux.range(0, 1000), operator)(calls, concurrency=4)
    (
        StepVerifier.with_virtual_time(lambda: flux, 2)
        .then_await(60)
        .expect_next_count(2)
        .expect_no_event(60)
        .then_cancel()
        .verify()
    )
    assert calls.begun <= 2 + 4


def test_the_first_failure_cancels_the_others_and_waits_for_them():
    calls = Calls(60)

    async def work(value: int) -> int:
        if value == 3:
            await anyio.sleep(1)  # simulated time
            raise KeyError(value)
        return await calls(value)

    async def main() -> float:
        with pytest.raises(KeyError):
            await Flux.range(0, 10).flat_map(work).count()
        return anyio.current_time()

    assert VirtualTime.run(main) == 1.0
    assert (calls.begun, calls.ended) == (9, 9)


def test_values_come_as_they_are_ready_or_in_order():
    async def slow_first(value: int) -> int:
        await anyio.sleep(3 - value)  # simulated time
        return value

    async def main() -> tuple[list[int], list[int], float]:
        free = await Flux.range(0, 3).flat_map(slow_first).collect_list()
        ordered = await Flux.range(0, 3).flat_map_sequential(slow_first).collect_list()
        return free, ordered, anyio.current_time()

    assert VirtualTime.run(main) == ([2, 1, 0], [0, 1, 2], 6.0)


def test_concat_map_begins_the_next_when_one_has_ended():
    async def main() -> float:
        await Flux.range(0, 3).concat_map(Calls()).count()
        return anyio.current_time()

    assert VirtualTime.run(main) == 3.0


def test_concat_map_asks_its_source_only_when_asked():
    asked: list[int] = []
    flux = Flux.range(0, 9).do_on_request(asked.append).concat_map(lambda v: Flux.just(v, v))
    (
        StepVerifier.create(flux, 0)
        .then(lambda: asked.append(0))
        .then_request(1)
        .expect_next(0)
        .then_cancel()
        .verify()
    )
    assert asked == [0, 1]


def test_switch_map_cancels_the_stream_before():
    source: TestPublisher[int] = TestPublisher.create()
    inner = [TestPublisher[str].create(), TestPublisher[str].create()]
    flux = Flux.from_publisher(source).switch_map(lambda n: Flux.from_publisher(inner[n]))
    (
        StepVerifier.create(flux)
        .then(lambda: (source.next(0), inner[0].next("a"), source.next(1)))
        .then(inner[0].assert_cancelled)
        .then(lambda: (inner[1].next("b"), source.complete(), inner[1].complete()))
        .expect_next("a", "b")
        .verify_complete()
    )


def test_flat_map_asks_for_more_when_three_quarters_were_taken():
    asked: list[int] = []
    inner = Flux.range(0, 100).do_on_request(asked.append)
    assert Flux.just(1).hide().flat_map(lambda _: inner, prefetch=8).count().block() == 100
    assert asked[0] == 8
    assert set(asked[1:]) == {6}


async def test_no_inner_stream_starves_among_endless_ones():
    def endless(start: int) -> Flux[int]:
        return Flux.from_iterable(itertools.repeat(start))

    flux = Flux.merge(*[endless(number) for number in range(8)])
    seen = await flux.take(20_000).distinct().count()
    assert seen == 8


class Endless:
    """Asynchronous sources without an end that know how many of them are open."""

    def __init__(self) -> None:
        self.opened = self.closed = 0

    async def __call__(self) -> AsyncIterator[int]:
        self.opened += 1
        try:
            for value in itertools.count():
                await anyio.lowlevel.checkpoint()
                yield value
        finally:
            with anyio.CancelScope(shield=True):  # clean-up that takes a while is waited for
                await anyio.lowlevel.checkpoint()
            self.closed += 1


async def test_eight_endless_sources_cancelled_from_outside_are_all_closed():
    endless = Endless()
    sources = [Flux.from_async_iterable(endless) for _ in range(8)]
    with anyio.move_on_after(0.03) as cancellation:
        await Flux.merge(*sources).count()
    assert cancellation.cancelled_caught
    assert (endless.opened, endless.closed) == (8, 8)


async def test_a_failure_discards_what_is_queued():
    discarded: list[int] = []
    failing: TestPublisher[int] = TestPublisher.create()
    flux = Flux.merge(Flux.just(1, 2, 3), Flux.from_publisher(failing))
    reader = Silent()
    async with Scope(hooks=Hooks(discarded=discarded.append)) as scope:
        flux.subscribe(reader, scope=scope)
        failing.error(KeyError("x"))
    assert discarded == [1, 2, 3]
    assert isinstance(reader.error, KeyError)


class Silent:
    """Asks for nothing."""

    error: Exception | None = None

    def on_subscribe(self, subscription: object, /) -> None:
        """Nothing is asked for."""

    def on_next(self, value: object, /) -> None:
        raise AssertionError(value)

    def on_error(self, error: Exception, /) -> None:
        self.error = error

    def on_complete(self) -> None:
        raise AssertionError("complete")


async def test_a_mapper_may_give_awaitables_streams_and_iterables_that_wait():
    async def letters() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    async def answer() -> str:
        return "c"

    makers: list[Any] = [letters, answer, lambda: Mono.just("d")]
    seen = await Flux.from_iterable(makers).concat_map(lambda make: make()).collect_list()
    assert seen == ["a", "b", "c", "d"]


def test_a_mapper_that_gives_no_stream_is_told():
    wrong: Any = lambda _: 5  # noqa: E731 - a mapper with the wrong type on purpose
    StepVerifier.create(Flux.just(1).hide().flat_map(wrong)).expect_error_matches(
        lambda error: "5 is no stream" in str(error)
    ).verify()
