"""StepVerifier scripts for buffers, rates, batches, groups, threads and emitters."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from labcore.reactive import BackpressureError, Flux, MarkKind, Mono, Overflow, Recording
from labcore.reactive.testing import StepVerifier, TestPublisher


class Threads:
    """A scheduler on a pool of one thread."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(1)

    def execute(self, task: Callable[[], None]) -> object:
        """Run the task on the pool's thread."""
        return self.pool.submit(task)


@pytest.fixture
def threads() -> Iterator[Threads]:
    scheduler = Threads()
    yield scheduler
    scheduler.pool.shutdown()


def test_on_backpressure_buffer_keeps_what_was_not_asked_for():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.create(publisher.flux().on_backpressure_buffer(), 1)
    script = script.then(lambda: publisher.emit(1, 2, 3)).expect_next(1).expect_no_event(0)
    script.then_request(2).expect_next(2, 3).verify_complete()
    publisher.assert_no_request_overflow()


def test_a_full_buffer_ends_with_an_error_after_what_it_keeps():
    dropped: list[int] = []
    source = Flux.range(0, 9).on_backpressure_buffer(2, on_overflow=dropped.append)
    script = StepVerifier.create(source, 0).then_await().then_request(9).expect_next(0, 1)
    script.verify_error(BackpressureError)
    assert dropped == [2]


@pytest.mark.parametrize(
    ("overflow", "kept"), [(Overflow.DROP_OLDEST, (7, 8)), (Overflow.DROP_LATEST, (0, 1))]
)
def test_a_full_buffer_may_drop(overflow: Overflow, kept: tuple[int, int]):
    source = Flux.range(0, 9).on_backpressure_buffer(2, overflow=overflow)
    StepVerifier.create(source, 0).then_await().then_request(9).expect_next(*kept).verify_complete()


def test_on_backpressure_drop_tells_what_it_drops():
    dropped: list[int] = []
    source = Flux.interval(1).on_backpressure_drop(dropped.append)
    script = StepVerifier.with_virtual_time(lambda: source, 1).then_await(3).expect_next(0)
    script.then_request(1).then_await(1).expect_next(3).then_cancel().verify()
    assert dropped == [1, 2]


def test_on_backpressure_latest_keeps_the_newest():
    source = Flux.interval(1).on_backpressure_latest()
    script = StepVerifier.with_virtual_time(lambda: source, 1).then_await(3).expect_next(0)
    script.then_request(1).expect_next(2).then_cancel().verify()


def test_on_backpressure_error_ends_at_the_first_value_too_many():
    script = StepVerifier.create(Flux.range(0, 9).on_backpressure_error(), 2).expect_next(0, 1)
    script.verify_error(BackpressureError)


def test_limit_rate_asks_in_portions():
    asked: list[int] = []
    source = Flux.range(0, 20).hide().do_on_request(asked.append).limit_rate(8)
    StepVerifier.create(source).expect_next_count(20).verify_complete()
    assert asked[:3] == [8, 6, 6]


def test_limit_rate_delivers_what_was_taken_before_an_error():
    source = Flux.just(1, 2).concat_with(Flux.error(ValueError("no"))).limit_rate(8)
    script = StepVerifier.create(source, 1).expect_next(1).expect_no_event(0).then_request(1)
    script.expect_next(2).verify_error_message("no")


def test_buffer_gives_full_lists_and_a_last_one():
    source = Flux.range(0, 5).buffer(2)
    script = StepVerifier.create(source, 1).expect_next([0, 1]).expect_no_event(0)
    script.then_request(2).expect_next([2, 3], [4]).verify_complete()


def test_buffer_asks_for_as_many_as_it_needs():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.create(publisher.flux().buffer(3), 2)
    script.then(
        lambda: publisher.assert_min_requested(6).assert_max_requested(6)
    ).then_cancel().verify()


def test_buffer_timeout_gives_what_came_in_time():
    publisher: TestPublisher[int] = TestPublisher.create()
    script = StepVerifier.with_virtual_time(lambda: publisher.flux().buffer_timeout(3, 10))
    script = script.then(lambda: publisher.next(1, 2)).expect_no_event(9.9).then_await(0.1)
    script = script.expect_next([1, 2]).then(lambda: publisher.next(3, 4, 5)).expect_next([3, 4, 5])
    script.then(lambda: publisher.emit(6)).expect_next([6]).verify_complete()


def test_buffer_timeout_waits_without_demand_and_never_overflows():
    source = Flux.range(0, 100).buffer_timeout(2, 1)
    script = StepVerifier.with_virtual_time(lambda: source, 1).expect_next([0, 1])
    script.expect_no_event(60).then_request(1).expect_next([2, 3]).then_cancel().verify()


def test_window_opens_a_stream_for_so_many():
    source = Flux.range(0, 5).window(2).concat_map(lambda window: window.collect_list())
    StepVerifier.create(source).expect_next([0, 1], [2, 3], [4]).verify_complete()


def test_a_window_whose_reader_left_does_not_stop_the_next():
    source = Flux.range(0, 100).window(5).concat_map(lambda window: window.next())
    StepVerifier.create(source, 1).expect_next(0).then_request(99).expect_next_sequence(
        range(5, 100, 5)
    ).verify_complete()


def test_group_by_opens_a_stream_for_each_key():
    source = Flux.range(0, 5).group_by(lambda value: value % 2)
    listed = source.flat_map(lambda group: group.flux.collect_list())
    StepVerifier.create(listed).expect_next([0, 2, 4], [1, 3]).verify_complete()


def test_group_by_fails_with_its_key_function():
    source = Flux.just(0).group_by(lambda value: 1 // value)
    StepVerifier.create(source).verify_error(ZeroDivisionError)


def test_create_hands_an_emitter_to_its_function():
    def emit(sink: Any) -> None:
        sink.next(1)
        sink.next(2)
        sink.complete()

    script = StepVerifier.create(Flux.create(emit), 1).expect_next(1).expect_no_event(0)
    script.then_request(1).expect_next(2).verify_complete()


def test_create_overflows_as_it_was_told():
    def emit(sink: Any) -> None:
        for value in range(5):
            sink.next(value)
        sink.complete()

    kept = Flux.create(emit, overflow=Overflow.DROP_OLDEST, max_size=2)
    StepVerifier.create(kept, 0).then_await().then_request(9).expect_next(3, 4).verify_complete()
    failed: Flux[int] = Flux.create(emit, overflow=Overflow.ERROR)
    StepVerifier.create(failed, 0).verify_error(BackpressureError)


def test_create_takes_values_from_another_thread():
    started: list[threading.Thread] = []

    def emit(sink: Any) -> None:
        def send() -> None:
            sink.next(1)
            sink.complete()

        started.append(threading.Thread(target=send))

    def run() -> None:
        started[0].start()
        started[0].join()

    StepVerifier.create(Flux.create(emit)).then(run).then_await().expect_next(1).verify_complete()


def test_publish_on_runs_what_is_below_on_its_threads(threads: Threads):
    source = Flux.range(0, 3).publish_on(threads).map(lambda _: threading.get_ident())
    strangers: set[int] = set()
    script = StepVerifier.with_virtual_time(lambda: source)
    for _ in range(3):
        script = script.consume_next_with(strangers.add)
    script.verify_complete()
    assert len(strangers) == 1
    assert threading.get_ident() not in strangers


def test_publish_on_signals_the_functions_error(threads: Threads):
    source = Flux.just(1, 0).publish_on(threads).map(lambda value: 1 // value)
    StepVerifier.create(source).expect_next(1).verify_error(ZeroDivisionError)


def test_subscribe_on_pulls_a_blocking_iterable_on_its_threads(threads: Threads):
    def numbers() -> Iterator[int]:
        yield threading.get_ident()

    source = Flux.from_iterable(numbers()).subscribe_on(threads)
    here = threading.get_ident()
    StepVerifier.create(source).expect_next_matches(lambda there: there != here).verify_complete()


def test_subscribe_on_leaves_what_needs_no_thread_alone(threads: Threads):
    (
        StepVerifier.with_virtual_time(lambda: Flux.interval(1).subscribe_on(threads).take(2))
        .then_await(2)
        .expect_next(0, 1)
        .verify_complete()
    )


def test_a_blocking_call_runs_on_threads_on_either_side(threads: Threads):
    here = threading.get_ident()
    called = Mono.from_callable(threading.get_ident).subscribe_on(threads)
    StepVerifier.create(called).expect_next_matches(lambda there: there != here).verify_complete()
    mapped = Mono.just(1).publish_on(threads).map(lambda _: threading.get_ident())
    StepVerifier.create(mapped).expect_next_matches(lambda there: there != here).verify_complete()


def test_record_writes_down_demand_and_signals():
    recording = Recording("values")
    script = StepVerifier.create(Flux.range(0, 2).record(recording), 1).expect_next(0)
    script.then_request(5).expect_next(1).verify_complete()
    story = [(mark.kind, mark.value) for mark in recording.marks]
    assert story == [
        (MarkKind.SUBSCRIBE, None),
        (MarkKind.REQUEST, 1),
        (MarkKind.NEXT, 0),
        (MarkKind.REQUEST, 5),
        (MarkKind.NEXT, 1),
        (MarkKind.COMPLETE, None),
    ]
    orders = [mark.order for mark in recording.marks]
    assert orders == sorted(orders)


def test_record_tells_refused_values_and_virtual_times():
    recording = Recording()
    source = Flux.interval(60).take(2).record(recording).filter(lambda value: value > 0)
    script = StepVerifier.with_virtual_time(lambda: source).then_await(120).expect_next(1)
    script.verify_complete()
    dropped = [(mark.at_s, mark.value) for mark in recording.marks if mark.kind is MarkKind.DROP]
    assert dropped == [(60.0, 0)]
    mono = Recording()
    StepVerifier.create(Mono.just(1).record(mono)).expect_next(1).verify_complete()
    assert mono.subscriptions == 1
