"""Sinks: the table of what each does before, with and beyond its subscribers."""
# ruff: noqa: D102 - the readers are the protocols' methods

import threading
from collections.abc import Callable
from typing import Any

import pytest

from labcore.kernel import LabError
from labcore.reactive import (
    UNBOUNDED,
    BackpressureError,
    EmitResult,
    ManySink,
    Scope,
    Sinks,
    Subscription,
)
from labcore.reactive.testing import StepVerifier

OK, OVERFLOW = EmitResult.OK, EmitResult.FAIL_OVERFLOW
ZERO, TERMINATED = EmitResult.FAIL_ZERO_SUBSCRIBER, EmitResult.FAIL_TERMINATED

SINKS = {
    "unicast": lambda: Sinks.many().unicast().on_backpressure_buffer(),
    "multicast": lambda: Sinks.many().multicast().on_backpressure_buffer(2),
    "best effort": lambda: Sinks.many().multicast().direct_best_effort(),
    "all or nothing": lambda: Sinks.many().multicast().direct_all_or_nothing(),
    "replay all": lambda: Sinks.many().replay().all(),
    "replay latest": lambda: Sinks.many().replay().latest(),
}


class Reader:
    """Notes what it gets."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.seen: list[Any] = []
        self.end: object = None
        self.subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription, /) -> None:
        self.subscription = subscription
        if self.first:
            subscription.request(self.first)

    def on_next(self, value: Any, /) -> None:
        self.seen.append(value)

    def on_error(self, error: Exception, /) -> None:
        self.end = error

    def on_complete(self) -> None:
        self.end = "complete"


@pytest.mark.parametrize(
    ("name", "results", "seen"),
    [
        ("unicast", [OK, OK, OK], [1, 2, 3, 4]),
        ("multicast", [OK, OK, ZERO], [1, 2, 4]),
        ("best effort", [ZERO, ZERO, ZERO], [4]),
        ("all or nothing", [ZERO, ZERO, ZERO], [4]),
        ("replay all", [OK, OK, OK], [1, 2, 3, 4]),
        ("replay latest", [OK, OK, OK], [3, 4]),
    ],
)
async def test_before_the_first_subscriber(name: str, results: list[EmitResult], seen: list[int]):
    sink: ManySink[int] = SINKS[name]()
    assert [sink.try_emit_next(value) for value in (1, 2, 3)] == results
    reader = Reader(UNBOUNDED)
    async with Scope() as scope:
        sink.as_flux().subscribe(reader, scope=scope)
        assert sink.current_subscriber_count == 1
        assert sink.try_emit_next(4) is OK
        assert sink.try_emit_complete() is OK
    assert (reader.seen, reader.end) == (seen, "complete")
    assert sink.try_emit_next(5) is TERMINATED
    assert sink.try_emit_error(OSError()) is TERMINATED


@pytest.mark.parametrize(
    ("name", "results", "quick_seen"),
    [
        ("multicast", [OK, OK, OK, OVERFLOW], [1]),
        ("best effort", [OK, OK, OK, OK], [1, 2, 3, 4]),
        ("all or nothing", [OK, OVERFLOW, OVERFLOW, OVERFLOW], [1]),
        ("replay all", [OK, OK, OK, OK], [1, 2, 3, 4]),
    ],
)
async def test_a_slow_subscriber(name: str, results: list[EmitResult], quick_seen: list[int]):
    sink: ManySink[int] = SINKS[name]()
    quick, slow = Reader(UNBOUNDED), Reader(1)
    async with Scope() as scope:
        sink.as_flux().subscribe(quick, scope=scope)
        sink.as_flux().subscribe(slow, scope=scope)
        assert [sink.try_emit_next(value) for value in (1, 2, 3, 4)] == results
        assert (quick.seen, slow.seen) == (quick_seen, [1])
        for reader in (quick, slow):
            assert reader.subscription is not None
            reader.subscription.cancel()


async def test_a_unicast_sink_has_one_subscriber():
    sink = Sinks.many().unicast().on_backpressure_buffer()
    first, second = Reader(UNBOUNDED), Reader(UNBOUNDED)
    async with Scope() as scope:
        sink.as_flux().subscribe(first, scope=scope)
        sink.as_flux().subscribe(second, scope=scope)
        assert isinstance(second.end, ValueError)
        assert first.subscription is not None
        first.subscription.cancel()
        assert sink.try_emit_next(1) is EmitResult.FAIL_CANCELLED


async def test_a_multicast_sink_is_over_when_its_last_subscriber_leaves():
    sink = Sinks.many().multicast().on_backpressure_buffer()
    reader = Reader(UNBOUNDED)
    async with Scope() as scope:
        sink.as_flux().subscribe(reader, scope=scope)
        assert reader.subscription is not None
        reader.subscription.cancel()
        assert sink.try_emit_next(1) is EmitResult.FAIL_CANCELLED


async def test_another_thread_is_told_so():
    sink = Sinks.many().replay().all()
    results: list[EmitResult] = []
    reader = Reader(UNBOUNDED)
    async with Scope() as scope:
        sink.as_flux().subscribe(reader, scope=scope)
        thread = threading.Thread(target=lambda: results.append(sink.try_emit_next(1)))
        thread.start()
        thread.join()
        sink.try_emit_complete()
    assert results == [EmitResult.FAIL_NON_SERIALIZED]
    assert reader.seen == []


def test_one_value_is_remembered():
    sink = Sinks.one()

    def emit() -> None:
        assert sink.try_emit_value(5) is OK
        assert sink.try_emit_value(6) is TERMINATED

    StepVerifier.create(sink.as_mono()).then(emit).expect_next(5).verify_complete()


@pytest.mark.parametrize(
    ("emit", "end"),
    [
        (lambda sink: sink.try_emit_empty(), "complete"),
        (lambda sink: sink.try_emit_error(OSError("x")), "error"),
    ],
)
def test_one_may_end_without_a_value(emit: Callable[[Any], object], end: str):
    sink = Sinks.one()
    script = StepVerifier.create(sink.as_mono()).then(lambda: emit(sink) and None)
    if end == "complete":
        script.verify_complete()
    else:
        script.verify_error(OSError)


def test_results_can_be_raised():
    OK.or_throw()
    with pytest.raises(BackpressureError):
        OVERFLOW.or_throw()
    with pytest.raises(LabError, match="terminated"):
        TERMINATED.or_throw()
