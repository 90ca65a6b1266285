"""on_error_continue: who drops the failing element, who is told, and where it does not reach."""

from collections.abc import Callable
from typing import Any

import anyio.lowlevel
import pytest

from labcore.reactive import Flux, Mono
from labcore.reactive.testing import StepVerifier, TestPublisher

Told = list[tuple[type[Exception], Any]]


def reciprocal(value: int) -> int:
    return 12 // value


async def reciprocal_later(value: int) -> int:
    await anyio.lowlevel.checkpoint()
    return 12 // value


def not_zero(value: int) -> int:
    assert 12 // value
    return value


LENIENT: dict[str, tuple[Callable[[Flux[int]], Flux[Any]], list[Any], Any]] = {
    "map": (lambda f: f.map(reciprocal), [12, 6], 0),
    "filter": (lambda f: f.filter(not_zero), [1, 2], 0),
    "handle": (lambda f: f.handle(lambda v, emit: emit(12 // v)), [12, 6], 0),
    "do_on_next": (lambda f: f.do_on_next(reciprocal), [1, 2], 0),
    "scan": (lambda f: f.scan(lambda sum_, v: sum_ + 12 // v, initial=0), [0, 12, 18], 0),
    "distinct": (lambda f: f.distinct(reciprocal), [1, 2], 0),
    "flat_map": (lambda f: f.flat_map(lambda v: Mono.just(12 // v)), [12, 6], 0),
    "flat_map of streams": (
        lambda f: f.flat_map(lambda v: Flux.just(v).concat_with(Mono.error(ZeroDivisionError()))),
        [1, 0, 2],
        None,
    ),
    "flat_map of coroutines": (lambda f: f.flat_map(reciprocal_later), [12, 6], None),
    "flat_map of coroutines, one at a time": (
        lambda f: f.flat_map(reciprocal_later, concurrency=1),
        [12, 6],
        None,
    ),
    "flat_map of functions above": (
        lambda f: f.flat_map(lambda v: Mono.just(v).map(reciprocal)),
        [12, 6],
        0,
    ),
    "concat_map": (lambda f: f.concat_map(lambda v: Mono.just(12 // v)), [12, 6], 0),
    "concat_map of coroutines": (lambda f: f.concat_map(reciprocal_later), [12, 6], None),
}


@pytest.mark.parametrize("hidden", [False, True])
@pytest.mark.parametrize("name", LENIENT)
def test_a_failing_element_is_dropped_and_told(name: str, *, hidden: bool):
    build, expected, element = LENIENT[name]
    told: Told = []
    source = Flux.just(1, 0, 2)
    flux = build(source.hide() if hidden else source)
    lenient = flux.on_error_continue(lambda error, value: told.append((type(error), value)))
    StepVerifier.create(lenient).expect_next(*expected).verify_complete()
    assert told[0] == (ZeroDivisionError, element)
    assert len(told) == (3 if name == "flat_map of streams" else 1)


@pytest.mark.parametrize("name", LENIENT)
def test_a_dropped_element_uses_up_no_demand(name: str):
    build, expected, _ = LENIENT[name]
    flux = build(Flux.just(1, 0, 2).hide()).on_error_continue(lambda *_: None)
    script = StepVerifier.create(flux, 1)
    for value in expected:
        script = script.expect_next(value).then_request(1)
    script.verify_complete()


def test_a_fold_of_a_fused_segment_obeys_as_well():
    total = Flux.just(1, 0, 2).map(reciprocal).reduce(lambda a, b: a + b)
    assert total.on_error_continue(lambda *_: None).block() == 18


def test_a_mono_whose_element_is_dropped_is_empty():
    mono = Mono.just(0).map(reciprocal).on_error_continue(lambda *_: None)
    StepVerifier.create(mono).verify_complete()


def test_only_the_types_it_names_are_dropped():
    flux = Flux.just(1, 0, 2).map(reciprocal).on_error_continue(lambda *_: None, only=KeyError)
    StepVerifier.create(flux).expect_next(12).verify_error(ZeroDivisionError)


def test_an_error_of_the_action_ends_the_stream_and_names_what_it_was_told():
    def broken(*_: object) -> None:
        raise KeyError("no log")

    flux = Flux.just(1, 0, 2).map(reciprocal).on_error_continue(broken)
    StepVerifier.create(flux).expect_next(12).verify_error_matches(
        lambda error: (
            isinstance(error, KeyError) and isinstance(error.__context__, ZeroDivisionError)
        )
    )


def test_it_acts_above_and_not_below():
    flux = Flux.just(1, 0, 2).on_error_continue(lambda *_: None).map(reciprocal)
    StepVerifier.create(flux).expect_next(12).verify_error(ZeroDivisionError)


def test_the_failure_of_a_source_stays_a_failure():
    source: TestPublisher[int] = TestPublisher.create()
    flux = Flux.from_publisher(source).map(reciprocal).on_error_continue(lambda *_: None)
    script = StepVerifier.create(flux).then(lambda: source.next(1).error(OSError()))
    script.expect_next(12).verify_error(OSError)


def test_an_operator_that_does_not_know_of_it_ends_as_ever():
    flux = Flux.just(1, 0, 2).take_while(reciprocal).on_error_continue(lambda *_: None)
    StepVerifier.create(flux).expect_next(1).verify_error(ZeroDivisionError)


def test_on_error_stop_ends_its_reach():
    told: list[Any] = []
    flux = Flux.just(1, 0, 2).map(reciprocal).on_error_stop().filter(not_zero)
    lenient = flux.on_error_continue(lambda _, value: told.append(value))
    StepVerifier.create(lenient).expect_next(12).verify_error(ZeroDivisionError)
    assert told == []


def test_it_reaches_past_a_fallback_which_then_sees_nothing():
    flux = Flux.just(1, 0, 2).map(reciprocal).on_error_resume(lambda _: Flux.just(-1))
    lenient = flux.on_error_continue(lambda *_: None)
    StepVerifier.create(lenient).expect_next(12, 6).verify_complete()
