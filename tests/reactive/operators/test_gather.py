"""zip, combine_latest and first_with_signal."""

from labcore.reactive import Flux, Mono
from labcore.reactive.testing import PublisherProbe, StepVerifier, TestPublisher


def test_zip_asks_each_source_for_its_prefetch():
    asked: list[int] = []
    left = Flux.range(0, 100).do_on_request(asked.append)
    flux = Flux.zip(left, Flux.range(0, 100).hide(), prefetch=8)
    StepVerifier.create(flux, 1).expect_next((0, 0)).then_cancel().verify()
    assert asked == [8]


def test_zip_ends_with_the_shortest_and_cancels_the_others():
    endless: TestPublisher[int] = TestPublisher.create()
    flux = Flux.zip(Flux.just(1, 2), Flux.from_publisher(endless))
    (
        StepVerifier.create(flux)
        .then(lambda: endless.next(8, 9))
        .expect_next((1, 8), (2, 9))
        .verify_complete()
    )
    endless.assert_cancelled()


def test_an_error_beats_the_rows_that_wait():
    failing: TestPublisher[int] = TestPublisher.create()
    flux = Flux.zip(Flux.from_publisher(failing), Flux.range(0, 9))
    (
        StepVerifier.create(flux, 0)
        .then(lambda: (failing.next(1), failing.error(OSError())))
        .verify_error(OSError)
    )


def test_a_combiner_that_fails_fails_the_stream():
    flux = Flux.zip(Flux.just(1), Flux.just(0), combine=lambda a, b: a // b)
    StepVerifier.create(flux).verify_error(ZeroDivisionError)


def test_monos_are_zipped_at_once():
    def one(seconds: float) -> Mono[float]:
        return Mono.just(seconds).delay_element(seconds)

    (
        StepVerifier.with_virtual_time(lambda: Mono.zip(one(3), one(5), one(4)))
        .then_await(5)
        .expect_next((3, 5, 4))
        .verify_complete()
    )


def test_an_empty_mono_makes_the_zip_empty_and_cancels_the_rest():
    probe = PublisherProbe.of(Mono.never())
    StepVerifier.create(Mono.zip(Mono.from_publisher(probe), Mono.empty())).verify_complete()
    probe.assert_was_cancelled()


def test_when_waits_for_all_of_them():
    (
        StepVerifier.with_virtual_time(lambda: Mono.when(Mono.delay(2), Mono.delay(3)))
        .expect_no_event(2.9)
        .then_await(0.1)
        .verify_complete()
    )


def test_combine_latest_gives_a_row_per_new_value():
    left: TestPublisher[int] = TestPublisher.create()
    right: TestPublisher[str] = TestPublisher.create()
    flux = Flux.combine_latest(Flux.from_publisher(left), Flux.from_publisher(right))
    (
        StepVerifier.create(flux)
        .then(lambda: (left.next(1), left.next(2), right.next("a"), left.next(3)))
        .expect_next((2, "a"), (3, "a"))
        .then(lambda: (left.complete(), right.next("b"), right.complete()))
        .expect_next((3, "b"))
        .verify_complete()
    )


def test_combine_latest_is_empty_when_one_source_is():
    StepVerifier.create(Flux.combine_latest(Flux.never(), Flux.empty())).verify_complete()


def test_the_first_signal_wins_and_the_others_are_cancelled():
    quick, slow = TestPublisher[int].create(), TestPublisher[int].create()
    flux = Flux.first_with_signal(Flux.from_publisher(slow), Flux.from_publisher(quick))
    (
        StepVerifier.create(flux, 1)
        .then(lambda: quick.next(1))
        .expect_next(1)
        .then(slow.assert_cancelled)
        .then_request(1)
        .then(lambda: (quick.next(2), quick.complete()))
        .expect_next(2)
        .verify_complete()
    )
