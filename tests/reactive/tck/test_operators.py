"""Every source and every operator keeps every rule that applies to it.

Each operator is one line: given a base that makes a stream of `n` elements, a pipeline that signals
exactly `n` again. Each line is checked over a fused, an unfused and an asynchronous base.
"""

import itertools
from collections.abc import AsyncIterator, Callable, Generator, Iterable
from typing import Any

import pytest

from labcore.reactive import Flux, Mono, Publisher
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
}
# Operators that turn an upstream error into something else.
RECOVERING: set[str] = set()

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
    failed = None if name in RECOVERING else lambda: pipeline(failing, 1)
    assert broken(publisher_rules(lambda n: pipeline(BASES[base], n), failed=failed)) == []


@pytest.mark.parametrize("base", BASES)
@pytest.mark.parametrize("name", FOLDS)
def test_a_fold_keeps_the_rules(name: str, base: str):
    pipeline = FOLDS[name]
    failed = None if name in RECOVERING else lambda: pipeline(failing, 1)
    rules = publisher_rules(lambda n: pipeline(BASES[base], n), failed=failed, max_elements=1)
    assert broken(rules) == []


@pytest.mark.parametrize("name", [*OPERATORS, *FOLDS])
def test_an_operator_is_a_processor(name: str):
    pipeline = {**OPERATORS, **FOLDS}[name]
    rules = processor_rules(
        lambda upstream: pipeline(lambda _: upstream.flux(), 3),
        passes_errors=name not in RECOVERING,
    )
    assert broken(rules) == []


@pytest.mark.parametrize("name", [*OPERATORS, *FOLDS])
def test_fusion_changes_no_signal(name: str):
    pipeline = {**OPERATORS, **FOLDS}[name]
    assert broken([fusion_rule(lambda: pipeline(fused, 7), lambda: pipeline(unfused, 7))]) == []


@pytest.mark.parametrize("name", USER_FUNCTIONS)
def test_stop_iteration_is_an_error(name: str):
    assert broken([stop_iteration_rule(USER_FUNCTIONS[name])]) == []


@pytest.mark.parametrize("name", [*OPERATORS, *FOLDS])
def test_an_endless_source_lets_the_loop_turn(name: str):
    pipeline = {**OPERATORS, **FOLDS}[name]
    assert broken([endless_rule(lambda: pipeline(endless, 10**9))]) == []
