"""`labcore bench reactive`: our streams beside aiostream, reactivex and code written by hand.

All contestants of a case run in turn, in one process and one run, and are compared by the CPU time of
the process: on a shared machine wall time says little. Each of the peers gets its fastest form:
reactivex reads `from_iterable` (its `range` is 15 times slower), aiostream a plain generator, too.
"""
# ruff: noqa: D103 - a contestant's name is its sentence

import asyncio
import gc
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import aiostream
import pandas as pd
import reactivex
from reactivex import operators as rx
from reactivex.scheduler.eventloop import AsyncIOScheduler

from labcore.reactive import UNBOUNDED, Flux, Scope, Subscription

SUMMARY = "Flux beside aiostream, reactivex, async generators and hand-written code, by CPU time"

STALL_ELEMENTS = 200_000
STALL_LIMIT_MS = 5.0
READERS = 100  # subscribers of the share case
AT_ONCE = 64  # calls, and inner streams
SOURCES = 8  # merged

Run = Callable[[int], Awaitable[int]]
OURS = "labcore"


@dataclass(frozen=True, slots=True)
class Case:
    """One row group: how many elements, and who runs; `targets` are least ratios of ours to theirs."""

    name: str
    n: int
    runs: dict[str, Run]
    targets: dict[str, float]


def run(*, quick: bool) -> pd.DataFrame:
    """One row per case and library: elements per CPU second, its spread, and how much faster ours is.

    `elements_per_cpu_s` is the median over the repeats, `spread` half the distance between the
    quartiles as a share of it, `ratio` ours over theirs, `target` the least ratio asked for. The rows
    `stall` have `stall_ms` instead, how long another task had to wait for its turn, and there `target`
    is the longest wait allowed.
    """
    repeats = 3 if quick else 9
    rows: list[dict[str, object]] = []
    for case in cases(quick=quick):
        rows.extend(rows_of(case, repeats))
    return pd.DataFrame([*rows, *stall_rows(repeats)])


def stall_rows(repeats: int) -> list[dict[str, object]]:
    """How long 200,000 elements keep another task waiting: the median of the longest waits."""
    rows: list[dict[str, object]] = []
    for name, contestant in STALLS.items():
        waits_ms = [asyncio.run(longest_wait_ms(contestant)) for _ in range(repeats)]
        row: dict[str, object] = {"case": "stall", "library": name, "n": STALL_ELEMENTS}
        limit_ms = STALL_LIMIT_MS if name.startswith(OURS) else None
        rows.append(row | {"stall_ms": round(statistics.median(waits_ms), 2), "target": limit_ms})
    return rows


async def longest_wait_ms(contestant: Run) -> float:
    """The longest time between two turns of a task that always wants one.

    In CPU time of this thread: what other processes take away is not the library's doing.
    """
    turns_s: list[float] = []

    async def other() -> None:
        while True:
            turns_s.append(time.thread_time())
            await asyncio.sleep(0)

    task = asyncio.ensure_future(other())
    await asyncio.sleep(0)
    gc.collect()
    turns_s.append(time.thread_time())
    await contestant(STALL_ELEMENTS)
    turns_s.append(time.thread_time())
    task.cancel()
    return 1000 * max(after - before for before, after in pairwise(turns_s[1:]))


def rows_of(case: Case, repeats: int) -> list[dict[str, object]]:
    """Run the contestants of one case in turn, `repeats` times."""
    rates: dict[str, list[float]] = {name: [] for name in case.runs}
    for _ in range(repeats):
        for name, contestant in case.runs.items():
            rates[name].append(rate(contestant, case.n))
    ours = statistics.median(rates[OURS])
    return [
        {
            "case": case.name,
            "library": name,
            "n": case.n,
            "elements_per_cpu_s": round(statistics.median(values)),
            "spread": round(spread(values), 3),
            "ratio": round(ours / statistics.median(values), 2),
            "target": case.targets.get(name),
        }
        for name, values in rates.items()
    ]


def rate(contestant: Run, n: int) -> float:
    """Elements per second of CPU time, in a loop of its own."""
    gc.collect()
    begin_s = time.process_time()
    seen = asyncio.run(_checked(contestant, n))
    return seen / (time.process_time() - begin_s)


async def _checked(contestant: Run, n: int) -> int:
    return await contestant(n)


def spread(values: list[float]) -> float:
    """Half the distance between the quartiles, as a share of the median."""
    if len(values) < 2:
        return 0.0
    low, _, high = statistics.quantiles(values, n=4)
    return (high - low) / 2 / statistics.median(values)


def plus_one(value: int) -> int:
    """The mapped function of every pipeline."""
    return value + 1


def odd(value: int) -> bool:
    """The filter of every pipeline."""
    return value & 1 == 1


async def numbers(n: int) -> AsyncIterator[int]:
    """A plain asynchronous source."""
    for value in range(n):
        yield value


async def call(value: int) -> int:
    """A call that waits one turn of the loop."""
    await asyncio.sleep(0)
    return value


# The pipeline: range, map, filter, count.


async def pipeline_loop(n: int) -> int:
    seen = 0
    for value in range(n):
        if odd(plus_one(value)):
            seen += 1
    return n


async def pipeline_ours(n: int) -> int:
    await Flux.range(0, n).map(plus_one).filter(odd).count()
    return n


async def pipeline_unfused(n: int) -> int:
    await Flux.range(0, n).hide().map(plus_one).filter(odd).count()
    return n


async def pipeline_stream(n: int) -> int:
    async with Flux.range(0, n).map(plus_one).filter(odd).stream() as items:
        async for _ in items:
            pass
    return n


async def pipeline_generators(n: int) -> int:
    async def mapped(values: AsyncIterator[int]) -> AsyncIterator[int]:
        async for value in values:
            yield plus_one(value)

    async def filtered(values: AsyncIterator[int]) -> AsyncIterator[int]:
        async for value in values:
            if odd(value):
                yield value

    async for _ in filtered(mapped(numbers(n))):
        pass
    return n


async def pipeline_reactivex(n: int) -> int:
    source: Any = reactivex.from_iterable(range(n))
    source.pipe(rx.map(plus_one), rx.filter(odd), rx.count()).subscribe(lambda _: None)
    return n


async def pipeline_subscriber(n: int) -> int:
    async with Scope() as scope:
        Flux.range(0, n).map(plus_one).filter(odd).subscribe(Reader(UNBOUNDED), scope=scope)
    return n


async def pipeline_aiostream(n: int) -> int:
    return await _aiostream_pipeline(aiostream.stream.range(n), n)


async def pipeline_aiostream_generator(n: int) -> int:
    return await _aiostream_pipeline(aiostream.stream.iterate(numbers(n)), n)


async def _aiostream_pipeline(source: Any, n: int) -> int:
    pipe: Any = aiostream.pipe  # its types know neither plain functions nor limits
    flow = source | pipe.map(plus_one) | pipe.filter(odd)
    async with flow.stream() as streamer:
        async for _ in streamer:
            pass
    return n


# Calls of a coroutine function, 64 at a time.


async def calls_ours(n: int) -> int:
    return await Flux.range(0, n).flat_map(call, concurrency=AT_ONCE).count()


async def calls_workers(n: int) -> int:
    waiting = iter(range(n))

    async def worker() -> None:
        for value in waiting:
            await call(value)

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())
    return n


async def calls_aiostream(n: int) -> int:
    pipe: Any = aiostream.pipe
    flow = aiostream.stream.range(n) | pipe.map(call, task_limit=AT_ONCE)
    async with flow.stream() as streamer:
        async for _ in streamer:
            pass
    return n


async def calls_reactivex(n: int) -> int:
    scheduler = AsyncIOScheduler(asyncio.get_running_loop())

    def deferred(value: int) -> Any:
        return reactivex.defer(lambda _: reactivex.from_future(asyncio.ensure_future(call(value))))

    return await _reactivex_end(
        reactivex.from_iterable(range(n)).pipe(rx.map(deferred), rx.merge(max_concurrent=AT_ONCE)),
        n,
        scheduler,
    )


async def _reactivex_end(source: Any, n: int, scheduler: Any) -> int:
    end = asyncio.get_running_loop().create_future()
    source.pipe(rx.count()).subscribe(
        on_next=end.set_result, on_error=end.set_exception, scheduler=scheduler
    )
    await end
    return n


# flat_map over 64 inner asynchronous streams at a time.

PER_STREAM = 100


async def flatten_ours(n: int) -> int:
    inner = Flux.from_async_iterable(lambda: numbers(PER_STREAM))
    return await (
        Flux.range(0, n // PER_STREAM).flat_map(lambda _: inner, concurrency=AT_ONCE).count()
    )


async def flatten_queue(n: int) -> int:
    return await _queued(n // PER_STREAM, PER_STREAM)


async def _queued(sources: int, each: int) -> int:
    """All sources into one queue, at most 64 of them at a time."""
    queue: asyncio.Queue[int | None] = asyncio.Queue(256)
    places = asyncio.Semaphore(AT_ONCE)

    async def pump() -> None:
        async with places:
            async for value in numbers(each):
                await queue.put(value)
        await queue.put(None)

    seen, open_sources = 0, sources
    async with asyncio.TaskGroup() as group:
        for _ in range(sources):
            group.create_task(pump())
        while open_sources:
            if await queue.get() is None:
                open_sources -= 1
            else:
                seen += 1
    return seen


async def flatten_aiostream(n: int) -> int:
    pipe: Any = aiostream.pipe
    flow = aiostream.stream.range(n // PER_STREAM) | pipe.flatmap(
        lambda _: aiostream.stream.iterate(numbers(PER_STREAM)), task_limit=AT_ONCE
    )
    async with flow.stream() as streamer:
        async for _ in streamer:
            pass
    return n


# Merge of eight, zip of two.


async def merge_ours(n: int) -> int:
    each = n // SOURCES
    parts = [Flux.from_async_iterable(lambda: numbers(each)) for _ in range(SOURCES)]
    return await Flux.merge(*parts).count()


async def merge_queue(n: int) -> int:
    return await _queued(SOURCES, n // SOURCES)


async def merge_aiostream(n: int) -> int:
    flow = aiostream.stream.merge(*[numbers(n // SOURCES) for _ in range(SOURCES)])
    async with flow.stream() as streamer:
        async for _ in streamer:
            pass
    return n


async def merge_reactivex(n: int) -> int:
    parts = [reactivex.from_iterable(range(n // SOURCES)) for _ in range(SOURCES)]
    reactivex.merge(*parts).pipe(rx.count()).subscribe(lambda _: None)
    return n


async def zip_ours(n: int) -> int:
    left = Flux.from_async_iterable(lambda: numbers(n))
    right = Flux.from_async_iterable(lambda: numbers(n))
    return await Flux.zip(left, right).count()


async def zip_synchronous(n: int) -> int:
    return await Flux.zip(Flux.range(0, n), Flux.range(0, n)).count()


async def zip_steps(n: int) -> int:
    left, right = numbers(n), numbers(n)
    seen = 0
    try:
        while True:
            (await anext(left), await anext(right))
            seen += 1
    except StopAsyncIteration:
        return seen


async def zip_aiostream(n: int) -> int:
    async with aiostream.stream.zip(numbers(n), numbers(n)).stream() as streamer:
        async for _ in streamer:
            pass
    return n


async def zip_reactivex(n: int) -> int:
    pairs = reactivex.zip(reactivex.from_iterable(range(n)), reactivex.from_iterable(range(n)))
    pairs.pipe(rx.count()).subscribe(lambda _: None)
    return n


# Share with 100 subscribers; elements are deliveries.


class Reader:
    """A subscriber that asks for 256 and, each time it has seen 192, for 192 more."""

    def __init__(self, first: int = 256) -> None:
        self.first = first
        self.seen = 0
        self.credit = 0
        self.subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription, /) -> None:
        """Ask for the first window."""
        self.subscription = subscription
        subscription.request(self.first)

    def on_next(self, _: int, /) -> None:
        """Count, and ask again at the low tide."""
        self.seen += 1
        self.credit += 1
        if self.credit == 192 and self.subscription is not None:
            self.credit = 0
            self.subscription.request(192)

    def on_error(self, error: Exception, /) -> None:
        """Nothing fails here."""
        raise error

    def on_complete(self) -> None:
        """The count stands."""


class Counter:
    """What a subscriber without demand is: a call per value."""

    def __init__(self) -> None:
        self.seen = 0

    def on_next(self, _: int) -> None:
        """Count."""
        self.seen += 1


async def share_ours(n: int) -> int:
    shared = Flux.range(0, n // READERS).hide().publish().auto_connect(READERS)
    readers = [Reader() for _ in range(READERS)]
    async with Scope() as scope:
        for reader in readers:
            shared.subscribe(reader, scope=scope)
    return sum(reader.seen for reader in readers)


async def share_calls(n: int) -> int:
    counters = [Counter() for _ in range(READERS)]
    calls: Iterable[Callable[[int], None]] = [counter.on_next for counter in counters]
    for value in range(n // READERS):
        for deliver in calls:
            deliver(value)
    return sum(counter.seen for counter in counters)


async def share_reactivex(n: int) -> int:
    counters = [Counter() for _ in range(READERS)]
    shared = reactivex.from_iterable(range(n // READERS)).pipe(rx.publish())
    for counter in counters:
        shared.subscribe(counter.on_next)
    shared.connect()
    return sum(counter.seen for counter in counters)


# One hop from task to task.


async def hop_ours(n: int) -> int:
    seen = 0
    async with Flux.from_async_iterable(lambda: numbers(n)).stream() as items:
        async for _ in items:
            seen += 1
    return seen


async def hop_queue(n: int) -> int:
    return await _queued(1, n)


STALLS: dict[str, Run] = {
    f"{OURS}, counted": pipeline_ours,
    f"{OURS}, unfused": pipeline_unfused,
    f"{OURS}, to a subscriber": pipeline_subscriber,
    f"{OURS}, async for": pipeline_stream,
    "async generators": pipeline_generators,
    "reactivex": pipeline_reactivex,
    "aiostream, its range": pipeline_aiostream,
}


def cases(*, quick: bool) -> list[Case]:
    """Everything that is measured, with the ratios we aim at."""
    scale = 1 if quick else 4
    return [
        Case(
            "pipeline",
            250_000 * scale,
            {
                OURS: pipeline_ours,
                "for loop": pipeline_loop,
                "labcore, unfused": pipeline_unfused,
                "labcore, async for": pipeline_stream,
                "async generators": pipeline_generators,
                "reactivex": pipeline_reactivex,
                "aiostream, its range": pipeline_aiostream,
                "aiostream, a generator": pipeline_aiostream_generator,
            },
            {
                "for loop": 0.5,
                "reactivex": 2.0,
                "aiostream, its range": 20.0,
                "aiostream, a generator": 7.0,
            },
        ),
        Case(
            "calls, 64 at a time",
            10_000,
            {
                OURS: calls_ours,
                "64 workers": calls_workers,
                "aiostream": calls_aiostream,
                "reactivex": calls_reactivex,
            },
            {"aiostream": 30.0, "reactivex": 30.0},
        ),
        Case(
            "flat_map, 64 streams",
            25_600 * scale,
            {OURS: flatten_ours, "asyncio.Queue": flatten_queue, "aiostream": flatten_aiostream},
            {},
        ),
        Case(
            "merge of 8",
            50_000 * scale,
            {
                OURS: merge_ours,
                "asyncio.Queue": merge_queue,
                "aiostream": merge_aiostream,
                "reactivex, synchronous": merge_reactivex,
            },
            {"aiostream": 40.0},
        ),
        Case(
            "zip of 2",
            25_000 * scale,
            {
                OURS: zip_ours,
                "stepped by hand": zip_steps,
                "aiostream": zip_aiostream,
            },
            {"aiostream": 15.0},
        ),
        Case(
            "zip of 2, synchronous",
            25_000 * scale,
            {OURS: zip_synchronous, "reactivex": zip_reactivex},
            {"reactivex": 4.0},
        ),
        Case(
            "share to 100",
            500_000 * scale,
            {OURS: share_ours, "plain calls": share_calls, "reactivex": share_reactivex},
            {"reactivex": 0.9},
        ),
        Case(
            "one task hop",
            100_000 * scale,
            {OURS: hop_ours, "asyncio.Queue(256)": hop_queue},
            {},
        ),
    ]
