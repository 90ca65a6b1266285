"""A TestPublisher does what it is told: by the rules, or against them on purpose."""

import pytest

from labcore.kernel import UsageError
from labcore.reactive import BackpressureError
from labcore.reactive.testing import StepVerifier, TestPublisher, Violation


def test_hot_elements_go_to_those_subscribed_at_the_moment():
    publisher: TestPublisher[int] = TestPublisher.create()
    publisher.next(1)
    script = StepVerifier.create(publisher).then(lambda: publisher.emit(2))
    script.expect_next(2).verify_complete()


def test_a_hot_publisher_that_ended_ends_newcomers():
    publisher: TestPublisher[int] = TestPublisher.create()
    publisher.complete()
    StepVerifier.create(publisher).verify_complete()


def test_a_hot_element_without_demand_is_an_overflow_error():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.create(publisher, 1).then(lambda: publisher.next(1, 2)).expect_next(1)
    script.verify_error(BackpressureError)
    publisher.assert_request_overflow()


def test_cold_elements_go_to_everybody_at_the_pace_of_demand():
    publisher: TestPublisher[int] = TestPublisher.create_cold()
    publisher.emit(1, 2, 3)
    for _ in range(2):
        script = StepVerifier.create(publisher, 1).expect_next(1).expect_no_event(0)
        script.then_request(2).expect_next(2, 3).verify_complete()
    publisher.assert_no_request_overflow()
    assert publisher.subscribe_count == 2


def test_an_error_is_an_end():
    publisher: TestPublisher[int] = TestPublisher.create_cold()
    StepVerifier.create(publisher.error(ValueError("planted"))).verify_error_message("planted")


def test_after_the_end_a_well_behaved_publisher_refuses_to_send():
    publisher: TestPublisher[int] = TestPublisher.create()
    publisher.complete()
    with pytest.raises(UsageError, match=r"next\(1\) after complete"):
        publisher.next(1)


def test_deferred_cancellation_goes_on_sending():
    publisher: TestPublisher[int] = TestPublisher.create_noncompliant(Violation.DEFER_CANCELLATION)
    script = StepVerifier.create(publisher.flux()).then(lambda: publisher.next(1)).expect_next(1)
    script.then_cancel().verify()
    publisher.assert_cancelled(1).assert_subscribers(1)


def test_a_cold_publisher_can_overflow_on_purpose():
    publisher: TestPublisher[int] = TestPublisher.create_cold_noncompliant(
        Violation.REQUEST_OVERFLOW
    )
    publisher.next(1, 2)
    with pytest.raises(AssertionError, match="at most 1 elements"):
        StepVerifier.create(publisher, 1).expect_next(1, 2).then_cancel().verify()
    publisher.assert_request_overflow()


def test_demand_and_cancellation_are_counted():
    publisher: TestPublisher[int] = TestPublisher.create()

    def look() -> None:
        publisher.assert_was_subscribed().assert_subscribers(1)
        publisher.assert_min_requested(3).assert_max_requested(3).assert_not_cancelled()

    StepVerifier.create(publisher, 3).then(look).then_cancel().verify()
    publisher.assert_cancelled(1).assert_no_subscribers()
    assert publisher.was_requested
    assert publisher.was_cancelled


def test_its_assertions_can_fail():
    publisher: TestPublisher[int] = TestPublisher.create()
    for claim in (
        publisher.assert_was_subscribed,
        publisher.assert_subscribers,
        publisher.assert_cancelled,
        publisher.assert_request_overflow,
        lambda: publisher.assert_min_requested(1),
        lambda: publisher.assert_max_requested(-1),
    ):
        with pytest.raises(AssertionError, match="expected"):
            claim()


def test_as_a_mono_it_is_cancelled_after_its_element():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.create(publisher.mono()).then(lambda: publisher.next(1))
    script.expect_next(1).verify_complete()
    publisher.assert_cancelled(1)
