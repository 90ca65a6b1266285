"""StepVerifier scripts for shared streams and sinks."""

from collections.abc import Callable

import pytest

from labcore.reactive import (
    BackpressureError,
    DisconnectedError,
    EmitResult,
    Flux,
    ManySink,
    Mono,
    OneSink,
    Scope,
    Sinks,
)
from labcore.reactive.testing import PublisherProbe, StepVerifier, TestPublisher


def together(shared: Flux[int], *, later_s: float) -> Flux[tuple[str, int]]:
    """Two subscribers of one stream, the second that many seconds later."""
    first = shared.map(lambda value: ("first", value))
    second = shared.map(lambda value: ("second", value)).delay_subscription(later_s)
    return first.merge_with(second)


def test_share_runs_once_and_replays_nothing():
    probe = PublisherProbe.of(Flux.interval(1).take(3))
    script = StepVerifier.with_virtual_time(lambda: together(probe.flux().share(), later_s=1.5))
    script = script.then_await(1).expect_next(("first", 0)).then_await(1)
    script = script.expect_next(("first", 1), ("second", 1)).then_await(1)
    script.expect_next(("first", 2), ("second", 2)).verify_complete()
    assert probe.subscribe_count == 1


def test_share_begins_anew_after_its_end():
    probe = PublisherProbe.of(Flux.just(1))
    shared = probe.flux().share()
    for _ in range(2):
        StepVerifier.create(shared).expect_next(1).verify_complete()
    assert probe.subscribe_count == 2


def test_share_cancels_its_source_with_the_last_subscriber():
    probe = PublisherProbe.of(Flux.never())
    StepVerifier.create(probe.flux().share()).then_await().then_cancel().verify()
    probe.assert_was_cancelled()


def test_a_shared_mono_gives_one_result_to_all():
    probe = PublisherProbe.of(Mono.delay(5))
    shared = probe.mono().share()
    script = StepVerifier.with_virtual_time(lambda: Mono.zip(shared, shared)).then_await(5)
    script.expect_next((0, 0)).verify_complete()
    assert probe.subscribe_count == 1


def test_publish_moves_at_the_slowest_demand():
    connectable = Flux.range(0, 9).publish()
    shared = connectable.auto_connect(2)
    slow: TestPublisher[int] = TestPublisher.create()
    gated = Flux.zip(shared, slow.flux()).map(lambda pair: pair[0])
    script = StepVerifier.create(shared.zip_with(gated), 1).then(lambda: slow.next(1))
    script.expect_next((0, 0)).expect_no_event(0).then_cancel().verify()


def test_auto_connect_waits_for_so_many():
    probe = PublisherProbe.of(Flux.just(1))
    shared = probe.flux().publish().auto_connect(2)
    script = StepVerifier.with_virtual_time(lambda: together(shared, later_s=10))
    script = script.then_await(9).then(probe.assert_was_not_subscribed).then_await(1)
    script.expect_next(("first", 1), ("second", 1)).verify_complete()


def test_ref_count_connects_with_the_number_it_waits_for():
    probe = PublisherProbe.of(Flux.just(1))
    shared = probe.flux().publish().ref_count(2)
    script = StepVerifier.with_virtual_time(lambda: together(shared, later_s=10))
    script = script.then_await(9).then(probe.assert_was_not_subscribed).then_await(1)
    script.expect_next(("first", 1), ("second", 1)).verify_complete()


def test_ref_count_keeps_the_connection_for_its_grace_time():
    probe = PublisherProbe.of(Flux.interval(1))
    shared = probe.flux().publish().ref_count(1, grace_s=10)
    source = shared.take(1).concat_with(shared.take(1).delay_subscription(5))
    script = StepVerifier.with_virtual_time(lambda: source).then_await(1).expect_next(0)
    script.then_await(6).expect_next_matches(lambda tick: tick > 0).verify_complete()
    assert probe.subscribe_count == 1


def test_ref_count_disconnects_after_its_grace_time():
    probe = PublisherProbe.of(Flux.interval(1))
    shared = probe.flux().publish().ref_count(1, grace_s=10)
    source = shared.take(1).concat_with(shared.take(1).delay_subscription(15))
    script = StepVerifier.with_virtual_time(lambda: source).then_await(1).expect_next(0)
    script.then_await(16).expect_next(0).verify_complete()
    assert probe.subscribe_count == 2


def test_replay_gives_the_past_to_a_newcomer():
    shared = Flux.interval(1).take(3).replay(1).auto_connect()
    script = StepVerifier.with_virtual_time(lambda: together(shared, later_s=2.5)).then_await(2)
    script = script.expect_next(("first", 0), ("first", 1)).then_await(0.5)
    script = script.expect_next(("second", 1)).then_await(0.5)
    script.expect_next(("first", 2), ("second", 2)).verify_complete()


def test_replay_forgets_what_is_too_old():
    shared = Flux.just(1).concat_with(Flux.never()).replay(ttl_s=10).auto_connect()
    script = StepVerifier.with_virtual_time(lambda: together(shared, later_s=11))
    script.expect_next(("first", 1)).expect_no_event(60).then_cancel().verify()


def test_cache_runs_its_source_once():
    probe = PublisherProbe.of(Flux.just(1, 2))
    cached = probe.flux().cache()
    for _ in range(2):
        StepVerifier.create(cached).expect_next(1, 2).verify_complete()
    once = PublisherProbe.of(Mono.just(1))
    kept = once.mono().cache()
    for _ in range(2):
        StepVerifier.create(kept).expect_next(1).verify_complete()
    assert (probe.subscribe_count, once.subscribe_count) == (1, 1)


def test_a_unicast_sink_keeps_everything_for_its_one_subscriber():
    sink: ManySink[int] = Sinks.many().unicast().on_backpressure_buffer()
    sink.try_emit_next(1).or_throw()
    script = StepVerifier.create(sink.as_flux()).expect_next(1).then(lambda: sink.try_emit_next(2))
    script.expect_next(2).then(sink.try_emit_complete).verify_complete()
    StepVerifier.create(sink.as_flux()).verify_error()
    assert sink.try_emit_next(3) is EmitResult.FAIL_TERMINATED


def test_a_multicast_sink_buffers_until_somebody_comes():
    sink: ManySink[int] = Sinks.many().multicast().on_backpressure_buffer(2)
    results = [sink.try_emit_next(value) for value in range(3)]
    assert [result.is_success for result in results] == [True, True, False]
    script = StepVerifier.create(sink.as_flux()).expect_next(0, 1)
    script.then(lambda: sink.try_emit_error(ValueError("no"))).verify_error_message("no")


def test_a_direct_sink_skips_those_without_demand():
    sink: ManySink[int] = Sinks.many().multicast().direct_best_effort()
    assert sink.try_emit_next(0) is EmitResult.FAIL_ZERO_SUBSCRIBER
    script = StepVerifier.create(sink.as_flux(), 1).then(lambda: sink.try_emit_next(1))
    script = script.expect_next(1).then(lambda: sink.try_emit_next(2)).expect_no_event(0)
    script.then(sink.try_emit_complete).verify_complete()


def test_an_all_or_nothing_sink_overflows_for_all():
    sink: ManySink[int] = Sinks.many().multicast().direct_all_or_nothing()
    results: list[EmitResult] = []
    script = StepVerifier.create(sink.as_flux(), 0)
    script = script.then(lambda: results.append(sink.try_emit_next(1)))
    script.then_cancel().verify()
    assert results == [EmitResult.FAIL_OVERFLOW]


@pytest.mark.parametrize("kind", ["all", "latest", "limit"])
def test_a_replay_sink_gives_the_past(kind: str):
    replay = Sinks.many().replay()
    sinks: dict[str, Callable[[], ManySink[int]]] = {
        "all": replay.all,
        "latest": replay.latest,
        "limit": lambda: replay.limit(2),
    }
    kept = {"all": [0, 1, 2], "latest": [2], "limit": [1, 2]}[kind]
    sink: ManySink[int] = sinks[kind]()

    def fill() -> Flux[int]:
        for value in range(3):
            sink.try_emit_next(value).or_throw()
        sink.try_emit_complete().or_throw()
        return sink.as_flux()

    StepVerifier.create(Flux.defer(fill)).expect_next_sequence(kept).verify_complete()


def test_a_sink_of_one_gives_its_value_to_all():
    sink: OneSink[int] = Sinks.one()
    script = StepVerifier.create(sink.as_mono()).expect_no_event(0)
    script.then(lambda: sink.try_emit_value(7)).expect_next(7).verify_complete()
    StepVerifier.create(sink.as_mono()).expect_next(7).verify_complete()
    assert sink.try_emit_value(8) is EmitResult.FAIL_TERMINATED


def test_a_sink_of_one_may_stay_empty_or_fail():
    empty, failed = Sinks.one(), Sinks.one()
    StepVerifier.create(empty.as_mono()).then(empty.try_emit_empty).verify_complete()
    script = StepVerifier.create(failed.as_mono())
    script.then(lambda: failed.try_emit_error(ValueError("no"))).verify_error_message("no")


def test_a_refused_emission_can_be_raised():
    with pytest.raises(BackpressureError):
        EmitResult.FAIL_OVERFLOW.or_throw()


async def test_a_disconnected_subscriber_is_told():
    connectable = Flux.never().publish()
    async with Scope() as scope:
        disconnect = connectable.connect(scope)
        script = StepVerifier.create(connectable).then(disconnect)
        await script.expect_error(DisconnectedError).verify_async()
