"""Dropped and discarded are told apart, and each assertion can fail."""

from collections.abc import Callable

import pytest

from labcore.reactive import Flux
from labcore.reactive.testing import Outcome, StepVerifier, TestPublisher, Violation

LEFT = Outcome(2.0, dropped=[1, [2]], discarded=["a"], dropped_errors=[ValueError("late")])
NOTHING = Outcome(2.0, dropped=[], discarded=[], dropped_errors=[])


def test_assertions_chain_when_they_hold():
    (
        LEFT.has_dropped_elements()
        .has_dropped([2])
        .has_dropped_exactly([2], 1)
        .has_discarded_elements()
        .has_discarded("a")
        .has_discarded_exactly("a")
        .has_dropped_errors()
        .has_dropped_errors(1)
        .has_dropped_error_of_type(ValueError)
        .has_dropped_error_with_message("late")
        .has_dropped_error_matching(lambda exc: exc.args == ("late",))
        .took_less_than(3)
        .took_more_than(1)
    )
    NOTHING.has_not_dropped_elements().has_not_discarded_elements().has_not_dropped_errors()


@pytest.mark.parametrize(
    "claim",
    [
        NOTHING.has_dropped_elements,
        NOTHING.has_discarded_elements,
        NOTHING.has_dropped_errors,
        LEFT.has_not_dropped_elements,
        LEFT.has_not_discarded_elements,
        LEFT.has_not_dropped_errors,
        lambda: LEFT.has_dropped(3),
        lambda: LEFT.has_dropped_exactly(1),
        lambda: LEFT.has_discarded_exactly("a", "a"),
        lambda: LEFT.has_dropped_errors(2),
        lambda: LEFT.has_dropped_error_of_type(KeyError),
        lambda: LEFT.has_dropped_error_with_message("early"),
        lambda: LEFT.took_less_than(2),
        lambda: LEFT.took_more_than(2),
    ],
)
def test_each_assertion_can_fail(claim: Callable[[], object]):
    with pytest.raises(AssertionError, match="after the script"):
        claim()


def test_a_value_after_the_end_is_dropped():
    publisher: TestPublisher[int] = TestPublisher.create_noncompliant(
        Violation.CLEANUP_ON_TERMINATE
    )
    script = StepVerifier.create(publisher.flux()).then(lambda: publisher.emit(1).next(2))
    outcome = script.expect_next(1).expect_complete().verify_then_assert_that()
    outcome.has_dropped_exactly(2).has_not_discarded_elements()


def test_a_second_error_is_dropped():
    publisher: TestPublisher[int] = TestPublisher.create_noncompliant(
        Violation.CLEANUP_ON_TERMINATE
    )
    first, second = ValueError("first"), ValueError("second")
    script = StepVerifier.create(publisher.flux()).then(
        lambda: publisher.error(first).error(second)
    )
    outcome = script.expect_error_message("first").verify_then_assert_that()
    outcome.has_dropped_error_with_message("second")


def test_a_filtered_value_is_discarded():
    script = StepVerifier.create(Flux.just(1, 2, 3).filter(lambda value: value == 2))
    outcome = script.expect_next(2).expect_complete().verify_then_assert_that()
    outcome.has_discarded_exactly(1, 3).has_not_dropped_elements()
