"""StepVerifier scripts for the operators that answer failures and ends."""

import itertools

import pytest

from labcore.reactive import Flux, Mono, Retry, RetryExhaustedError
from labcore.reactive.testing import PublisherProbe, Script, StepVerifier


class PlantedError(Exception):
    """What the sources fail with."""


def failing(times: int) -> tuple[Mono[str], "itertools.count[int]"]:
    """A Mono that fails so often, then gives its value; and the count of its calls."""
    calls = itertools.count()

    def call() -> str:
        if (number := next(calls)) < times:
            raise PlantedError(f"failure {number}")
        return "served"

    return Mono.from_callable(call), calls


def test_on_error_return_ends_with_the_value():
    source = Flux.just(1).concat_with(Flux.error(PlantedError())).on_error_return(7)
    StepVerifier.create(source).expect_next(1, 7).verify_complete()
    StepVerifier.create(Mono.error(PlantedError()).on_error_return(7)).expect_next(
        7
    ).verify_complete()


def test_on_error_return_leaves_other_errors_alone():
    source = Mono.error(PlantedError()).on_error_return(7, only=KeyError)
    StepVerifier.create(source).verify_error(PlantedError)


def test_on_error_resume_hands_unmet_demand_on():
    source = Flux.just(1).concat_with(Flux.error(PlantedError()))
    resumed = source.on_error_resume(lambda _: Flux.range(2, 9))
    script = StepVerifier.create(resumed, 3).expect_next(1, 2, 3).expect_no_event(0)
    script.then_cancel().verify()


def test_on_error_resume_sees_the_error_once():
    source = Mono.error(PlantedError("first")).on_error_resume(
        lambda exc: Mono.error(KeyError(str(exc)))
    )
    StepVerifier.create(source).verify_error_matches(lambda exc: exc.args == ("first",))


def test_on_error_resume_does_not_answer_for_what_is_below():
    source = Flux.just(0).on_error_resume(lambda _: Flux.just(1)).map(lambda value: 1 // value)
    StepVerifier.create(source).verify_error(ZeroDivisionError)


def test_on_error_map_translates():
    source = Flux.error(PlantedError("a")).on_error_map(lambda exc: KeyError(str(exc)))
    StepVerifier.create(source).verify_error(KeyError)
    StepVerifier.create(Mono.error(PlantedError()).on_error_map(lambda _: OSError())).verify_error(
        OSError
    )


def test_on_error_complete_ends_quietly():
    StepVerifier.create(Flux.error(PlantedError()).on_error_complete()).verify_complete()
    StepVerifier.create(Mono.error(PlantedError()).on_error_complete()).verify_complete()


def test_retry_subscribes_again_so_often():
    served, _ = failing(2)
    StepVerifier.create(served.retry(2)).expect_next("served").verify_complete()
    refused, calls = failing(3)
    StepVerifier.create(refused.retry(2)).verify_error_message("failure 2")
    assert next(calls) == 3


def test_retry_repeats_the_values_before_the_failure():
    source = Flux.just(1).concat_with(Flux.error(PlantedError())).retry(1)
    StepVerifier.create(source).expect_next(1, 1).verify_error(PlantedError)


def test_retry_hands_unmet_demand_on():
    source = Flux.just(1).concat_with(Flux.error(PlantedError())).retry()
    StepVerifier.create(source, 3).expect_next(1, 1, 1).expect_no_event(0).then_cancel().verify()


def backoff(retry: Retry, failures: int) -> Script[str]:
    """A script over a source that fails so often under that rule, in virtual time."""
    source, _ = failing(failures)
    return StepVerifier.with_virtual_time(lambda: source.retry_when(retry))


def test_retry_when_backs_off_exponentially():
    script = backoff(Retry.backoff(3, 1, jitter=0), 3)
    script = script.expect_no_event(1 + 2 + 3.9).then_await(0.1).expect_next("served")
    assert script.verify_complete() == pytest.approx(7)


def test_retry_when_never_waits_longer_than_its_bound():
    script = backoff(Retry.backoff(4, 1, max_backoff_s=2, jitter=0), 4).expect_no_event(1 + 2 + 2)
    assert script.then_await(2).expect_next("served").verify_complete() == 7.0


def test_retry_when_draws_its_jitter_within_the_bounds():
    script = backoff(Retry.backoff(1, 10, jitter=0.5), 1).expect_no_event(9.99)
    script.then_await(5.01).expect_next("served").verify_complete()


def test_retry_when_waits_the_same_each_time():
    script = backoff(Retry.fixed_delay(2, 60), 2).expect_no_event(119).then_await(1)
    script.expect_next("served").verify_complete()


def test_retry_when_exhausted_names_its_attempts_and_the_last_failure():
    script = backoff(Retry.fixed_delay(2, 1), 9).then_await(2)
    script.consume_error_with(is_exhausted).verify()


def is_exhausted(error: BaseException) -> None:
    """The attempts are in the text and the last failure is the cause."""
    assert isinstance(error, RetryExhaustedError)
    assert "2/2" in str(error)
    assert isinstance(error.__cause__, PlantedError)


def test_retry_when_refuses_errors_outside_its_filter():
    rule = Retry.fixed_delay(9, 1).with_filter(lambda exc: isinstance(exc, KeyError))
    backoff(rule, 1).verify_error(PlantedError)


def test_retry_when_counts_anew_after_a_value_if_errors_are_transient():
    source = Flux.just(1).concat_with(Flux.error(PlantedError()))
    rule = Retry.max_in_a_row(1)
    StepVerifier.create(source.retry_when(rule)).expect_next_count(50).then_cancel().verify()


def test_retry_when_ends_its_wait_on_cancel():
    script = backoff(Retry.fixed_delay(1, 3600), 9).then_await(1)
    assert script.then_cancel().verify() == 1.0


def test_repeat_subscribes_again_after_completion():
    StepVerifier.create(Flux.just(1).repeat(2)).expect_next(1, 1, 1).verify_complete()
    StepVerifier.create(Mono.just(1).repeat(), 2).expect_next(1, 1).then_cancel().verify()


def test_repeat_when_waits_in_between():
    script = StepVerifier.with_virtual_time(lambda: Flux.just(1).repeat_when(delay_s=10, times=2))
    script = script.expect_next(1).expect_no_event(9).then_await(1).expect_next(1)
    script.then_await(10).expect_next(1).verify_complete()
    script_of_one = StepVerifier.with_virtual_time(lambda: Mono.just(1).repeat_when(delay_s=1))
    script_of_one.then_await(2).expect_next(1, 1, 1).then_cancel().verify()


def test_retry_when_on_a_flux_ends_with_the_sources_completion():
    probe = PublisherProbe.of(Flux.just(1))
    StepVerifier.create(probe.flux().retry_when(Retry.indefinitely())).expect_next(
        1
    ).verify_complete()
    assert probe.subscribe_count == 1


def test_retry_when_waits_for_its_companion():
    source, _ = failing(2)
    (
        StepVerifier.with_virtual_time(
            lambda: source.retry_when(lambda failures: failures.delay_elements(60))
        )
        .expect_subscription()
        .expect_no_event(119)
        .then_await(1)
        .expect_next("served")
        .verify_complete()
    )


def test_repeat_when_waits_for_its_companion():
    (
        StepVerifier.with_virtual_time(
            lambda: Mono.just("run").repeat_when(lambda runs: runs.delay_elements(60).take(2))
        )
        .expect_next("run")
        .expect_no_event(59)
        .then_await(1)
        .expect_next("run")
        .then_await(60)
        .verify_complete()
    )


def test_on_error_continue_drops_what_fails_and_on_error_stop_does_not():
    told: list[int] = []
    divided = Flux.just(4, 0, 5).map(lambda value: 20 // value)
    lenient = divided.on_error_continue(lambda _, value: told.append(value))
    StepVerifier.create(lenient).expect_next(5, 4).verify_complete()
    strict = divided.on_error_stop().on_error_continue(lambda _, value: told.append(value))
    StepVerifier.create(strict).expect_next(5).verify_error(ZeroDivisionError)
    assert told == [0]
