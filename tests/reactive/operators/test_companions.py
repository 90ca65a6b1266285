"""Companions: a stream that says when its source is subscribed to again."""

import itertools
from typing import Any

import pytest

from labcore.kernel import UsageError
from labcore.reactive import Flux, Mono, RetrySignal
from labcore.reactive.testing import StepVerifier, TestPublisher


class PlantedError(Exception):
    """What the sources fail with."""


def failing(times: int) -> Mono[int]:
    """Fails so often, then gives the number of its calls."""
    calls = itertools.count()

    def call() -> int:
        if (number := next(calls)) < times:
            raise PlantedError(f"failure {number}")
        return number

    return Mono.from_callable(call)


def test_each_value_of_the_companion_is_another_attempt():
    script = StepVerifier.create(failing(3).retry_when(lambda failures: failures))
    script.expect_next(3).verify_complete()


def test_the_companion_decides_when():
    def waiting(failures: Flux[RetrySignal]) -> Flux[Any]:
        return failures.concat_map(lambda signal: Mono.delay(10.0 ** (signal.total_retries + 1)))

    (
        StepVerifier.with_virtual_time(lambda: failing(2).retry_when(waiting))
        .expect_subscription()
        .expect_no_event(10 + 99)
        .then_await(1)
        .expect_next(2)
        .verify_complete()
    )


def test_the_companion_sees_what_failed_and_how_often():
    seen: list[tuple[int, int, str]] = []

    def noting(failures: Flux[RetrySignal]) -> Flux[Any]:
        return failures.do_on_next(
            lambda one: seen.append((one.total_retries, one.total_retries_in_row, str(one.failure)))
        ).take(4)

    calls = itertools.count()
    source = Flux.defer(
        lambda: Flux.just(*range(next(calls) % 2)).concat_with(Flux.error(PlantedError("no")))
    )
    StepVerifier.create(source.retry_when(noting)).expect_next(0, 0).verify_complete()
    assert seen == [(0, 0, "no"), (1, 0, "no"), (2, 1, "no"), (3, 0, "no")]


@pytest.mark.parametrize(
    ("end", "kind"), [(Flux.error(KeyError("enough")), KeyError), (Flux.empty(), None)]
)
def test_the_end_of_the_companion_is_the_end(end: Flux[Any], kind: type[Exception] | None):
    retried = failing(9).retry_when(lambda failures: failures.take(1).then_many(end))
    script = StepVerifier.create(retried)
    if kind is None:
        script.verify_complete()
    else:
        script.verify_error(kind)


def test_a_companion_that_has_ended_lets_nothing_begin():
    source: TestPublisher[int] = TestPublisher.create()
    flux = Flux.from_publisher(source)
    StepVerifier.create(flux.retry_when(lambda _: Flux.empty())).verify_complete()
    StepVerifier.create(flux.repeat_when(lambda _: Flux.empty())).verify_complete()
    assert not source.was_subscribed


def test_the_end_of_the_companion_cancels_a_source_that_runs():
    source: TestPublisher[int] = TestPublisher.create()
    companion: TestPublisher[int] = TestPublisher.create()
    (
        StepVerifier.create(Flux.from_publisher(source).retry_when(lambda _: companion))
        .then(lambda: source.next(1))
        .expect_next(1)
        .then(companion.complete)
        .verify_complete()
    )
    source.assert_cancelled()


def test_the_end_of_the_source_cancels_the_companion():
    companion: TestPublisher[int] = TestPublisher.create()
    StepVerifier.create(Mono.just(1).retry_when(lambda _: companion)).expect_next(
        1
    ).verify_complete()
    companion.assert_cancelled()


def test_cancelling_cancels_both():
    source: TestPublisher[int] = TestPublisher.create()
    companion: TestPublisher[int] = TestPublisher.create()
    flux = Flux.from_publisher(source).repeat_when(lambda _: companion)
    script = StepVerifier.create(flux).then(lambda: source.next(1)).expect_next(1)
    script.then_cancel().verify()
    source.assert_cancelled()
    companion.assert_cancelled()


def test_an_error_of_the_function_is_the_signal():
    def broken(_: object) -> Any:
        raise KeyError("no companion")

    StepVerifier.create(Mono.just(1).retry_when(broken)).verify_error(KeyError)
    StepVerifier.create(Mono.just(1).repeat_when(broken)).verify_error(KeyError)


def test_unmet_demand_moves_on_to_the_next_attempt():
    flux = Flux.just(1, 2).repeat_when(lambda runs: runs)
    script = StepVerifier.create(flux, 3).expect_next(1, 2, 1).expect_no_event(0)
    script.then_request(2).expect_next(2, 1).then_cancel().verify()


def test_the_companion_of_a_repetition_is_told_how_many_values_there_were():
    seen: list[int] = []
    runs = itertools.count(1)
    source = Flux.defer(lambda: Flux.range(0, next(runs)))
    flux = source.repeat_when(lambda counts: counts.do_on_next(seen.append).take(3))
    StepVerifier.create(flux).expect_next(0, 0, 1, 0, 1, 2).verify_complete()
    assert seen == [1, 2, 3]


def test_a_failure_ends_a_repetition_with_a_companion():
    companion: TestPublisher[int] = TestPublisher.create()
    flux = Flux.error(PlantedError()).repeat_when(lambda _: companion)
    StepVerifier.create(flux).verify_error(PlantedError)
    companion.assert_cancelled()


@pytest.mark.parametrize("arguments", [{}, {"companion": lambda runs: runs, "delay_s": 1}])
def test_repeat_when_takes_a_companion_or_a_delay(arguments: dict[str, Any]):
    with pytest.raises(UsageError, match="either"):
        Mono.just(1).repeat_when(**arguments)
