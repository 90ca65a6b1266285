"""StepVerifier scripts for the operators that join streams."""

from typing import Any

import pytest

from labcore.kernel import UsageError
from labcore.reactive import Flux, Mono
from labcore.reactive.testing import PublisherProbe, StepVerifier, TestPublisher, VirtualTime


def after(delay_s: float, *values: str) -> Flux[str]:
    """The values, all at that virtual second."""
    return Flux.just(*values).delay_subscription(delay_s)


async def slow(value: int) -> int:
    await VirtualTime.sleep(10)
    return value * 10


def test_flat_map_interleaves_as_values_arrive():
    source = Flux.just((3, "late"), (1, "early")).flat_map(lambda pair: after(*pair))
    script = StepVerifier.with_virtual_time(lambda: source).expect_no_event(0.9)
    script.then_await(0.1).expect_next("early").then_await(2).expect_next("late").verify_complete()


def test_flat_map_runs_at_most_as_many_as_it_may():
    source = Flux.range(0, 4).flat_map(slow, concurrency=2)
    script = StepVerifier.with_virtual_time(lambda: source).then_await(10).expect_next_count(2)
    script = script.expect_no_event(9).then_await(1).expect_next_count(2)
    assert script.verify_complete() == 20.0


def test_flat_map_asks_for_its_concurrency():
    upstream: TestPublisher[int] = TestPublisher.create_cold()
    source = upstream.flux().flat_map(lambda _: Flux.never(), concurrency=3)
    script = StepVerifier.create(source).then(lambda: upstream.assert_min_requested(3))
    script.then(lambda: upstream.assert_max_requested(3)).then_cancel().verify()
    upstream.assert_cancelled(1)


def test_flat_map_cancels_everybody_at_the_first_error():
    probe = PublisherProbe.of(Flux.never())
    inners: list[Flux[int]] = [probe.flux(), Flux.error(ValueError("first"))]
    source = Flux.range(0, 2).flat_map(lambda number: inners[number])
    StepVerifier.create(source).verify_error_message("first")
    probe.assert_was_cancelled()


def test_flat_map_keeps_to_the_demand():
    source = Flux.range(0, 3).flat_map(lambda value: Flux.just(value, value).hide())
    script = StepVerifier.create(source, 1).expect_next_count(1).expect_no_event(0)
    script.then_request(5).expect_next_count(5).verify_complete()


def test_flat_map_sequential_keeps_the_order_of_its_source():
    source = Flux.just((3, "first"), (1, "second")).flat_map_sequential(lambda pair: after(*pair))
    script = StepVerifier.with_virtual_time(lambda: source).expect_no_event(2)
    assert script.then_await(1).expect_next("first", "second").verify_complete() == 3.0


def test_concat_map_runs_one_after_the_other():
    source = Flux.just((3, "first"), (1, "second")).concat_map(lambda pair: after(*pair))
    script = StepVerifier.with_virtual_time(lambda: source).then_await(3).expect_next("first")
    script = script.expect_no_event(0.9).then_await(0.1).expect_next("second")
    assert script.verify_complete() == 4.0


def test_switch_map_leaves_the_old_for_the_new():
    source = Flux.interval(2).take(2).switch_map(lambda tick: Flux.interval(0.9).take(9 * tick + 9))
    script = StepVerifier.with_virtual_time(lambda: source).then_await(4).expect_next(0, 1)
    script.then_await(0.9).expect_next(0).then_cancel().verify()


def test_merge_takes_what_comes_first():
    script = StepVerifier.with_virtual_time(lambda: Flux.merge(after(2, "b"), after(1, "a")))
    script.then_await(1).expect_next("a").then_await(1).expect_next("b").verify_complete()


def test_merge_with_ends_with_the_last():
    script = StepVerifier.with_virtual_time(lambda: after(1, "a").merge_with(after(3, "c")))
    assert script.then_await(3).expect_next("a", "c").verify_complete() == 3.0


def test_merge_cancels_every_source():
    probes = [PublisherProbe.of(Flux.never()) for _ in range(8)]
    source = Flux.merge(*(probe.flux() for probe in probes))
    StepVerifier.create(source).then_await().then_cancel().verify()
    assert all(probe.was_cancelled for probe in probes)


def test_concat_subscribes_to_the_next_when_the_one_before_has_ended():
    second = PublisherProbe.of(Flux.just("b"))
    script = StepVerifier.with_virtual_time(lambda: Flux.concat(after(1, "a"), second.flux()))
    script = script.then(second.assert_was_not_subscribed).then_await(1).expect_next("a", "b")
    script.verify_complete()


def test_concat_with_hands_unmet_demand_on():
    script = StepVerifier.create(Flux.just(1).concat_with(Flux.range(2, 9)), 2).expect_next(1, 2)
    script.expect_no_event(0).then_cancel().verify()


def test_start_with_comes_first():
    StepVerifier.create(Flux.just(3).start_with(1, 2)).expect_next(1, 2, 3).verify_complete()


def test_zip_waits_for_every_source_and_ends_with_the_shortest():
    source = Flux.zip(Flux.range(0, 9), after(1, "a", "b"))
    script = StepVerifier.with_virtual_time(lambda: source).expect_no_event(0.9).then_await(0.1)
    script.expect_next((0, "a"), (1, "b")).verify_complete()


def test_zip_cancels_the_longer_source():
    longer = PublisherProbe.of(Flux.never().start_with(1, 2))
    StepVerifier.create(Flux.just(1).zip_with(longer.flux(), max)).expect_next(1).verify_complete()
    longer.assert_was_cancelled()


def test_zip_combines_and_signals_the_combiners_error():
    source = Flux.zip(Flux.just(4, 1), Flux.just(2, 0), combine=lambda a, b: a // b)
    StepVerifier.create(source).expect_next(2).verify_error(ZeroDivisionError)


def test_combine_latest_pairs_the_newest():
    ticks: TestPublisher[int] = TestPublisher.create()
    tocks: TestPublisher[str] = TestPublisher.create()
    source = Flux.combine_latest(ticks.flux(), tocks.flux())
    script = StepVerifier.create(source).then(lambda: ticks.next(1, 2)).expect_no_event(0)
    script = script.then(lambda: tocks.next("a")).expect_next((2, "a"))
    script = script.then(lambda: ticks.next(3)).expect_next((3, "a"))
    script.then(ticks.complete).then(tocks.complete).verify_complete()


def test_first_with_signal_cancels_the_slower():
    slower = PublisherProbe.of(Flux.never())
    source = Flux.first_with_signal(slower.flux(), after(1, "a"))
    script = StepVerifier.with_virtual_time(lambda: source).then_await(1).expect_next("a")
    script.verify_complete()
    slower.assert_was_cancelled()


def test_or_is_the_faster_of_two():
    script = StepVerifier.with_virtual_time(lambda: after(2, "b").or_(after(1, "a")))
    script.then_await(2).expect_next("a").verify_complete()


def test_then_waits_for_the_end_and_drops_the_values():
    StepVerifier.create(Flux.just(1, 2).then()).verify_complete()
    StepVerifier.create(Flux.just(1, 2).then(Mono.just("b"))).expect_next("b").verify_complete()
    StepVerifier.create(Flux.just(1).then_many(Flux.just(2, 3))).expect_next(2, 3).verify_complete()


def test_then_passes_an_error_on():
    second = PublisherProbe.of(Mono.just(1))
    source = Flux.error(ValueError("no")).then(second.mono())
    StepVerifier.create(source).verify_error_message("no")
    second.assert_was_not_subscribed()


def test_mono_flat_map_awaits_what_it_is_given():
    script = StepVerifier.with_virtual_time(lambda: Mono.just(1).flat_map(slow)).then_await(10)
    script.expect_next(10).verify_complete()
    StepVerifier.create(Mono.just(1).flat_map(lambda _: Mono.empty())).verify_complete()


def test_mono_flat_map_many_becomes_a_flux():
    source = Mono.just(3).flat_map_many(lambda count: Flux.range(0, count))
    StepVerifier.create(source, 1).expect_next(0).then_request(9).expect_next(
        1, 2
    ).verify_complete()


def test_mono_zip_runs_at_once_and_ends_empty_with_the_first_empty():
    source = Mono.zip(Mono.delay(2), Mono.delay(3))
    script = StepVerifier.with_virtual_time(lambda: source).expect_no_event(2.9).then_await(0.1)
    assert script.expect_next((0, 0)).verify_complete() == pytest.approx(3)
    StepVerifier.create(Mono.just(1).zip_with(Mono.empty())).verify_complete()


def test_mono_zip_when_asks_with_the_value():
    source = Mono.just(2).zip_when(lambda value: Mono.just(value * 2))
    StepVerifier.create(source).expect_next((2, 4)).verify_complete()


def test_when_completes_after_all():
    script = StepVerifier.with_virtual_time(lambda: Mono.when(Mono.delay(1), Mono.delay(2)))
    assert script.then_await(2).verify_complete() == 2.0


def test_mono_streams_are_joined_into_a_flux():
    StepVerifier.create(Mono.just(1).concat_with(Mono.just(2))).expect_next(1, 2).verify_complete()
    script = StepVerifier.with_virtual_time(lambda: Mono.delay(1).merge_with(Mono.just(7)))
    script.expect_next(7).then_await(1).expect_next(0).verify_complete()


def test_mono_first_with_signal_takes_an_error_for_a_signal():
    source = Mono.first_with_signal(Mono.never(), Mono.error(ValueError("no")))
    StepVerifier.create(source).verify_error_message("no")
    StepVerifier.create(Mono.never().or_(Mono.just(1))).expect_next(1).verify_complete()


def test_a_mapper_that_gives_no_stream_is_told_so():
    not_a_stream: Any = lambda value: value  # noqa: E731 - a mapper no type checker would pass
    source: Flux[int] = Flux.just(1).flat_map(not_a_stream)
    StepVerifier.create(source).verify_error(UsageError)
