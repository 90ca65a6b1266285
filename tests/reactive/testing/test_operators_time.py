"""StepVerifier scripts in virtual time for the operators that wait."""

import pytest

from labcore.kernel import UsageError
from labcore.reactive import BackpressureError, Flux, Mono, StreamTimeoutError
from labcore.reactive.testing import PublisherProbe, StepVerifier, TestPublisher


def test_timeout_cancels_a_silent_source():
    probe = PublisherProbe.of(Flux.never())
    script = StepVerifier.with_virtual_time(lambda: probe.flux().timeout(60)).expect_no_event(59.9)
    script.then_await(0.1).verify_error(StreamTimeoutError)
    probe.assert_was_cancelled()


def test_timeout_starts_anew_with_each_value():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.with_virtual_time(lambda: publisher.flux().timeout(10)).then_await(9)
    script = script.then(lambda: publisher.next(1)).expect_next(1).then_await(9)
    script = script.then(lambda: publisher.next(2)).expect_next(2).expect_no_event(9.9)
    script.then_await(0.1).verify_error(StreamTimeoutError)


def test_timeout_may_give_the_first_value_longer():
    script = StepVerifier.with_virtual_time(
        lambda: Flux.interval(5, delay_s=50).timeout(4, first_s=60)
    )
    script = script.then_await(50).expect_next(0).expect_no_event(3.9).then_await(0.1)
    script.verify_error(StreamTimeoutError)


def test_timeout_turns_to_its_fallback_with_the_unmet_demand():
    source = Flux.just(1).concat_with(Flux.never()).timeout(5, fallback=Flux.range(10, 9))
    script = StepVerifier.with_virtual_time(lambda: source, 3).expect_next(1).then_await(5)
    script.expect_next(10, 11).expect_no_event(60).then_cancel().verify()


def test_timeout_leaves_a_punctual_source_alone():
    StepVerifier.with_virtual_time(lambda: Mono.delay(4).timeout(5)).then_await(4).expect_next(
        0
    ).verify_complete()


def test_delay_subscription_waits_before_it_subscribes():
    probe = PublisherProbe.of(Flux.just(1, 2))
    script = StepVerifier.with_virtual_time(lambda: probe.flux().delay_subscription(60))
    script = script.then_await(59).then(probe.assert_was_not_subscribed).then_await(1)
    script.expect_next(1, 2).verify_complete()
    mono = StepVerifier.with_virtual_time(lambda: Mono.just(1).delay_subscription(60))
    mono.expect_no_event(59).then_await(1).expect_next(1).verify_complete()


def test_delay_elements_keeps_its_distance():
    script = StepVerifier.with_virtual_time(lambda: Flux.range(0, 3).delay_elements(3600))
    for value in range(3):
        script = script.expect_no_event(3599).then_await(1).expect_next(value)
    assert script.verify_complete() == 3 * 3600.0


def test_delay_element_delays_the_value_and_not_an_error():
    script = StepVerifier.with_virtual_time(lambda: Mono.just(1).delay_element(60))
    script.expect_no_event(59).then_await(1).expect_next(1).verify_complete()
    failed = Mono.error(ValueError("at once")).delay_element(60)
    StepVerifier.with_virtual_time(lambda: failed).verify_error_message("at once")


def test_sample_gives_the_newest_at_each_tick():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.with_virtual_time(lambda: publisher.flux().sample(5))
    script = script.then(lambda: publisher.next(1, 2)).expect_no_event(4.9).then_await(0.1)
    script = script.expect_next(2).expect_no_event(60).then(lambda: publisher.next(3))
    script = script.then_await(5).expect_next(3)
    script.then(publisher.complete).verify_complete()


def test_sample_fails_at_a_tick_nobody_asked_for():
    source = Flux.interval(1).sample(5)
    script = StepVerifier.with_virtual_time(lambda: source, 1).then_await(10).expect_next_count(1)
    script.verify_error(BackpressureError)


def test_times_are_checked_while_the_pipeline_is_put_together():
    for wrong in (
        lambda: Flux.never().timeout(0),
        lambda: Flux.never().delay_elements(-1),
        lambda: Flux.never().sample(0),
        lambda: Mono.never().delay_subscription(-1),
    ):
        with pytest.raises(UsageError, match="give a number"):
            wrong()


def test_window_timeout_ends_a_window_when_its_time_is_up():
    def windows() -> Flux[list[int]]:
        return (
            Flux.interval(1).take(5).window_timeout(2, 1.5).concat_map(lambda w: w.collect_list())
        )

    (
        StepVerifier.with_virtual_time(windows)
        .then_await(2)
        .expect_next([0, 1])
        .then_await(2)
        .expect_next([2, 3])
        .then_await(1)
        .expect_next([4])
        .verify_complete()
    )
