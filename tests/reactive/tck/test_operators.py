"""Every source and every operator keeps every rule that applies to it.

Each operator is one line: given a base that makes a stream of `n` elements, a pipeline that signals
exactly `n` again. Each line is checked over a fused, an unfused and an asynchronous base.
"""

import itertools
import threading
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from functools import partial
from typing import Any

import pytest

from labcore.reactive import (
    Flux,
    ManySink,
    Mono,
    OneSink,
    Publisher,
    Recording,
    Retry,
    SignalListener,
    Sinks,
)
from labcore.reactive.tck import (
    Check,
    RuleBroken,
    endless_rule,
    fusion_rule,
    processor_rules,
    publisher_rules,
    stop_iteration_rule,
)

Base = Callable[[int], Flux[Any]]
Pipeline = Callable[[Base, int], Publisher[Any]]
Make = Callable[[int], Publisher[Any]]


class PlantedError(Exception):
    """What a failing base fails with."""


def fused(n: int) -> Flux[int]:
    return Flux.range(0, n)


def unfused(n: int) -> Flux[int]:
    return Flux.range(0, n).hide()


def asynchronous(n: int) -> Flux[int]:
    async def count() -> AsyncIterator[int]:
        for value in range(n):
            yield value

    return Flux.from_async_iterable(count)


def failing(_: int) -> Flux[Any]:
    return Flux.error(PlantedError("planted"))


def endless(_: int) -> Flux[int]:
    return Flux.from_iterable(itertools.count())


BASES: dict[str, Base] = {"fused": fused, "unfused": unfused, "asynchronous": asynchronous}


class Ready:
    """An awaitable that may be left unawaited and awaited again, as a coroutine may not."""

    def __await__(self) -> Generator[None, None, int]:
        yield from ()
        return 7


def emit_all(n: int, sink: Any) -> None:
    """Emit `n` numbers, asked for or not, then complete."""
    for value in range(n):
        sink.next(value)
    sink.complete()


def filled(sink: ManySink[int], n: int) -> Flux[int]:
    for value in range(n):
        sink.try_emit_next(value).or_throw()
    sink.try_emit_complete().or_throw()
    return sink.as_flux()


def filled_one(n: int) -> Mono[int]:
    sink: OneSink[int] = Sinks.one()
    (sink.try_emit_value(7) if n else sink.try_emit_empty()).or_throw()
    return sink.as_mono()


class Listener(SignalListener[Any]):
    """Hears everything and does nothing."""


class ThreadEach:
    """A scheduler that starts a thread for each task and keeps none."""

    def execute(self, task: Callable[[], None]) -> None:
        """Run the task soon."""
        threading.Thread(target=task).start()


async def value_of(n: int) -> int:
    return n


def callable_of(n: int) -> Mono[int]:
    return Mono.from_callable(lambda: 7) if n else Mono.empty()


SOURCES: dict[str, Make] = {
    "Flux.just": lambda n: Flux.just(*range(n)),
    "Flux.range": lambda n: Flux.range(0, n),
    "Flux.from_iterable of a list": lambda n: Flux.from_iterable(list(range(n))),
    "Flux.from_iterable of a generator": lambda n: Flux.from_iterable(i for i in range(n)),
    "Flux.from_async_iterable": asynchronous,
    "Flux.from_publisher": lambda n: Flux.from_publisher(Flux.range(0, n)),
    "Flux.defer": lambda n: Flux.defer(lambda: Flux.range(0, n)),
    "Flux.generate": lambda n: Flux.generate(
        lambda at: (at, at + 1) if at < n else None, state=lambda: 0
    ),
    "Flux.create": lambda n: Flux.create(partial(emit_all, n)),
    "Flux.interval": lambda n: Flux.interval(1).on_backpressure_buffer().take(n),
    "Flux.subscribe_on of a generator": lambda n: Flux.from_iterable(
        i for i in range(n)
    ).subscribe_on(ThreadEach()),
    "Sinks unicast": lambda n: filled(Sinks.many().unicast().on_backpressure_buffer(), n),
    "Sinks replay": lambda n: filled(Sinks.many().replay().all(), n),
}
MONO_SOURCES: dict[str, Make] = {
    "Flux.empty": lambda _: Flux.empty(),
    "Mono.just": lambda n: Mono.just(1) if n else Mono.empty(),
    "Mono.just_or_empty": lambda n: Mono.just_or_empty(n or None),
    "Mono.defer": lambda n: Mono.defer(lambda: Mono.just(1) if n else Mono.empty()),
    "Mono.from_callable": callable_of,
    "Mono.from_callable of a coroutine": lambda n: (
        Mono.from_callable(lambda: value_of(n)) if n else Mono.empty()
    ),
    "Mono.from_awaitable": lambda n: Mono.from_awaitable(Ready()) if n else Mono.empty(),
    "Mono.from_publisher": lambda n: Mono.from_publisher(Flux.range(0, n)),
    "Sinks one": filled_one,
    "Mono.delay": lambda n: Mono.delay(1) if n else Mono.empty(),
}

OPERATORS: dict[str, Pipeline] = {
    "map": lambda base, n: base(n).map(lambda value: value + 1),
    "filter": lambda base, n: base(2 * n).filter(lambda value: value % 2),
    "handle": lambda base, n: base(2 * n).handle(
        lambda value, emit: emit(value) if value % 2 else None
    ),
    "scan": lambda base, n: base(n).scan(lambda total, value: total + value, initial=0).skip(1),
    "index": lambda base, n: base(n).index(),
    "take": lambda base, n: base(n + 5).take(n),
    "take_while": lambda base, n: base(n + 5).take_while(lambda value: value < n),
    "take_until": lambda base, n: base(n + 5).take_until(lambda value: value >= n - 1).take(n),
    "skip": lambda base, n: base(n + 5).skip(5),
    "skip_while": lambda base, n: base(n + 5).skip_while(lambda value: value < 5),
    "distinct": lambda base, n: base(2 * n).distinct(lambda value: value // 2),
    "distinct_until_changed": lambda base, n: base(2 * n).distinct_until_changed(
        lambda value: value // 2
    ),
    "hide": lambda base, n: base(n).hide(),
    "default_if_empty": lambda base, n: base(n).default_if_empty(0).take(n),
    "switch_if_empty": lambda base, n: base(0).switch_if_empty(base(n)),
    "flat_map": lambda base, n: base(n).flat_map(Mono.just),
    "flat_map of streams": lambda base, n: base(n).flat_map(
        lambda value: Flux.just(value).hide(), concurrency=4, prefetch=2
    ),
    "flat_map of coroutines": lambda base, n: base(n).flat_map(value_of, concurrency=4),
    "flat_map_sequential": lambda base, n: base(n).flat_map_sequential(
        lambda value: Flux.just(value).hide(), concurrency=4, prefetch=2
    ),
    "concat_map": lambda base, n: base(n).concat_map(lambda value: Flux.just(value).hide()),
    "concat_map of coroutines": lambda base, n: base(n).concat_map(value_of),
    "merge": lambda base, n: Flux.merge(base(n // 2), base(n - n // 2)),
    "merge_with": lambda base, n: base(n // 2).merge_with(base(n - n // 2)),
    "concat": lambda base, n: Flux.concat(base(n // 2), base(n - n // 2)),
    "concat_with": lambda base, n: base(n // 2).concat_with(base(n - n // 2)),
    "start_with": lambda base, n: base(n - 1).start_with(7) if n else base(0),
    "zip": lambda base, n: Flux.zip(base(n), base(n + 3)),
    "zip_with": lambda base, n: base(n + 3).zip_with(base(n)),
    "combine_latest": lambda base, n: Flux.combine_latest(Flux.just(1), base(n)),
    "first_with_signal": lambda base, n: Flux.first_with_signal(Flux.never(), base(n)),
    "or_": lambda base, n: base(n).or_(Flux.never()),
    "then_many": lambda base, n: base(3).then_many(base(n)),
    "defer_contextual": lambda base, n: Flux.defer_contextual(lambda _: base(n)),
    "context_write": lambda base, n: base(n).context_write({"key": "value"}),
    "using": lambda base, n: Flux.using(lambda: 1, lambda _: base(n), lambda _: None),
    "using_when": lambda base, n: Flux.using_when(Mono.just(1), lambda _: base(n), Mono.just),
    "do_on_next": lambda base, n: base(n).do_on_next(lambda _: None),
    "do_on_error": lambda base, n: base(n).do_on_error(lambda _: None),
    "do_on_complete": lambda base, n: base(n).do_on_complete(lambda: None),
    "do_on_terminate": lambda base, n: base(n).do_on_terminate(lambda: None),
    "do_on_subscribe": lambda base, n: base(n).do_on_subscribe(lambda: None),
    "do_on_request": lambda base, n: base(n).do_on_request(lambda _: None),
    "do_on_cancel": lambda base, n: base(n).do_on_cancel(lambda: None),
    "do_finally": lambda base, n: base(n).do_finally(lambda _: None),
    "on_error_return": lambda base, n: base(n).on_error_return(7),
    "on_error_resume": lambda base, n: base(n).on_error_resume(lambda _: Flux.empty()),
    "on_error_map": lambda base, n: base(n).on_error_map(lambda exc: PlantedError(str(exc))),
    "on_error_complete": lambda base, n: base(n).on_error_complete(),
    "on_error_continue": lambda base, n: (
        base(2 * n).map(lambda value: 1 // (value % 2)).on_error_continue(lambda *_: None)
    ),
    "on_error_stop": lambda base, n: base(n).on_error_stop(),
    "retry": lambda base, n: base(n).retry(2),
    "retry_when": lambda base, n: base(n).retry_when(Retry.fixed_delay(2, 0.01)),
    "retry_when with a companion": lambda base, n: base(n).retry_when(
        lambda failures: failures.concat_map(lambda one: Mono.error(one.failure))
    ),
    "repeat": lambda base, n: base(1).repeat(n - 1) if n else base(0),
    "repeat_when": lambda base, n: base(1).repeat_when(delay_s=0.01, times=n - 1) if n else base(0),
    "repeat_when with a companion": lambda base, n: (
        base(1).repeat_when(lambda runs: runs.take(n)) if n else base(0)
    ),
    "timeout": lambda base, n: base(n).timeout(10**6),
    "delay_elements": lambda base, n: base(n).delay_elements(0.01),
    "delay_subscription": lambda base, n: base(n).delay_subscription(0.01),
    "buffer": lambda base, n: base(2 * n).buffer(2),
    "buffer_timeout": lambda base, n: base(2 * n).buffer_timeout(2, 3600),
    "window": lambda base, n: base(2 * n).window(2).concat_map(lambda one: one.next()),
    "window_timeout": lambda base, n: (
        base(2 * n).window_timeout(2, 3600).concat_map(lambda one: one.next())
    ),
    "group_by": lambda base, n: (
        base(n).group_by(lambda value: value % 2).flat_map(lambda group: group.flux)
    ),
    "limit_rate": lambda base, n: base(n).limit_rate(8),
    "on_backpressure_buffer": lambda base, n: base(n).on_backpressure_buffer(),
    "publish_on": lambda base, n: base(n).publish_on(ThreadEach()).map(str),
    "subscribe_on": lambda base, n: base(n).subscribe_on(ThreadEach()),
    "subscribe_on, functions on both sides": lambda base, n: (
        base(n).hide().map(str).subscribe_on(ThreadEach()).map(str)
    ),
    "record": lambda base, n: base(n).record(Recording()),
    "tap": lambda base, n: base(n).tap(Listener),
    "share": lambda base, n: base(n).share(),
    "publish": lambda base, n: base(n).publish().ref_count(),
    "replay": lambda base, n: base(n).replay().auto_connect(),
    "cache": lambda base, n: base(n).cache(),
}
# Operators that lose elements on purpose, so that only the last one is certain.
LOSSY: dict[str, Pipeline] = {
    "switch_map": lambda base, n: base(n).switch_map(lambda value: Flux.just(value).hide()),
    "sample": lambda base, n: base(n).sample(0.01).on_backpressure_latest(),
    "on_backpressure_latest": lambda base, n: base(n).on_backpressure_latest(),
}
FOLDS: dict[str, Pipeline] = {
    "next": lambda base, n: base(n).next(),
    "last": lambda base, n: base(n).last() if n else base(0).next(),
    "reduce": lambda base, n: base(3 * n).reduce(max),
    "reduce_with": lambda base, n: base(n).reduce_with(list, lambda box, _: [*box, 1]).filter(bool),
    "collect": lambda base, n: base(n).collect(list, list.append).filter(bool),
    "collect_list": lambda base, n: base(n).collect_list().filter(bool),
    "collect_map": lambda base, n: base(n).collect_map(str).filter(bool),
    "count": lambda base, n: base(n).count().filter(bool),
    "any": lambda base, n: base(n).any(lambda value: value == 0).filter(bool),
    "all": lambda base, n: (
        base(n + 1).all(lambda value: value < n).map(lambda all_: not all_).filter(lambda _: n)
    ),
    "has_elements": lambda base, n: base(n).has_elements().filter(bool),
    "Mono.map": lambda base, n: base(n).next().map(str),
    "Mono.filter": lambda base, n: base(n).next().filter(lambda _: True),
    "Mono.hide": lambda base, n: base(n).next().hide(),
    "Mono.flux": lambda base, n: base(n).next().flux(),
    "Mono.default_if_empty": lambda base, n: base(n).next().default_if_empty(1).filter(lambda _: n),
    "Mono.switch_if_empty": lambda base, n: base(0).next().switch_if_empty(base(n).next()),
    "then": lambda base, n: base(3).then(base(n).next()),
    "Mono.then": lambda base, n: base(3).next().then(base(n).next()),
    "Mono.then_many": lambda base, n: base(3).next().then_many(base(n)),
    "Mono.flat_map": lambda base, n: base(n).next().flat_map(Mono.just),
    "Mono.flat_map of coroutines": lambda base, n: base(n).next().flat_map(value_of),
    "Mono.flat_map_many": lambda base, n: base(n).next().flat_map_many(Flux.just),
    "Mono.zip": lambda base, n: Mono.zip(base(n).next(), base(n).next()),
    "Mono.zip_with": lambda base, n: base(n).next().zip_with(base(1).next()),
    "Mono.zip_when": lambda base, n: base(n).next().zip_when(Mono.just),
    "Mono.when": lambda base, n: Mono.when(base(n).next()).then(base(n).next()),
    "Mono.first_with_signal": lambda base, n: Mono.first_with_signal(Mono.never(), base(n).next()),
    "Mono.or_": lambda base, n: base(n).next().or_(Mono.never()),
    "Mono.concat_with": lambda base, n: base(n).next().concat_with(base(0).next()),
    "Mono.merge_with": lambda base, n: base(n).next().merge_with(base(0).next()),
    "Mono.defer_contextual": lambda base, n: Mono.defer_contextual(lambda _: base(n).next()),
    "Mono.context_write": lambda base, n: base(n).next().context_write({"key": "value"}),
    "Mono.using": lambda base, n: Mono.using(
        lambda: 1, lambda _: base(n).next(), lambda _: None, eager=False
    ),
    "Mono.using_when": lambda base, n: Mono.using_when(
        Mono.just(1), lambda _: base(n).next(), Mono.just
    ),
    "Mono.do_on_next": lambda base, n: base(n).next().do_on_next(lambda _: None),
    "Mono.do_on_error": lambda base, n: base(n).next().do_on_error(lambda _: None),
    "Mono.do_on_complete": lambda base, n: base(n).next().do_on_complete(lambda: None),
    "Mono.do_on_terminate": lambda base, n: base(n).next().do_on_terminate(lambda: None),
    "Mono.do_on_subscribe": lambda base, n: base(n).next().do_on_subscribe(lambda: None),
    "Mono.do_on_request": lambda base, n: base(n).next().do_on_request(lambda _: None),
    "Mono.do_on_cancel": lambda base, n: base(n).next().do_on_cancel(lambda: None),
    "Mono.do_finally": lambda base, n: base(n).next().do_finally(lambda _: None),
    "Mono.on_error_return": lambda base, n: base(n).next().on_error_return(7),
    "Mono.on_error_resume": lambda base, n: base(n).next().on_error_resume(lambda _: Mono.empty()),
    "Mono.on_error_map": lambda base, n: (
        base(n).next().on_error_map(lambda exc: PlantedError(str(exc)))
    ),
    "Mono.on_error_complete": lambda base, n: base(n).next().on_error_complete(),
    "Mono.on_error_continue": lambda base, n: base(n).next().on_error_continue(lambda *_: None),
    "Mono.on_error_stop": lambda base, n: base(n).next().on_error_stop(),
    "Mono.publish_on": lambda base, n: base(n).next().publish_on(ThreadEach()).map(str),
    "Mono.subscribe_on": lambda base, n: base(n).next().map(str).subscribe_on(ThreadEach()),
    "Mono.retry": lambda base, n: base(n).next().retry(2),
    "Mono.retry_when": lambda base, n: base(n).next().retry_when(Retry.fixed_delay(2, 0.01)),
    "Mono.repeat": lambda base, n: base(n).next().repeat(0),
    "Mono.repeat_when": lambda base, n: base(n).next().repeat_when(delay_s=0.01, times=0),
    "Mono.timeout": lambda base, n: base(n).next().timeout(10**6),
    "Mono.delay_element": lambda base, n: base(n).next().delay_element(0.01),
    "Mono.delay_subscription": lambda base, n: base(n).next().delay_subscription(0.01),
    "Mono.cache": lambda base, n: base(n).next().cache(),
    "Mono.share": lambda base, n: base(n).next().share(),
    "Mono.record": lambda base, n: base(n).next().record(Recording()),
    "Mono.tap": lambda base, n: base(n).next().tap(Listener),
}
# Operators that may lose every element: only the rules that need none can be checked.
DROPPING: dict[str, Pipeline] = {
    "on_backpressure_drop": lambda base, n: base(n).on_backpressure_drop(),
    "on_backpressure_error": lambda base, n: base(n).on_backpressure_error(),
}
EVERY = OPERATORS | LOSSY | FOLDS | DROPPING
# Operators that turn an upstream error into something else than an error, or into another error.
RECOVERING = {"on_error_return", "on_error_resume", "on_error_complete"}
# Shared sources that stay connected when a subscriber leaves.
OUTLIVING = {"replay", "cache", "Mono.cache", "Mono.share"}
REPLACING = {"on_error_map", "retry_when"}
# Doors and parts of the machinery: they give no stream.
NO_OPERATORS = {
    "block",
    "block_last",
    "feed",
    "for_each",
    "fusion",
    "label",
    "like",
    "scalar",
    "stream",
    "subscribe",
    "to_async_iterable",
}


def bare(name: str) -> str:
    """`Mono.flat_map of coroutines` is `flat_map`."""
    return name.split(maxsplit=1)[0].removeprefix("Mono.")


USER_FUNCTIONS: dict[str, Callable[[Callable[..., Any]], Publisher[Any]]] = {
    "map": lambda f: Flux.range(0, 3).map(f),
    "map unfused": lambda f: Flux.range(0, 3).hide().map(f),
    "filter": lambda f: Flux.range(0, 3).filter(f),
    "filter unfused": lambda f: Flux.range(0, 3).hide().filter(f),
    "handle": lambda f: Flux.range(0, 3).handle(f),
    "scan": lambda f: Flux.range(0, 3).scan(f, initial=0),
    "take_while": lambda f: Flux.range(0, 3).take_while(f),
    "take_until": lambda f: Flux.range(0, 3).take_until(f),
    "skip_while": lambda f: Flux.range(0, 3).skip_while(f),
    "distinct": lambda f: Flux.range(0, 3).distinct(f),
    "distinct_until_changed": lambda f: Flux.range(0, 3).distinct_until_changed(f),
    "reduce": lambda f: Flux.range(0, 3).reduce(f),
    "reduce_with": lambda f: Flux.range(0, 3).reduce_with(lambda: 0, f),
    "collect": lambda f: Flux.range(0, 3).collect(list, f),
    "collect_map": lambda f: Flux.range(0, 3).collect_map(f),
    "any": lambda f: Flux.range(0, 3).any(f),
    "all": lambda f: Flux.range(0, 3).all(f),
    "generate": lambda f: Flux.generate(f, state=lambda: 0),
    "from_callable": Mono.from_callable,
    "defer": Flux.defer,
    "Mono.map": lambda f: Mono.just(1).map(f),
    "Mono.filter": lambda f: Mono.just(1).filter(f),
    "do_on_next": lambda f: Flux.range(0, 3).do_on_next(f),
    "do_on_next unfused": lambda f: Flux.range(0, 3).hide().do_on_next(f),
    "do_on_complete": lambda f: Flux.range(0, 3).do_on_complete(f),
    "do_on_request": lambda f: Flux.range(0, 3).do_on_request(f),
    "flat_map": lambda f: Flux.range(0, 3).flat_map(f),
    "flat_map_sequential": lambda f: Flux.range(0, 3).flat_map_sequential(f),
    "concat_map": lambda f: Flux.range(0, 3).concat_map(f),
    "switch_map": lambda f: Flux.range(0, 3).switch_map(f),
    "zip": lambda f: Flux.zip(Flux.range(0, 3), Flux.range(0, 3), combine=f),
    "zip_with": lambda f: Flux.range(0, 3).zip_with(Flux.range(0, 3), f),
    "on_error_map": lambda f: Flux.error(PlantedError()).on_error_map(f),
    "on_error_resume": lambda f: Flux.error(PlantedError()).on_error_resume(f),
    "retry filter": lambda f: Flux.error(PlantedError()).retry_when(Retry.max(1).with_filter(f)),
    "defer_contextual": Flux.defer_contextual,
    "context_write": lambda f: Flux.range(0, 3).context_write(f),
    "using": lambda f: Flux.using(f, lambda _: Flux.range(0, 3), lambda _: None),
    "group_by": lambda f: Flux.range(0, 3).group_by(f),
    "on_error_continue": lambda f: (
        Flux.range(0, 3).map(lambda value: 1 // value).on_error_continue(f)
    ),
    "tap": lambda f: Flux.range(0, 3).tap(f),
    "using_when": lambda f: Flux.using_when(Mono.just(1), f, Mono.just),
    "using_when clean-up": lambda f: Flux.using_when(Mono.just(1), Flux.just, f),
    "retry_when with a companion": lambda f: Flux.range(0, 3).retry_when(f),
    "repeat_when with a companion": lambda f: Flux.range(0, 3).repeat_when(f),
    "create": Flux.create,
    "publish_on map": lambda f: Flux.range(0, 3).publish_on(ThreadEach()).map(f),
    "subscribe_on map": lambda f: Flux.range(0, 3).map(f).subscribe_on(ThreadEach()),
    "Mono.flat_map": lambda f: Mono.just(1).flat_map(f),
    "Mono.flat_map_many": lambda f: Mono.just(1).flat_map_many(f),
    "Mono.zip": lambda f: Mono.zip(Mono.just(1), Mono.just(2), combine=f),
    "Mono.zip_when": lambda f: Mono.just(1).zip_when(f),
}


def broken(checks: Iterable[Check]) -> list[str]:
    """The findings of all checks, so that one run shows every broken rule of a pipeline."""
    findings = []
    for check in checks:
        try:
            check.run()
        except RuleBroken as exc:
            findings.append(f"{check}: {exc}")
    return findings


@pytest.mark.parametrize("name", SOURCES)
def test_a_source_keeps_the_rules(name: str):
    assert broken(publisher_rules(SOURCES[name])) == []


@pytest.mark.parametrize("name", MONO_SOURCES)
def test_a_source_of_at_most_one_keeps_the_rules(name: str):
    most = 0 if name == "Flux.empty" else 1
    assert broken(publisher_rules(MONO_SOURCES[name], max_elements=most)) == []


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_keeps_the_rules(name: str, base: str):
    pipeline = OPERATORS[name]
    failed = None if bare(name) in RECOVERING else lambda: pipeline(failing, 1)
    rules = publisher_rules(
        lambda n: pipeline(BASES[base], n), failed=failed, outlives=name in OUTLIVING
    )
    assert broken(rules) == []


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", FOLDS | LOSSY)
def test_a_fold_keeps_the_rules(name: str, base: str):
    pipeline = EVERY[name]
    failed = None if bare(name) in RECOVERING else lambda: pipeline(failing, 1)
    rules = publisher_rules(
        lambda n: pipeline(BASES[base], n),
        failed=failed,
        max_elements=1,
        outlives=name in OUTLIVING,
    )
    assert broken(rules) == []


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", DROPPING)
def test_an_operator_that_drops_keeps_the_rules(name: str, base: str):
    pipeline = DROPPING[name]
    failed = partial(pipeline, failing, 1)
    rules = publisher_rules(lambda n: pipeline(BASES[base], n), failed=failed, max_elements=0)
    assert broken(rules) == []


@pytest.mark.parametrize("name", EVERY)
def test_an_operator_is_a_processor(name: str):
    pipeline = EVERY[name]
    rules = processor_rules(
        lambda upstream: pipeline(lambda _: upstream.flux(), 3),
        passes_errors=bare(name) not in RECOVERING | REPLACING,
        outlives=name in OUTLIVING,
    )
    assert broken(rules) == []


@pytest.mark.parametrize("name", EVERY)
def test_fusion_changes_no_signal(name: str):
    pipeline = EVERY[name]
    assert broken([fusion_rule(lambda: pipeline(fused, 7), lambda: pipeline(unfused, 7))]) == []


@pytest.mark.parametrize("name", USER_FUNCTIONS)
def test_stop_iteration_is_an_error(name: str):
    assert broken([stop_iteration_rule(USER_FUNCTIONS[name])]) == []


@pytest.mark.parametrize("name", EVERY)
def test_an_endless_source_lets_the_loop_turn(name: str):
    pipeline = EVERY[name]
    assert broken([endless_rule(lambda: pipeline(endless, 10**9))]) == []


def test_every_operator_is_in_a_table():
    names = {*SOURCES, *MONO_SOURCES, *EVERY}
    covered = {name.split()[0].removeprefix("Flux.") for name in names}
    public = {name for name in dir(Flux) if not name.startswith("_")}
    public |= {f"Mono.{name}" for name in dir(Mono) if not name.startswith("_")}
    missing = {name for name in public if bare(name) not in NO_OPERATORS} - covered
    assert missing - {"Mono.empty", "Mono.error", "Mono.never", "error", "never"} == set()
