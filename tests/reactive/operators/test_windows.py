"""Windows: by size, by time, with and without readers."""

from typing import Any

import pytest

from labcore.kernel import UsageError
from labcore.reactive import Flux
from labcore.reactive.testing import StepVerifier, TestPublisher


def test_windows_are_streams_that_begin_before_they_end():
    source: TestPublisher[int] = TestPublisher.create()
    flux = Flux.from_publisher(source).window(2).concat_map(lambda window: window)
    (
        StepVerifier.create(flux)
        .then(lambda: source.next(1))
        .expect_next(1)
        .then(lambda: source.next(2, 3))
        .expect_next(2, 3)
        .then(source.complete)
        .verify_complete()
    )


def test_a_window_has_one_reader():
    flux = Flux.range(0, 2).window(2).concat_map(lambda w: w.count().then_many(w))
    StepVerifier.create(flux).verify_error(ValueError)


def lists(windows: Flux[Flux[Any]]) -> Flux[list[Any]]:
    return windows.concat_map(lambda window: window.collect_list())


def test_a_window_ends_when_its_time_is_up():
    ticks = Flux.interval(1).take(6)
    (
        StepVerifier.with_virtual_time(lambda: lists(ticks.window_timeout(10, 2.5)))
        .expect_no_event(3.4)
        .then_await(0.1)
        .expect_next([0, 1, 2])
        .then_await(2.5)
        .expect_next([3, 4, 5])
        .verify_complete()
    )


def test_a_full_window_ends_at_once_and_the_next_has_its_own_time():
    source: TestPublisher[int] = TestPublisher.create()
    (
        StepVerifier.with_virtual_time(
            lambda: lists(Flux.from_publisher(source).window_timeout(2, 5))
        )
        .then(lambda: source.next(1, 2))
        .expect_next([1, 2])
        .expect_no_event(100)
        .then(lambda: source.next(3))
        .expect_no_event(4.9)
        .then_await(0.1)
        .expect_next([3])
        .then(source.complete)
        .verify_complete()
    )


def test_silence_makes_no_windows():
    source = Flux.never().window_timeout(2, 1)
    StepVerifier.with_virtual_time(lambda: source).expect_subscription().expect_no_event(
        3600
    ).then_cancel().verify()


def test_windows_nobody_reads_hold_the_source_back():
    asked: list[int] = []
    ticks = Flux.interval(1).on_backpressure_buffer().do_on_request(asked.append)
    (
        StepVerifier.with_virtual_time(lambda: ticks.window_timeout(3, 10), 1)
        .expect_no_event(0.9)
        .then_await(0.1)
        .expect_next_count(1)
        .then_await(3600)
        .then_cancel()
        .verify()
    )
    assert asked == [3]


def test_a_failure_ends_the_open_window_and_the_stream_of_windows():
    source: TestPublisher[int] = TestPublisher.create()
    seen: list[Any] = []
    windows = Flux.from_publisher(source).window_timeout(9, 9)
    flux = windows.flat_map(lambda window: window.do_on_error(seen.append))
    (
        StepVerifier.with_virtual_time(lambda: flux)
        .then(lambda: source.next(1))
        .expect_next(1)
        .then(lambda: source.error(OSError("gone")))
        .verify_error(OSError)
    )
    assert [str(error) for error in seen] == ["gone"]


def test_leaving_all_windows_cancels_the_source_and_its_clock():
    source: TestPublisher[int] = TestPublisher.create()
    flux = Flux.from_publisher(source).window_timeout(9, 3600).flat_map(lambda window: window)
    (
        StepVerifier.with_virtual_time(lambda: flux)
        .then(lambda: source.next(1))
        .expect_next(1)
        .then_cancel()
        .verify()
    )
    source.assert_cancelled()


def test_a_reader_that_leaves_its_window_gives_its_places_back():
    source: TestPublisher[int] = TestPublisher.create()
    firsts = Flux.from_publisher(source).window_timeout(3, 3600).flat_map(lambda w: w.take(1))
    (
        StepVerifier.with_virtual_time(lambda: firsts)
        .then(lambda: source.next(1, 2, 3, 4))
        .expect_next(1, 4)
        .then(source.complete)
        .verify_complete()
    )


@pytest.mark.parametrize("arguments", [(0, 1), (1, 0)])
def test_size_and_time_are_above_zero(arguments: tuple[int, float]):
    with pytest.raises(UsageError, match="> 0"):
        Flux.just(1).window_timeout(*arguments)


def test_a_window_read_after_its_end_still_asks_for_what_comes_next():
    flux = lists(Flux.range(0, 6).hide().window(2).delay_elements(1))
    (
        StepVerifier.with_virtual_time(lambda: flux)
        .then_await(3)
        .expect_next([0, 1], [2, 3], [4, 5])
        .verify_complete()
    )
