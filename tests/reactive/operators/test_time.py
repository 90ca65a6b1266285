"""Time-based operators on the virtual clock."""

from collections.abc import Callable

import pytest

from labcore.kernel import UsageError
from labcore.reactive import BackpressureError, Flux, Mono, StreamTimeoutError
from labcore.reactive.testing import StepVerifier


def test_interval_ticks_from_its_first_period_on():
    (
        StepVerifier.with_virtual_time(lambda: Flux.interval(1).take(3))
        .expect_no_event(0.9)
        .then_await(0.1)
        .expect_next(0)
        .then_await(2)
        .expect_next(1, 2)
        .verify_complete()
    )


def test_a_tick_without_demand_overflows():
    (
        StepVerifier.with_virtual_time(lambda: Flux.interval(1), 1)
        .then_await(1)
        .expect_next(0)
        .then_await(1)
        .verify_error(BackpressureError)
    )


def test_timeout_ends_silence_and_starts_anew_with_each_value():
    (
        StepVerifier.with_virtual_time(
            lambda: Flux.concat(
                Flux.just(1), Mono.just(2).delay_element(4), Mono.just(3).delay_element(6)
            ).timeout(5)
        )
        .expect_next(1)
        .then_await(4)
        .expect_next(2)
        .expect_no_event(4.9)
        .then_await(0.1)
        .verify_error(StreamTimeoutError)
    )


def test_timeout_has_a_longer_limit_for_the_first_value():
    (
        StepVerifier.with_virtual_time(
            lambda: Flux.concat(Mono.just(1).delay_element(8), Flux.never()).timeout(2, first_s=9)
        )
        .then_await(8)
        .expect_next(1)
        .then_await(2)
        .verify_error(StreamTimeoutError)
    )


def test_timeout_hands_unmet_demand_to_its_fallback():
    (
        StepVerifier.with_virtual_time(
            lambda: Flux.just(1).concat_with(Flux.never()).timeout(1, fallback=Flux.just(8, 9)), 2
        )
        .expect_next(1)
        .then_await(1)
        .expect_next(8)
        .expect_no_event(5)
        .then_request(1)
        .expect_next(9)
        .verify_complete()
    )


def test_delay_elements_keeps_values_apart():
    (
        StepVerifier.with_virtual_time(lambda: Flux.just(1, 2).delay_elements(2))
        .expect_no_event(1.9)
        .then_await(0.1)
        .expect_next(1)
        .expect_no_event(1.9)
        .then_await(0.1)
        .expect_next(2)
        .verify_complete()
    )


def test_delay_element_and_delay_subscription_wait_once():
    (
        StepVerifier.with_virtual_time(lambda: Mono.just(1).delay_element(2).delay_subscription(3))
        .expect_no_event(4.9)
        .then_await(0.1)
        .expect_next(1)
        .verify_complete()
    )


def test_sample_gives_the_newest_at_each_tick():
    (
        StepVerifier.with_virtual_time(lambda: Flux.interval(1).take(7).sample(2.4))
        .then_await(2.4)
        .expect_next(1)
        .then_await(2.4)
        .expect_next(3)
        .then_await(2.4)
        .expect_next(6)
        .verify_complete()
    )


def test_repeat_when_waits_between_runs():
    (
        StepVerifier.with_virtual_time(lambda: Mono.just(1).repeat_when(delay_s=60, times=2))
        .expect_next(1)
        .expect_no_event(59)
        .then_await(1)
        .expect_next(1)
        .then_await(60)
        .expect_next(1)
        .verify_complete()
    )


def test_buffer_timeout_gives_what_came_in_time():
    (
        StepVerifier.with_virtual_time(lambda: Flux.interval(1).take(5).buffer_timeout(10, 2.5))
        .then_await(3.5)
        .expect_next([0, 1, 2])
        .then_await(1.5)
        .expect_next([3, 4])
        .verify_complete()
    )


def test_mono_delay_waits_for_demand_too():
    (
        StepVerifier.with_virtual_time(lambda: Mono.delay(3), 0)
        .expect_no_event(10)
        .then_request(1)
        .expect_next(0)
        .verify_complete()
    )


@pytest.mark.parametrize(
    "build",
    [
        lambda: Mono.just(1).timeout(0),
        lambda: Flux.interval(0),
        lambda: Flux.just(1).sample(-1),
        lambda: Mono.delay(-1),
        lambda: Flux.just(1).delay_elements(-1),
    ],
)
def test_a_time_that_cannot_be_is_refused_at_assembly(build: Callable[[], object]):
    with pytest.raises(UsageError, match="give a number"):
        build()
