"""The fast path: run-ahead, turns of the loop, bounded memory, recursion, references."""
# ruff: noqa: D102 - the readers are the protocols' methods

import gc
import itertools
import weakref
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from labcore.reactive import UNBOUNDED, Flux, Scope, Subscription
from labcore.reactive.spec import add_demand, low_tide


class Source:
    """Endless, and knows how many values were taken from it."""

    def __init__(self) -> None:
        self.taken = 0

    def __iter__(self) -> "Source":
        return self

    def __next__(self) -> int:
        self.taken += 1
        return self.taken

    async def items(self) -> AsyncIterator[int]:
        """The same, asynchronously."""
        while True:
            self.taken += 1
            yield self.taken


PIPELINES: dict[str, tuple[int, Callable[[Flux[int]], Flux[Any]]]] = {
    "map": (0, lambda f: f.map(lambda v: v)),
    "limit_rate": (8, lambda f: f.limit_rate(8)),
    "flat_map": (256, lambda f: f.flat_map(lambda v: Flux.just(v).hide())),
    "concat_map": (1, lambda f: f.concat_map(lambda v: Flux.just(v).hide())),
    "merge": (32, lambda f: Flux.merge(f, Flux.never())),
    "zip": (32, lambda f: f.zip_with(Flux.from_iterable(itertools.count()))),
    "publish": (256, lambda f: f.publish().ref_count()),
    "buffer": (0, lambda f: f.buffer(1)),
}


@pytest.mark.parametrize("kind", ["fused", "unfused", "asynchronous"])
@pytest.mark.parametrize("name", sorted(PIPELINES))
async def test_no_source_runs_further_ahead_than_its_prefetch(name: str, kind: str):
    source = Source()
    fused = Flux.from_iterable(source)
    made = {
        "fused": fused,
        "unfused": fused.hide(),
        "asynchronous": Flux.from_async_iterable(source.items),
    }
    prefetch, build = PIPELINES[name]
    seen = 0
    async with build(made[kind]).stream(window=1) as items:
        async for _ in items:
            seen += 1
            await anyio.lowlevel.checkpoint()
            if seen == 40:
                break
    assert source.taken <= 40 + prefetch + 1  # one value waits in the reader's window


@pytest.mark.parametrize(
    "build",
    [
        lambda f: f.map(lambda v: v).filter(lambda v: v % 2),
        lambda f: f.hide().map(lambda v: v).filter(lambda v: v % 2),
        lambda f: f.filter(lambda _: False),
        lambda f: f.hide().filter(lambda _: False),
        lambda f: f.flat_map(Flux.just),
        lambda f: Flux.merge(f, f),
        lambda f: f.publish().auto_connect(),
    ],
)
async def test_a_synchronous_run_gives_the_loop_its_turns(build: Callable[[Flux[int]], Flux[Any]]):
    turns = 0
    done = False

    async def other() -> None:
        nonlocal turns
        while not done:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        await build(Flux.range(0, 50_000)).count()
        done = True
    assert turns >= 50_000 / (2 * 1024)


async def test_a_reader_with_async_for_gives_the_loop_its_turns():
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        async with Flux.range(0, 50_000).stream() as items:
            async for _ in items:
                pass
        group.cancel_scope.cancel()
    assert turns >= 50_000 / (2 * 1024)


@pytest.mark.slow
class OneByOne:
    """Asks for the next value inside on_next, and measures how deep that goes."""

    def __init__(self) -> None:
        self.depth = self.deepest = self.seen = 0
        self.subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription, /) -> None:
        self.subscription = subscription
        subscription.request(1)

    def on_next(self, _: object, /) -> None:
        self.depth += 1
        self.deepest = max(self.deepest, self.depth)
        self.seen += 1
        assert self.subscription is not None
        self.subscription.request(1)
        self.depth -= 1

    def on_error(self, error: Exception, /) -> None:
        raise error

    def on_complete(self) -> None:
        """All were seen."""


@pytest.mark.parametrize("name", sorted(PIPELINES))
async def test_asking_inside_on_next_never_recurses(name: str):
    _, build = PIPELINES[name]
    reader = OneByOne()
    async with Scope() as scope:
        build(Flux.range(0, 3000)).take(2500).subscribe(reader, scope=scope)
    assert (reader.seen, reader.deepest) == (2500, 1)


async def test_a_cancelled_subscription_lets_its_subscriber_go():
    kept: list[Subscription] = []

    class Keeper(OneByOne):
        def on_subscribe(self, subscription: Subscription, /) -> None:
            kept.append(subscription)

        def on_next(self, _: object, /) -> None:
            """Asks for nothing more."""

    reader = Keeper()
    async with Scope() as scope:
        Flux.from_iterable(itertools.count()).subscribe(reader, scope=scope)
        kept[0].request(3)
        kept[0].cancel()
    gone = weakref.ref(reader)
    del reader
    gc.collect()
    assert gone() is None


async def test_a_subscriber_that_raises_ends_its_scope_with_that_error():
    class Broken(OneByOne):
        def on_next(self, _: object, /) -> None:
            raise KeyError("subscriber")

    with pytest.raises(KeyError, match="subscriber"):
        async with Scope() as scope:
            Flux.range(0, 9).subscribe(Broken(), scope=scope)


def test_demand_saturates():
    assert add_demand(UNBOUNDED, 1) == UNBOUNDED
    assert add_demand(UNBOUNDED - 1, UNBOUNDED) == UNBOUNDED
    assert add_demand(2, 3) == 5


@pytest.mark.parametrize(("prefetch", "low"), [(256, 192), (32, 24), (1, 1), (2, 2), (4, 3)])
def test_the_low_tide_is_three_quarters(prefetch: int, low: int):
    assert low_tide(prefetch) == low


def test_errors_of_an_iterable_are_signals_at_the_right_place():
    def broken() -> Any:
        yield 1
        yield 2
        raise OSError("broken")

    seen: list[int] = []
    with pytest.raises(OSError, match="broken"):
        Flux.from_iterable(broken()).do_on_next(seen.append).map(str).count().block()
    assert seen == [1, 2]


async def test_leaving_early_closes_a_generator():
    closed: list[str] = []

    def values() -> Any:
        try:
            yield from itertools.count()
        finally:
            closed.append("closed")

    await Flux.from_iterable(values()).take(3).count()
    assert closed == ["closed"]
