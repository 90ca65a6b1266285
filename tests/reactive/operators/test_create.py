"""Beginnings of streams."""
# ruff: noqa: D102 - the readers are the protocols' methods

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

from labcore.reactive import Flux, Hooks, Mono, Scope
from labcore.reactive.testing import PublisherProbe, StepVerifier, TestPublisher, Violation


def test_a_sized_source_ends_with_its_last_value():
    for flux in (
        Flux.just(1, 2),
        Flux.range(1, 2),
        Flux.from_iterable([1, 2]),
        Flux.just(1, 2).hide(),
    ):
        StepVerifier.create(flux, 2).expect_next(1, 2).verify_complete()


def test_a_generator_is_not_asked_for_more_than_was_requested():
    taken: list[int] = []

    def values() -> Any:
        for value in range(9):
            taken.append(value)
            yield value

    StepVerifier.create(Flux.from_iterable(values()), 2).expect_next(0, 1).then_cancel().verify()
    assert taken == [0, 1]


def test_nothing_runs_before_it_is_asked_for():
    ran: list[int] = []

    def run() -> int:
        ran.append(1)
        return 1

    mono: Mono[int] = Mono.from_callable(run)
    (
        StepVerifier.with_virtual_time(lambda: mono, 0)
        .expect_no_event(1)
        .then(lambda: ran.append(0))
        .then_request(1)
        .expect_next(1)
        .verify_complete()
    )
    assert ran == [0, 1]


def test_defer_makes_anew_and_its_failure_is_a_signal():
    made = iter([Flux.just(1), Flux.just(2)])
    flux = Flux.defer(lambda: next(made))
    assert [flux.block_last(), flux.block_last()] == [1, 2]
    StepVerifier.create(Flux.defer(lambda: Flux.just(1 // 0))).verify_error(ZeroDivisionError)


def test_an_error_can_be_made_for_each_subscriber():
    errors: list[BaseException] = []
    flux = Flux.error(lambda: OSError("fresh")).do_on_error(errors.append).on_error_complete()
    flux.block_last()
    flux.block_last()
    assert errors[0] is not errors[1]


@pytest.mark.parametrize("n", [0, 1, 5])
def test_generate_ends_when_its_step_says_so(n: int):
    flux = Flux.generate(lambda k: (k, k + 1) if k < n else None, state=lambda: 0)
    assert flux.collect_list().block() == list(range(n))


def test_generate_fails_with_its_step():
    flux = Flux.generate(lambda k: (6 // k, k - 1), state=lambda: 2)
    StepVerifier.create(flux).expect_next(3, 6).verify_error(ZeroDivisionError)


def test_an_async_iterable_fails_with_its_error():
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise OSError("broken")

    StepVerifier.create(Flux.from_async_iterable(broken)).expect_next(1).verify_error(OSError)


def test_a_foreign_publisher_may_not_signal_after_its_end():
    publisher = TestPublisher[int].create_noncompliant(Violation.CLEANUP_ON_TERMINATE)
    dropped: list[int] = []

    async def main() -> None:
        async with Scope(hooks=Hooks(next_dropped=dropped.append)) as scope:
            seen: list[int] = []
            Flux.from_publisher(publisher).do_on_next(seen.append).subscribe(All(), scope=scope)
            publisher.next(1)
            publisher.complete()
            publisher.next(2)
            assert seen == [1]

    anyio.run(main)
    assert dropped == [2]


class All:
    """Asks for everything."""

    def on_subscribe(self, subscription: Any, /) -> None:
        subscription.request(9)

    def on_next(self, value: object, /) -> None:
        """Fine."""

    def on_error(self, error: Exception, /) -> None:
        raise error

    def on_complete(self) -> None:
        """Fine."""


def test_the_first_of_a_publisher_is_a_mono():
    probe = PublisherProbe.of(Flux.range(0, 9))
    StepVerifier.create(Mono.from_publisher(probe)).expect_next(0).verify_complete()
    probe.assert_was_cancelled()


def test_a_tick_that_asks_for_the_next_one_gets_it():
    flux = Flux.interval(1).take(3).buffer(1).concat_map(Flux.from_iterable)
    StepVerifier.with_virtual_time(lambda: flux.limit_rate(1)).then_await(3).expect_next(
        0, 1, 2
    ).verify_complete()
