"""Operators beside list semantics, under random demand, cancellation and interleaving."""
# ruff: noqa: D102 - the readers are the protocols' methods

from collections.abc import AsyncIterator, Callable
from itertools import dropwhile, groupby, takewhile
from typing import Any

import anyio
import anyio.lowlevel
from hypothesis import given, settings
from hypothesis import strategies as st

from labcore.reactive import (
    UNBOUNDED,
    Flux,
    Mono,
    Overflow,
    Recording,
    Retry,
    Scope,
    SignalListener,
    Subscription,
)

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


def same(values: Values) -> Values:
    return values


def same_one(value: int) -> int:
    return value


def add(first: int, second: int) -> int:
    return first + second


def small(value: int) -> bool:
    return value < 15


def large(value: int) -> bool:
    return value > 15


def parity(value: int) -> int:
    return value % 2


def up_to_large(values: Values) -> Values:
    end = next((at for at, value in enumerate(values) if large(value)), len(values))
    return values[: end + 1]


def failing_late(flux: Flux[int]) -> Flux[int]:
    return flux.concat_with(Flux.error(OSError()))


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
    "handle": (
        lambda f: f.handle(lambda v, emit: emit(-v) if v % 2 else None),
        lambda x: [-v for v in x if v % 2],
    ),
    "index": (lambda f: f.index(), lambda x: list(enumerate(x))),
    "hide": (lambda f: f.hide(), same),
    "take": (lambda f: f.take(3), lambda x: x[:3]),
    "take_while": (lambda f: f.take_while(small), lambda x: list(takewhile(small, x))),
    "take_until": (lambda f: f.take_until(large), up_to_large),
    "skip_while": (lambda f: f.skip_while(small), lambda x: list(dropwhile(small, x))),
    "next": (lambda f: f.next().flux(), lambda x: x[:1]),
    "last": (lambda f: f.last().on_error_complete().flux(), lambda x: x[-1:]),
    "reduce": (lambda f: f.reduce(add).flux(), lambda x: [sum(x)] if x else []),
    "reduce_with": (lambda f: f.reduce_with(int, add).flux(), lambda x: [sum(x)]),
    "collect": (lambda f: f.collect(set, set.add).flux(), lambda x: [set(x)]),
    "collect_list": (lambda f: f.collect_list().flux(), lambda x: [x]),
    "collect_map": (lambda f: f.collect_map(parity).flux(), lambda x: [{parity(v): v for v in x}]),
    "count": (lambda f: f.count().flux(), lambda x: [len(x)]),
    "any": (lambda f: f.any(large).flux(), lambda x: [any(large(v) for v in x)]),
    "all": (lambda f: f.all(small).flux(), lambda x: [all(small(v) for v in x)]),
    "has_elements": (lambda f: f.has_elements().flux(), lambda x: [bool(x)]),
    "default_if_empty": (lambda f: f.default_if_empty(7), lambda x: x or [7]),
    "switch_if_empty": (lambda f: f.switch_if_empty(Flux.just(7, 8)), lambda x: x or [7, 8]),
    "distinct_until_changed": (
        lambda f: f.distinct_until_changed(parity),
        lambda x: [next(group) for _, group in groupby(x, parity)],
    ),
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
    "concat": (lambda f: Flux.concat(f, Flux.just(7), f), lambda x: [*x, 7, *x]),
    "concat_with": (lambda f: f.concat_with(Flux.just(7, 8)), lambda x: [*x, 7, 8]),
    "then": (lambda f: f.then(Mono.just(7)).flux(), lambda _: [7]),
    "then_many": (lambda f: f.then_many(f), same),
    "static zip": (
        lambda f: Flux.zip(f, f, combine=add),
        lambda x: [2 * v for v in x],
    ),
    "or_": (lambda f: Flux.never().or_(f), same),
    "first_with_signal": (lambda f: Flux.first_with_signal(Flux.never(), f), same),
    "combine_latest": (
        lambda f: Flux.combine_latest(Flux.just(7), f),
        lambda x: [(7, v) for v in x],
    ),
    "defer": (lambda f: Flux.defer(lambda: f), same),
    "defer_contextual": (lambda f: Flux.defer_contextual(lambda _: f), same),
    "from_publisher": (Flux.from_publisher, same),
    "using": (lambda f: Flux.using(int, lambda _: f, same_one), same),
    "using_when": (lambda f: Flux.using_when(Mono.just(1), lambda _: f, late), same),
    "tap": (lambda f: f.tap(SignalListener), same),
    "record": (lambda f: f.record(Recording()), same),
    "do_on_next": (lambda f: f.do_on_next(parity), same),
    "do_on_error": (lambda f: f.do_on_error(str), same),
    "do_on_complete": (lambda f: f.do_on_complete(dict), same),
    "do_on_terminate": (lambda f: f.do_on_terminate(dict), same),
    "do_on_subscribe": (lambda f: f.do_on_subscribe(dict), same),
    "do_on_request": (lambda f: f.do_on_request(parity), same),
    "do_on_cancel": (lambda f: f.do_on_cancel(dict), same),
    "do_finally": (lambda f: f.do_finally(str), same),
    "context_write": (lambda f: f.context_write({"key": 1}), same),
    "on_error_return": (lambda f: failing_late(f).on_error_return(7), lambda x: [*x, 7]),
    "on_error_resume": (lambda f: failing_late(f).on_error_resume(lambda _: f), lambda x: x * 2),
    "on_error_complete": (lambda f: failing_late(f).on_error_complete(), same),
    "on_error_map": (
        lambda f: failing_late(f).on_error_map(lambda _: KeyError()).on_error_return(7),
        lambda x: [*x, 7],
    ),
    "on_error_continue": (
        lambda f: f.map(lambda v: v // parity(v)).on_error_continue(lambda *_: None),
        lambda x: [v for v in x if v % 2],
    ),
    "on_error_stop": (lambda f: f.map(same_one).on_error_stop(), same),
    "retry": (lambda f: failing_late(f).retry(1).on_error_complete(), lambda x: x * 2),
    "retry_when": (
        lambda f: failing_late(f).retry_when(Retry.max(1)).on_error_complete(),
        lambda x: x * 2,
    ),
    "retry_when with a companion": (
        lambda f: failing_late(f).retry_when(lambda failures: failures.take(2)),
        lambda x: x * 2,
    ),
    "repeat_when": (lambda f: f.repeat_when(lambda runs: runs.take(2)), lambda x: x * 2),
    "cache": (lambda f: f.cache(), same),
    "share": (lambda f: f.share(), same),
    "switch_map": (lambda f: f.take(1).switch_map(twice), lambda x: x[:1] * 2),
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
    "merge_with": (lambda f: f.merge_with(f.map(lambda v: -v)), lambda x: x + [-v for v in x]),
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


@settings(deadline=None, max_examples=400)
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


# Operators whose values no list can foretell, and what tries them instead.
ELSEWHERE = {
    "buffer_timeout": "time decides: test_batch.py",
    "create": "a source of callbacks: test_backpressure.py",
    "delay_elements": "time: test_time.py",
    "delay_subscription": "time: test_time.py",
    "empty": "nothing to ask for",
    "error": "nothing to ask for",
    "from_async_iterable": "the source of every asynchronous run here",
    "from_iterable": "the source of every other run here",
    "generate": "a source: the kit of rules",
    "interval": "time: test_create.py",
    "just": "a source: the kit of rules",
    "never": "nothing to ask for",
    "on_backpressure_drop": "demand decides what is lost: test_what_is_dropped_... below",
    "on_backpressure_error": "demand decides: test_backpressure.py",
    "on_backpressure_latest": "demand decides what is lost: test_what_is_dropped_... below",
    "publish_on": "threads: test_threads.py",
    "range": "a source: the kit of rules",
    "sample": "time: test_time.py",
    "subscribe_on": "threads: test_threads.py",
    "timeout": "time: test_time.py",
    "window_timeout": "time: test_windows.py",
}
DOORS = {"block_last", "feed", "for_each", "fusion", "label", "like", "scalar", "stream"}
DOORS |= {"subscribe", "to_async_iterable"}


def test_every_operator_stands_beside_a_list_or_says_where_it_is_tried():
    tried = {name.split()[0].removesuffix(",") for name in (*IN_ORDER, *ANY_ORDER)} | {"zip"}
    named = {"zip_with", "flat_map"}
    public = {name for name in dir(Flux) if not name.startswith("_")} - DOORS
    assert public - tried - named == ELSEWHERE.keys()
    assert not tried & ELSEWHERE.keys()


LOSSY: dict[str, Build] = {
    "drop": lambda f: f.on_backpressure_drop(),
    "latest": lambda f: f.on_backpressure_latest(),
    "keep the newest": lambda f: f.on_backpressure_buffer(3, overflow=Overflow.DROP_OLDEST),
    "keep the oldest": lambda f: f.on_backpressure_buffer(3, overflow=Overflow.DROP_LATEST),
}


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(sorted(LOSSY)), kinds, st.integers(0, 25), plans, cancels)
def test_what_is_dropped_leaves_the_rest_in_order(
    name: str, kind: str, count: int, plan: list[int], cancel_after: int | None
):
    source, still_open = source_of(kind, list(range(count)))
    reader = anyio.run(read, LOSSY[name](source), plan, cancel_after)
    assert reader.seen == sorted(set(reader.seen))
    if cancel_after is None or cancel_after > len(reader.seen):
        assert reader.ends == 1
        if name in {"latest", "keep the newest"} and count:
            assert reader.seen[-1] == count - 1
    assert still_open == [0]
