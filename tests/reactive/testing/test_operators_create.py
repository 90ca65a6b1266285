"""StepVerifier scripts for the ways a stream begins."""

import itertools
from collections.abc import AsyncIterator, Iterator

import anyio
import pytest

from labcore.kernel import UsageError
from labcore.reactive import BackpressureError, Flux, Mono
from labcore.reactive.testing import PublisherProbe, StepVerifier, VirtualTime


def test_just_gives_its_values():
    StepVerifier.create(Flux.just(1, None, 3)).expect_next(1, None, 3).verify_complete()


def test_empty_completes_without_demand():
    StepVerifier.create(Flux.empty(), 0).verify_complete()
    StepVerifier.create(Mono.empty(), 0).verify_complete()


def test_never_is_silent():
    StepVerifier.with_virtual_time(Flux.never).verify_timeout(3600)
    StepVerifier.with_virtual_time(Mono.never).verify_timeout(3600)


def test_error_fails_without_demand():
    StepVerifier.create(Flux.error(ValueError("no")), 0).verify_error_message("no")
    StepVerifier.create(Mono.error(ValueError("no")), 0).verify_error_message("no")


def test_error_can_be_made_for_each_subscriber():
    numbers = itertools.count()
    source = Flux.error(lambda: ValueError(f"number {next(numbers)}"))
    StepVerifier.create(source).verify_error_message("number 0")
    StepVerifier.create(source).verify_error_message("number 1")


def test_defer_makes_a_stream_for_each_subscriber():
    numbers = itertools.count()
    flux = Flux.defer(lambda: Flux.just(next(numbers)))
    mono = Mono.defer(lambda: Mono.just(next(numbers)))
    StepVerifier.create(flux).expect_next(0).verify_complete()
    StepVerifier.create(flux).expect_next(1).verify_complete()
    StepVerifier.create(mono).expect_next(2).verify_complete()


def test_range_is_taken_as_it_is_asked_for():
    script = StepVerifier.create(Flux.range(5, 3), 1).expect_next(5).expect_no_event(0)
    script.then_request(2).expect_next(6, 7).verify_complete()


def test_from_iterable_begins_anew_for_each_subscriber():
    source = Flux.from_iterable([1, 2])
    for _ in range(2):
        StepVerifier.create(source).expect_next(1, 2).verify_complete()


def test_from_iterable_takes_no_element_ahead():
    taken: list[int] = []

    def numbers() -> Iterator[int]:
        for number in itertools.count():
            taken.append(number)
            yield number

    source = Flux.from_iterable(numbers())
    StepVerifier.create(source, 2).expect_next(0, 1).expect_no_event(0).then_cancel().verify()
    assert taken == [0, 1]


def test_from_iterable_signals_the_iterables_error():
    source = Flux.from_iterable(1 // (2 - number) for number in range(3))
    StepVerifier.create(source).expect_next(0, 1).verify_error(ZeroDivisionError)


def test_from_async_iterable_waits_for_its_elements():
    async def ticks() -> AsyncIterator[int]:
        for number in range(3):
            await VirtualTime.sleep(10)
            yield number

    script = StepVerifier.with_virtual_time(lambda: Flux.from_async_iterable(ticks))
    script = script.expect_no_event(9).then_await(1).expect_next(0).then_await(20).expect_next(1, 2)
    assert script.verify_complete() == 30.0


def test_from_async_iterable_closes_the_generator_on_cancel():
    closed_s: list[float] = []

    async def endless() -> AsyncIterator[int]:
        try:
            for number in itertools.count():
                yield number
        finally:
            with anyio.CancelScope(shield=True):
                await VirtualTime.sleep(5)
            closed_s.append(anyio.current_time())

    source = Flux.from_async_iterable(endless)
    StepVerifier.with_virtual_time(lambda: source).expect_next(0).then_cancel().verify()
    assert closed_s == [5.0]


def test_from_publisher_takes_any_publisher():
    probe = PublisherProbe.of(Flux.just(1, 2))
    StepVerifier.create(Flux.from_publisher(probe)).expect_next(1, 2).verify_complete()
    StepVerifier.create(Mono.from_publisher(probe)).expect_next(1).verify_complete()
    assert probe.subscribe_count == 2


def test_interval_ticks_at_fixed_times():
    script = StepVerifier.with_virtual_time(lambda: Flux.interval(1, delay_s=3)).expect_no_event(
        2.9
    )
    script = script.then_await(0.1).expect_next(0).then_await(2).expect_next(1, 2)
    assert script.then_cancel().verify() == pytest.approx(5)


def test_interval_fails_at_a_tick_nobody_asked_for():
    script = StepVerifier.with_virtual_time(lambda: Flux.interval(1), 1).then_await(2)
    script.expect_next(0).verify_error(BackpressureError)


def test_generate_steps_its_state_on_demand():
    source = Flux.generate(lambda at: (at, at * 2) if at < 10 else None, state=lambda: 1)
    script = StepVerifier.create(source, 1).expect_next(1).expect_no_event(0)
    script.then_request(10).expect_next(2, 4, 8).verify_complete()


def test_using_releases_before_the_end_goes_down():
    log: list[str] = []
    source = Flux.using(lambda: "resource", Flux.just, log.append)
    script = StepVerifier.create(source.do_on_complete(lambda: log.append("complete")))
    script.expect_next("resource").verify_complete()
    assert log == ["resource", "complete"]


def test_using_releases_after_the_end_when_it_is_not_eager():
    log: list[str] = []
    source = Mono.using(lambda: "resource", Mono.just, log.append, eager=False)
    script = StepVerifier.create(source.do_on_complete(lambda: log.append("complete")))
    script.expect_next("resource").verify_complete()
    assert log == ["complete", "resource"]


def test_using_releases_on_cancel():
    log: list[str] = []
    source: Flux[int] = Flux.using(lambda: "resource", lambda _: Flux.never(), log.append)
    StepVerifier.create(source).then_await().then_cancel().verify()
    assert log == ["resource"]


def test_mono_just_gives_its_value():
    StepVerifier.create(Mono.just(1), 0).expect_no_event(0).then_request(1).expect_next(
        1
    ).verify_complete()


def test_just_or_empty_takes_none_for_nothing():
    StepVerifier.create(Mono.just_or_empty(1)).expect_next(1).verify_complete()
    StepVerifier.create(Mono.just_or_empty(None)).verify_complete()


def test_from_callable_is_called_for_each_subscriber():
    numbers = itertools.count()
    source = Mono.from_callable(lambda: next(numbers))
    StepVerifier.create(source).expect_next(0).verify_complete()
    StepVerifier.create(source).expect_next(1).verify_complete()


def test_from_callable_awaits_a_coroutine():
    async def price() -> int:
        await VirtualTime.sleep(60)
        return 42

    source: Mono[int] = Mono.from_callable(price)
    script = StepVerifier.with_virtual_time(lambda: source).then_await(60)
    assert script.expect_next(42).verify_complete() == 60.0


def test_from_callable_signals_the_error():
    StepVerifier.create(Mono.from_callable(lambda: 1 // 0)).verify_error(ZeroDivisionError)


def test_from_awaitable_gives_the_result():
    async def price() -> int:
        await VirtualTime.sleep(60)
        return 42

    script = StepVerifier.with_virtual_time(lambda: Mono.from_awaitable(price())).then_await(60)
    script.expect_next(42).verify_complete()


def test_delay_gives_zero_at_its_time():
    script = StepVerifier.with_virtual_time(lambda: Mono.delay(3600)).expect_no_event(3599)
    assert script.then_await(1).expect_next(0).verify_complete() == 3600.0


def test_arguments_are_checked_while_the_pipeline_is_put_together():
    with pytest.raises(UsageError, match="period_s is 0"):
        Flux.interval(0)
    with pytest.raises(UsageError, match="count is -1"):
        Flux.range(0, -1)


def test_using_when_cleans_up_before_the_end():
    log: list[str] = []

    def commit(_: object) -> Mono[int]:
        return Mono.delay(5).do_on_next(lambda _: log.append("committed"))

    (
        StepVerifier.with_virtual_time(
            lambda: Flux.using_when(Mono.just([1, 2]), Flux.from_iterable, commit)
        )
        .expect_next(1, 2)
        .then(lambda: log.append("values"))
        .then_await(5)
        .verify_complete()
    )
    assert log == ["values", "committed"]
