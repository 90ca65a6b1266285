"""Operators that change, choose or fold, at their edges."""

from collections.abc import Callable

import pytest

from labcore.kernel import UsageError
from labcore.reactive import EmptyStreamError, Flux, Mono
from labcore.reactive.testing import StepVerifier, TestPublisher


def test_take_asks_for_no_more_than_it_takes():
    asked: list[int] = []
    StepVerifier.create(Flux.range(0, 9).do_on_request(asked.append).take(3)).expect_next(
        0, 1, 2
    ).verify_complete()
    assert asked == [3]


def test_take_nothing_ends_at_once():
    StepVerifier.create(Flux.never().take(0), 0).verify_complete()


def test_take_until_includes_the_last():
    flux = Flux.range(0, 9).take_until(lambda v: v == 2)
    StepVerifier.create(flux).expect_next(0, 1, 2).verify_complete()


def test_scan_begins_with_its_initial_value():
    flux = Flux.empty().scan(lambda a, b: a + b, initial=7)
    StepVerifier.create(flux).expect_next(7).verify_complete()


def test_handle_may_emit_one_value_only():
    def twice(value: int, emit: Callable[[int], None]) -> None:
        emit(value)
        emit(value)

    flux: Flux[int] = Flux.just(1).handle(twice)
    StepVerifier.create(flux).verify_error(ValueError)


def test_a_filter_asks_for_nothing_extra():
    asked: list[int] = []
    flux = Flux.range(0, 100).do_on_request(asked.append).hide().filter(lambda v: v > 97)
    StepVerifier.create(flux, 2).expect_next(98, 99).verify_complete()
    assert asked == [2]


def test_state_belongs_to_each_subscription():
    flux = Flux.just(1, 1, 2).distinct()
    for _ in range(2):
        StepVerifier.create(flux).expect_next(1, 2).verify_complete()
    skipping = Flux.range(0, 3).skip(2)
    for _ in range(2):
        StepVerifier.create(skipping).expect_next(2).verify_complete()


def test_the_last_of_nothing_is_an_error():
    StepVerifier.create(Flux.empty().last()).verify_error(EmptyStreamError)


def test_reducing_nothing_is_nothing():
    StepVerifier.create(Flux.empty().reduce(max)).verify_complete()
    StepVerifier.create(Flux.empty().hide().reduce(max)).verify_complete()


@pytest.mark.parametrize("hidden", [False, True])
def test_a_fold_asks_for_everything_and_answers_on_demand(*, hidden: bool):
    source = Flux.range(0, 3000)
    flux = (source.hide() if hidden else source).reduce(lambda a, b: a + b)
    (
        StepVerifier.with_virtual_time(lambda: flux, 0)
        .expect_no_event(1)
        .then_request(1)
        .expect_next(sum(range(3000)))
        .verify_complete()
    )


@pytest.mark.parametrize("hidden", [False, True])
def test_a_fold_that_raises_fails_and_stops(*, hidden: bool):
    seen: list[int] = []
    source = Flux.range(0, 9).do_on_next(seen.append)
    flux = (source.hide() if hidden else source).reduce(lambda a, b: a // (b - 2))
    StepVerifier.create(flux).verify_error(ZeroDivisionError)
    assert seen == [0, 1, 2]


def test_any_stops_at_the_first():
    source: TestPublisher[int] = TestPublisher.create()
    (
        StepVerifier.create(Flux.from_publisher(source).any(lambda v: v == 2))
        .then(lambda: source.next(1, 2))
        .expect_next(True)
        .verify_complete()
    )
    source.assert_cancelled()


def test_switch_if_empty_hands_its_demand_over():
    flux = Flux.empty().switch_if_empty(Flux.range(0, 9))
    StepVerifier.create(flux, 2).expect_next(0, 1).then_cancel().verify()


def test_fused_and_unfused_signal_the_same_with_a_failure_in_the_middle():
    def check(value: int) -> int:
        if value == 3:
            raise KeyError(value)
        return value

    for source in (Flux.range(0, 9), Flux.range(0, 9).hide()):
        StepVerifier.create(source.map(check)).expect_next(0, 1, 2).verify_error(KeyError)


def test_a_count_that_cannot_be_is_refused():
    builds: list[Callable[[], object]] = [
        lambda: Flux.range(0, -1),
        lambda: Flux.just(1).take(-1),
    ]
    for build in builds:
        with pytest.raises(UsageError):
            build()


def test_then_waits_for_the_end():
    source: TestPublisher[int] = TestPublisher.create()
    (
        StepVerifier.create(Flux.from_publisher(source).then(Mono.just("done")))
        .then(lambda: source.next(1))
        .then(source.complete)
        .expect_next("done")
        .verify_complete()
    )


def test_a_filter_behind_a_map_blames_the_right_one_of_the_two():
    def refuse(_: int) -> bool:
        raise KeyError("refuse")

    for source in (Flux.just(1), Flux.just(1).hide()):
        errors: list[Exception] = []
        flux = source.map(str).map(len).filter(refuse).do_on_error(errors.append)
        StepVerifier.create(flux).verify_error(KeyError)
        assert errors[0].__notes__ == ["in filter(refuse)"]
