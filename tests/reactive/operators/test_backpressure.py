"""What happens to values nobody has asked for, and how much is asked for."""

import threading
from typing import Any

import pytest

from labcore.reactive import BackpressureError, Flux, Overflow
from labcore.reactive.testing import StepVerifier, TestPublisher


def test_buffer_keeps_everything():
    (
        StepVerifier.with_virtual_time(lambda: Flux.range(0, 500).on_backpressure_buffer(), 0)
        .then_await(1)
        .then_request(2)
        .expect_next(0, 1)
        .then_request(498)
        .expect_next_count(498)
        .verify_complete()
    )


@pytest.mark.parametrize(
    ("overflow", "kept", "dropped"),
    [(Overflow.DROP_OLDEST, [3, 4], [0, 1, 2]), (Overflow.DROP_LATEST, [0, 1], [2, 3, 4])],
)
def test_a_full_buffer_drops(overflow: Overflow, kept: list[int], dropped: list[int]):
    seen: list[int] = []
    flux = Flux.range(0, 5).on_backpressure_buffer(2, overflow=overflow, on_overflow=seen.append)
    script = StepVerifier.with_virtual_time(lambda: flux, 0).then_await(1).then_request(9)
    script.expect_next(*kept).verify_complete()
    assert seen == dropped


def test_a_full_buffer_fails_after_what_it_kept():
    source: TestPublisher[int] = TestPublisher.create()
    flux = Flux.from_publisher(source).on_backpressure_buffer(2)
    (
        StepVerifier.create(flux, 0)
        .then(lambda: source.next(1, 2, 3))
        .then(source.assert_cancelled)
        .then_request(9)
        .expect_next(1, 2)
        .verify_error(BackpressureError)
    )


def test_drop_tells_what_it_drops():
    dropped: list[int] = []
    flux = Flux.range(0, 5).on_backpressure_drop(dropped.append)
    StepVerifier.create(flux, 2).expect_next(0, 1).verify_complete()
    assert dropped == [2, 3, 4]


def test_latest_keeps_the_newest():
    (
        StepVerifier.with_virtual_time(lambda: Flux.range(0, 5).on_backpressure_latest(), 1)
        .expect_next(0)
        .then_await(1)
        .then_request(1)
        .expect_next(4)
        .verify_complete()
    )


def test_error_is_the_answer_to_the_first_value_too_many():
    flux = Flux.range(0, 5).on_backpressure_error()
    StepVerifier.create(flux, 2).expect_next(0, 1).verify_error(BackpressureError)


@pytest.mark.parametrize(
    ("low", "expected"), [(None, [8, 6, 6, 6]), (2, [8, 2, 2, 2]), (0, [8, 8, 8])]
)
def test_limit_rate_asks_in_portions(low: int | None, expected: list[int]):
    asked: list[int] = []
    flux = Flux.range(0, 24).do_on_request(asked.append).hide().limit_rate(8, low=low)
    StepVerifier.create(flux).expect_next_count(24).verify_complete()
    assert asked[: len(expected)] == expected


@pytest.mark.parametrize(
    ("overflow", "seen"),
    [
        (Overflow.BUFFER, [0, 1, 2, 3]),
        (Overflow.DROP_LATEST, [0]),
        (Overflow.DROP_OLDEST, [0, 3]),
    ],
)
def test_create_overflows_as_told(overflow: Overflow, seen: list[int]):
    def emit(sink: Any) -> None:
        for value in range(4):
            sink.next(value)
        sink.complete()

    held: list[Any] = []
    flux = Flux.create(held.append, overflow=overflow)
    script = StepVerifier.create(flux, 1).then(lambda: emit(held[0]))
    script.then_request(9).expect_next(*seen).verify_complete()


def test_create_ends_with_an_overflow_when_told_so():
    held: list[Any] = []
    flux = Flux.create(held.append, overflow=Overflow.ERROR)
    (
        StepVerifier.create(flux, 1)
        .then(lambda: (held[0].next(1), held[0].next(2)))
        .expect_next(1)
        .verify_error(BackpressureError)
    )
    assert held[0].cancelled


def test_create_learns_of_demand_and_of_cancellation():
    acts: list[object] = []

    def emit(sink: Any) -> None:
        sink.on_request(acts.append)
        sink.on_cancel(lambda: acts.append("cancelled"))

    (
        StepVerifier.with_virtual_time(lambda: Flux.create(emit), 0)
        .then_await(1)
        .then_request(3)
        .then_request(2)
        .then_cancel()
        .verify()
    )
    assert acts == [3, 2, "cancelled"]


def test_create_takes_values_from_another_thread():
    def emit(sink: Any) -> None:
        def work() -> None:
            for value in range(100):
                sink.next(value)
            sink.complete()

        thread = threading.Thread(target=work)
        thread.start()
        sink.on_cancel(thread.join)

    assert Flux.create(emit).collect_list().block() == list(range(100))
