"""Looking on: which callback is called when, resources, context, recordings."""
# ruff: noqa: D102 - the readers are the protocols' methods

from collections.abc import Callable

import anyio
import pytest

from labcore.reactive import Flux, Hooks, MarkKind, Mono, Recording, Scope, SignalType, Subscription
from labcore.reactive.testing import StepVerifier

CANCEL, COMPLETE, ERROR = SignalType.CANCEL, SignalType.ON_COMPLETE, SignalType.ON_ERROR


def watched(log: list[object], source: Flux[int]) -> Flux[int]:
    return (
        source.do_on_subscribe(lambda: log.append("subscribe"))
        .do_on_request(lambda n: log.append(f"request {n}"))
        .do_on_next(log.append)
        .do_on_error(lambda error: log.append(type(error).__name__))
        .do_on_complete(lambda: log.append("complete"))
        .do_on_terminate(lambda: log.append("terminate"))
        .do_on_cancel(lambda: log.append("cancel"))
        .do_finally(log.append)
    )


def test_every_callback_at_success():
    log: list[object] = []
    StepVerifier.create(watched(log, Flux.just(1)), 5).expect_next(1).verify_complete()
    assert log == ["subscribe", "request 5", 1, "complete", "terminate", COMPLETE]


def test_every_callback_at_failure():
    log: list[object] = []
    StepVerifier.create(watched(log, Flux.error(OSError())), 5).verify_error(OSError)
    assert log[-3:] == ["OSError", "terminate", ERROR]


def test_every_callback_at_cancellation():
    log: list[object] = []
    StepVerifier.create(watched(log, Flux.range(0, 9)), 1).expect_next(0).then_cancel().verify()
    assert log == ["subscribe", "request 1", 0, "cancel", CANCEL]


@pytest.mark.parametrize(
    "watch",
    [
        lambda flux, fail: flux.do_on_next(fail),
        lambda flux, fail: flux.do_on_complete(lambda: fail(None)),
        lambda flux, fail: flux.do_on_subscribe(lambda: fail(None)),
        lambda flux, fail: flux.do_on_request(fail),
    ],
)
def test_a_callback_that_raises_fails_the_stream(watch: Callable[..., Flux[int]]):
    def fail(_: object) -> None:
        raise KeyError("callback")

    flux = watch(Flux.just(1).hide(), fail)
    StepVerifier.create(flux.then()).verify_error(KeyError)


def test_a_last_callback_that_raises_is_reported_not_signalled():
    dropped: list[BaseException] = []

    async def main() -> None:
        flux = Flux.just(1).do_finally(lambda _: 1 // 0)
        async with Scope(hooks=Hooks(error_dropped=dropped.append)) as scope:
            flux.subscribe(Quiet(), scope=scope)

    anyio.run(main)
    assert [type(error) for error in dropped] == [ZeroDivisionError]


class Quiet:
    """Asks for one value."""

    def on_subscribe(self, subscription: Subscription, /) -> None:
        subscription.request(1)

    def on_next(self, value: object, /) -> None:
        """Fine."""

    def on_error(self, error: Exception, /) -> None:
        raise error

    def on_complete(self) -> None:
        """Fine."""


@pytest.mark.parametrize("eager", [True, False])
def test_a_resource_is_released_at_each_end(eager: bool):
    def build(log: list[str], source: Flux[int]) -> Flux[int]:
        return Flux.using(
            lambda: log.append("open"), lambda _: source, lambda _: log.append("close"), eager=eager
        )

    for source, take in ((Flux.just(1), 9), (Flux.error(OSError()), 9), (Flux.range(0, 9), 1)):
        log: list[str] = []
        build(log, source).take(take).on_error_complete().block_last()
        assert log == ["open", "close"]


def test_eager_release_comes_before_the_end_and_may_fail_it():
    def broken(_: object) -> None:
        raise KeyError("close")

    def build(*, eager: bool) -> Flux[int]:
        return Flux.using(lambda: 1, lambda _: Flux.just(1), broken, eager=eager)

    StepVerifier.create(build(eager=True)).expect_next(1).verify_error(KeyError)
    assertion = StepVerifier.create(build(eager=False)).expect_next(1).expect_complete()
    assertion.verify_then_assert_that().has_dropped_errors()


def test_context_is_seen_above_where_it_is_written():
    read = Mono.defer_contextual(lambda context: Mono.just(dict(context)))
    flux = read.context_write({"a": 1}).concat_with(read).context_write(lambda c: c.put("b", 2))
    StepVerifier.create(flux).expect_next({"a": 1, "b": 2}, {"b": 2}).verify_complete()


def test_context_crosses_flattening():
    read = Mono.defer_contextual(lambda context: Mono.just(context["user"]))
    flux = Flux.just(1, 2).flat_map(lambda _: read).context_write({"user": "Ada"})
    StepVerifier.create(flux).expect_next("Ada", "Ada").verify_complete()


def test_a_recording_shows_demand_and_signals():
    recording = Recording("numbers")
    flux = Flux.range(0, 4).record(recording).hide().filter(lambda value: value % 2)
    StepVerifier.create(flux, 1).expect_next(1).then_cancel().verify()
    assert [(mark.kind, mark.value) for mark in recording.marks] == [
        (MarkKind.SUBSCRIBE, None),
        (MarkKind.REQUEST, 1),
        (MarkKind.DROP, 0),
        (MarkKind.NEXT, 1),
        (MarkKind.CANCEL, None),
    ]


def test_a_recording_is_bounded():
    recording = Recording(limit=10)
    Flux.range(0, 100).record(recording).count().block()
    assert len(recording.marks) == 10
    assert recording.missed == 93
