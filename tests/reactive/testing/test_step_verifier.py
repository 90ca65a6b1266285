"""Scripts hold when the publisher follows them, and say at once where it does not."""

import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from labcore.kernel import UsageError
from labcore.reactive import Flux, Mono
from labcore.reactive.testing import (
    StepVerifier,
    TestPublisher,
    Verification,
    VerificationError,
    Violation,
    VirtualTime,
)


def failure(verification: Verification[Any]) -> str:
    with pytest.raises(VerificationError) as caught:
        verification.verify()
    return str(caught.value)


def test_values_and_completion_are_followed():
    script = StepVerifier.create(Flux.just(1, 2, 3)).expect_next(1, 2).expect_next(3)
    assert script.verify_complete() >= 0


def test_a_wrong_value_is_reported_with_everything_needed():
    text = failure(
        StepVerifier.create(Flux.just(1, 2, 4), name="orders")
        .expect_next(1)
        .expect_next(2, 3)
        .as_("the rest")
        .expect_complete()
    )
    assert "orders: step 2 of 3, expect_next(2, 3) [the rest]" in text
    assert "expected  next(3), value 2 of the step" in text
    assert "actual    next(4)" in text
    assert "demand    unbounded" in text
    assert "signals   subscribe, request(unbounded), next(1), next(2), next(4)" in text


def test_a_failure_carries_its_parts_as_attributes():
    with pytest.raises(VerificationError) as caught:
        StepVerifier.create(Flux.just(1)).expect_next(2).verify_complete()
    assert caught.value.place is not None
    assert caught.value.place.number == 1
    assert caught.value.actual == "next(1)"


def test_the_error_of_the_publisher_is_the_cause_of_the_failure():
    planted = ValueError("planted")
    with pytest.raises(VerificationError) as caught:
        StepVerifier.create(Flux.error(planted)).expect_next(1).verify_complete()
    assert caught.value.__cause__ is planted


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: StepVerifier.create(Flux.just(1)).expect_complete(), "next(1)"),
        (lambda: StepVerifier.create(Flux.empty()).expect_next(1).expect_complete(), "complete"),
        (
            lambda: StepVerifier.create(Flux.just(1)).expect_next_count(2).expect_complete(),
            "2 of 2",
        ),
        (lambda: StepVerifier.create(Flux.empty()).expect_error(), "complete"),
        (
            lambda: StepVerifier.create(Flux.error(ValueError("a"))).expect_error(KeyError),
            "KeyError",
        ),
        (lambda: StepVerifier.create(Flux.error(ValueError("a"))).expect_error_message("b"), "'b'"),
        (lambda: StepVerifier.create(Flux.error(ValueError())).expect_complete(), "error("),
    ],
)
def test_the_wrong_end_fails(make: Callable[[], Verification[Any]], expected: str):
    assert expected in failure(make())


def test_matching_consuming_and_recording():
    seen: list[int] = []
    (
        StepVerifier.create(Flux.range(0, 10))
        .expect_next_matches(lambda value: value == 0)
        .assert_next(seen.append)
        .consume_next_with(seen.append)
        .record_with(list)
        .then_consume_while(lambda value: value < 6, seen.append)
        .expect_recorded_matches(lambda values: values == [3, 4, 5])
        .expect_next_sequence(range(6, 10))
        .verify_complete()
    )
    assert seen == [1, 2, 3, 4, 5]


def test_what_was_recorded_can_be_consumed():
    kept: list[int] = []
    script = StepVerifier.create(Flux.just(1, 2)).record_with().expect_next_count(2)
    script.consume_recorded_with(kept.extend).verify_complete()
    assert kept == [1, 2]


def test_an_assertion_in_a_consumer_is_the_failure():
    def refuse(value: int) -> None:
        raise AssertionError(f"{value} is too small")

    assert "1 is too small" in failure(
        StepVerifier.create(Flux.just(1)).assert_next(refuse).expect_complete()
    )


def test_demand_is_the_scripts():
    (
        StepVerifier.create(Flux.range(0, 100), 0)
        .expect_subscription()
        .expect_no_event(0)
        .then_request(2)
        .expect_next(0, 1)
        .then_request(1)
        .expect_next(2)
        .then_cancel()
        .verify()
    )


def test_a_missing_request_fails_at_once():
    script = StepVerifier.create(Flux.range(0, 9)).with_initial_request(1).expect_next(0, 1)
    text = failure(script.expect_complete())
    assert "no demand is open: is a then_request(n) missing?" in text
    assert "0 open of 1" in text


def test_waiting_for_nothing_fails_at_once():
    assert "no timer, thread or task is left" in failure(
        StepVerifier.create(Flux.never()).expect_complete()
    )


def test_a_cancel_takes_effect_at_its_very_element():
    emitted: list[int] = []

    def emit(value: int) -> int:
        emitted.append(value)
        return value

    StepVerifier.create(Flux.range(0, 1000).map(emit)).expect_next(0, 1).then_cancel().verify()
    assert emitted == [0, 1]


def test_more_than_requested_fails_any_script():
    publisher: TestPublisher[int] = TestPublisher.create_noncompliant(Violation.REQUEST_OVERFLOW)
    script = StepVerifier.create(publisher, 1).then(lambda: publisher.next(1, 2)).expect_next(1, 2)
    assert "at most 1 elements, as requested" in failure(script.then_cancel())


def test_a_signal_after_the_end_fails_any_script():
    publisher: TestPublisher[int] = TestPublisher.create_noncompliant(
        Violation.CLEANUP_ON_TERMINATE
    )
    script = StepVerifier.create(publisher).then(lambda: publisher.complete().next(1))
    assert "no signal after the end" in failure(script.expect_complete())


def test_virtual_time_moves_in_the_script_alone():
    script = (
        StepVerifier.with_virtual_time(lambda: Flux.interval(60))
        .expect_subscription()
        .expect_no_event(59)
        .then_await(1)
        .expect_next(0)
        .then_await(3600)
        .expect_next_count(60)
        .then_cancel()
    )
    assert script.verify() == 3660.0


def test_a_missing_await_fails_at_once_and_says_so():
    text = failure(
        StepVerifier.with_virtual_time(lambda: Flux.interval(5)).expect_next(0).then_cancel()
    )
    assert "the next timer is due in 5 s: is a then_await(seconds) missing?" in text
    assert "clock     0 s, virtual" in text


def test_no_event_sees_a_value_that_waits_already():
    assert "no signal for 1 s" in failure(
        StepVerifier.create(Flux.just(1)).then_await().expect_no_event(1).then_cancel()
    )


def test_no_event_includes_its_last_moment():
    assert "actual    next(0)" in failure(
        StepVerifier.with_virtual_time(lambda: Flux.interval(1)).expect_no_event(1).then_cancel()
    )


def test_a_timeout_is_silence_and_ends_the_script():
    StepVerifier.with_virtual_time(Flux.never).verify_timeout(3600)
    with pytest.raises(VerificationError, match="no signal for 2 s"):
        StepVerifier.with_virtual_time(lambda: Mono.delay(1)).verify_timeout(2)


def test_tasks_run_between_signals_and_are_awaited():
    publisher: TestPublisher[int] = TestPublisher.create()

    async def send() -> None:
        await VirtualTime.sleep(10)
        publisher.emit(1)

    script = StepVerifier.with_virtual_time(publisher.flux).then(send).expect_next(1)
    assert script.verify_complete() == 10.0


def test_a_task_runs_once_whatever_it_sends():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.create(publisher).then(lambda: publisher.next(1, 2)).expect_next(1, 2)
    script.then(lambda: publisher.emit(3)).expect_next(3).verify_complete()


def test_a_failing_task_fails_the_script():
    def explode() -> None:
        raise KeyError("planted")

    assert "KeyError('planted')" in failure(
        StepVerifier.create(Flux.never()).then(explode).then_cancel()
    )


def test_real_time_runs_out_with_the_same_report():
    script = StepVerifier.create(Flux.interval(0.005)).expect_next_count(10_000)
    with pytest.raises(VerificationError, match=r"none within 0.05 s of real time"):
        script.then_cancel().verify(0.05)


def test_a_script_can_be_verified_again():
    verification = StepVerifier.create(Flux.just(1)).expect_next(1).expect_complete()
    verification.verify()
    verification.verify()


def test_a_beginning_can_have_several_ends():
    begin = StepVerifier.create(Flux.just(1, 2)).expect_next(1)
    begin.then_cancel().verify()
    begin.expect_next(2).verify_complete()


async def test_it_blocks_inside_a_running_loop_with_a_loop_of_its_own():
    StepVerifier.create(Flux.just(1)).expect_next(1).verify_complete()
    script = StepVerifier.with_virtual_time(lambda: Mono.delay(3600)).then_await(3600)
    assert script.expect_next(0).verify_complete() == 3600.0


async def test_it_is_awaited_on_the_callers_loop():
    source = Flux.just(1).map(lambda _: threading.get_ident())
    script = StepVerifier.create(source).expect_next(threading.get_ident())
    await script.expect_complete().verify_async()


async def test_awaited_virtual_time_leaves_the_callers_clock_alone():
    script = StepVerifier.with_virtual_time(lambda: Mono.delay(3600)).then_await(3600)
    assert await script.expect_next(0).expect_complete().verify_async() == 3600.0


async def test_awaited_on_a_strange_loop_a_stuck_script_fails_at_its_limit():
    with pytest.raises(VerificationError, match=r"not within 0.02 s"):
        await StepVerifier.create(Flux.never()).expect_complete().verify_async(0.02)


async def test_awaited_pauses_and_silence_take_real_time():
    script = StepVerifier.create(Flux.interval(0.005)).then_await(0.012).expect_next(0, 1)
    await script.then_cancel().verify_async()
    await StepVerifier.create(Flux.never()).expect_timeout(0.005).verify_async()


def test_a_virtual_loop_around_an_awaited_script_is_used():
    async def main() -> float:
        script = StepVerifier.create(Flux.interval(60)).then_await(120).expect_next(0, 1)
        return await script.then_cancel().verify_async()

    assert VirtualTime.run(main) == 120.0


def test_later_means_subscribed_now():
    publisher: TestPublisher[int] = TestPublisher.create()
    later = StepVerifier.create(publisher).expect_next(1, 2).expect_complete().verify_later()
    publisher.assert_subscribers(1)
    publisher.next(1).emit(2)
    later.verify()


def test_later_a_missing_signal_is_reported_at_once():
    publisher: TestPublisher[int] = TestPublisher.create()
    later = StepVerifier.create(publisher).expect_next(1, 2).expect_complete().verify_later()
    publisher.next(1)
    with pytest.raises(VerificationError, match=r"next\(2\), value 2"):
        later.verify()


def test_a_clean_up_that_never_ends_is_reported():
    async def endless() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.Event().wait()

    source = Flux.from_async_iterable(endless)
    with pytest.raises(VerificationError, match="every clean-up to end"):
        StepVerifier.create(source).expect_next(1).then_cancel().verify()


def test_a_long_history_is_shortened():
    text = failure(StepVerifier.create(Flux.range(0, 1000)).expect_next_count(1000).expect_error())
    assert "next(5), ... 979 more ..., next(985)" in text


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda script: script.expect_next(), "got no value"),
        (lambda script: script.expect_next(1).expect_subscription(), "first step or none"),
        (lambda script: script.as_("nothing"), "names the step before"),
        (lambda script: script.then_request(0), "give a number >= 1"),
        (lambda script: script.with_initial_request(-1), "give a number >= 0"),
        (lambda script: script.then_await(-1), "give seconds >= 0"),
    ],
)
def test_a_script_that_makes_no_sense_is_refused_while_it_is_written(
    build: Callable[[Any], object], message: str
):
    with pytest.raises(UsageError, match=message):
        build(StepVerifier.create(Flux.just(1)))
