"""Operators beside list semantics, under random demand, cancellation and interleaving."""
# ruff: noqa: D102 - the readers are the protocols' methods

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import anyio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from labcore.reactive import UNBOUNDED, Flux, Mono, Scope, Subscription

Values = list[int]
Build = Callable[[Flux[int]], Flux[Any]]
Expect = Callable[[Values], list[Any]]


def scan(values: Values) -> Values:
    sums = [0]
    for value in values:
        sums.append(sums[-1] + value)
    return sums


def chunks(values: Values, size: int) -> list[Values]:
    return [values[at : at + size] for at in range(0, len(values), size)]


def unique(values: Values) -> Values:
    return list(dict.fromkeys(values))


async def late(value: int) -> int:
    """A call that waits longer for some values than for others, so that results overtake."""
    for _ in range(value % 3):
        await anyio.lowlevel.checkpoint()
    return value


def twice(value: int) -> Flux[int]:
    return Flux.just(value, value).hide()


IN_ORDER: dict[str, tuple[Build, Expect]] = {
    "map": (lambda f: f.map(lambda v: v + 1), lambda x: [v + 1 for v in x]),
    "filter": (lambda f: f.filter(lambda v: v % 2), lambda x: [v for v in x if v % 2]),
    "take": (lambda f: f.take(3), lambda x: x[:3]),
    "skip": (lambda f: f.skip(3), lambda x: x[3:]),
    "scan": (lambda f: f.scan(lambda a, b: a + b, initial=0), scan),
    "distinct": (lambda f: f.distinct(), unique),
    "buffer": (lambda f: f.buffer(3), lambda x: chunks(x, 3)),
    "buffer of few": (
        lambda f: f.buffer(2).filter(lambda box: len(box) == 2),
        lambda x: [box for box in chunks(x, 2) if len(box) == 2],
    ),
    "window": (
        lambda f: f.window(3).concat_map(lambda w: w.collect_list()),
        lambda x: chunks(x, 3),
    ),
    "concat_map": (lambda f: f.concat_map(twice), lambda x: [v for v in x for _ in range(2)]),
    "concat_map of coroutines": (lambda f: f.concat_map(late), lambda x: x),
    "flat_map_sequential": (
        lambda f: f.flat_map_sequential(late, concurrency=3, prefetch=2),
        lambda x: x,
    ),
    "flat_map, one at a time": (
        lambda f: f.flat_map(twice, concurrency=1, prefetch=1),
        lambda x: [v for v in x for _ in range(2)],
    ),
    "zip": (lambda f: f.zip_with(Flux.range(0, 5)), lambda x: list(zip(x, range(5), strict=False))),
    "start_with": (lambda f: f.start_with(7, 8), lambda x: [7, 8, *x]),
    "repeat": (lambda f: f.take(4).repeat(2), lambda x: x[:4] * 3),
    "limit_rate": (lambda f: f.limit_rate(3), lambda x: x),
    "publish": (lambda f: f.publish(prefetch=2).auto_connect(), lambda x: x),
    "replay": (lambda f: f.replay(1).auto_connect(), lambda x: x),
    "on_backpressure_buffer": (lambda f: f.on_backpressure_buffer(), lambda x: x),
}
ANY_ORDER: dict[str, tuple[Build, Expect]] = {
    "flat_map of coroutines": (lambda f: f.flat_map(late, concurrency=3), lambda x: x),
    "flat_map of streams": (
        lambda f: f.flat_map(lambda v: Mono.from_callable(lambda: late(v)), concurrency=3),
        lambda x: x,
    ),
    "merge": (lambda f: Flux.merge(f, f.map(lambda v: -v)), lambda x: x + [-v for v in x]),
    "group_by": (
        lambda f: f.group_by(lambda v: v % 3).flat_map(lambda group: group.flux),
        lambda x: x,
    ),
}


class Reader:
    """Asks for what the plan says, and notes when it gets more than it asked for."""

    def __init__(self, cancel_after: int | None) -> None:
        self.seen: list[Any] = []
        self.asked = 0
        self.ends = 0
        self.cancel_after = cancel_after
        self.cancelled = False
        self.subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription, /) -> None:
        self.subscription = subscription

    def ask(self, n: int) -> None:
        assert self.subscription is not None
        self.asked += n
        self.subscription.request(n)

    def on_next(self, value: Any, /) -> None:
        assert not self.ends, "a value after the end"
        assert not self.cancelled, "a value after cancel"
        self.seen.append(value)
        assert len(self.seen) <= self.asked, "a value beyond demand"
        if self.cancel_after == len(self.seen):
            self.cancelled = True
            assert self.subscription is not None
            self.subscription.cancel()

    def on_error(self, error: Exception, /) -> None:
        raise error

    def on_complete(self) -> None:
        assert not self.cancelled, "an end after cancel"
        self.ends += 1


def source_of(kind: str, values: Values) -> tuple[Flux[int], list[int]]:
    """A source of those values; the list counts how often it was opened minus closed."""
    still_open = [0]

    async def generator() -> AsyncIterator[int]:
        still_open[0] += 1
        try:
            for value in values:
                if value % 2:
                    await anyio.lowlevel.checkpoint()
                yield value
        finally:
            still_open[0] -= 1

    made = {
        "fused": Flux.from_iterable(values),
        "unfused": Flux.from_iterable(values).hide(),
        "asynchronous": Flux.from_async_iterable(generator),
    }
    return made[kind], still_open


async def read(flux: Flux[Any], plan: list[int], cancel_after: int | None) -> Reader:
    """Run with the planned requests, turns of the loop between them, then without bound."""
    reader = Reader(cancel_after)
    async with Scope() as scope:
        flux.subscribe(reader, scope=scope)
        for n in plan:
            reader.ask(n)
            for _ in range(n % 4):
                await anyio.lowlevel.checkpoint()
        reader.ask(UNBOUNDED)
    return reader


plans = st.lists(st.integers(1, 6), max_size=6)
kinds = st.sampled_from(["fused", "unfused", "asynchronous"])
numbers = st.lists(st.integers(0, 20), max_size=25)
cancels = st.one_of(st.none(), st.integers(1, 10))


@settings(deadline=None, max_examples=250)
@given(st.sampled_from(sorted(IN_ORDER)), kinds, numbers, plans, cancels)
def test_nothing_is_lost_doubled_or_moved(
    name: str, kind: str, values: Values, plan: list[int], cancel_after: int | None
):
    build, expect = IN_ORDER[name]
    source, still_open = source_of(kind, values)
    reader = anyio.run(read, build(source), plan, cancel_after)
    wanted = expect(values)
    if cancel_after is None or cancel_after > len(wanted):
        assert (reader.seen, reader.ends) == (wanted, 1)
    else:
        assert reader.seen == wanted[:cancel_after]
    assert still_open == [0]


@settings(deadline=None, max_examples=120)
@given(st.sampled_from(sorted(ANY_ORDER)), kinds, numbers, plans, cancels)
def test_nothing_is_lost_or_doubled_where_order_is_free(
    name: str, kind: str, values: Values, plan: list[int], cancel_after: int | None
):
    build, expect = ANY_ORDER[name]
    source, still_open = source_of(kind, values)
    reader = anyio.run(read, build(source), plan, cancel_after)
    wanted = sorted(expect(values))
    if cancel_after is None or cancel_after > len(wanted):
        assert (sorted(reader.seen), reader.ends) == (wanted, 1)
    else:
        assert len(reader.seen) == cancel_after
        rest = list(wanted)
        for value in reader.seen:
            rest.remove(value)
    assert still_open == [0]
