"""using_when: which clean-up runs, when, and what becomes of its own errors."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from labcore.kernel import UsageError
from labcore.reactive import Flux, Hooks, Mono, Scope, StreamTimeoutError
from labcore.reactive.testing import StepVerifier, TestPublisher, VirtualTime


class Session:
    """A resource that writes down what is done with it, each time a little later."""

    def __init__(self, *, commit_fails: bool = False) -> None:
        self.log: list[str] = []
        self.commit_fails = commit_fails

    async def open(self) -> "Session":
        """Opened."""
        await Mono.delay(1)
        self.log.append("open")
        return self

    def rows(self) -> Flux[int]:
        """Two values, the second a second later."""

        async def read() -> AsyncIterator[int]:
            yield 1
            await Mono.delay(1)
            yield 2

        return Flux.from_async_iterable(read)

    async def commit(self) -> None:
        """Committed, or not."""
        await Mono.delay(1)
        if self.commit_fails:
            raise KeyError("conflict")
        self.log.append("commit")

    async def rollback(self, error: Exception | None = None) -> None:
        """Rolled back."""
        await Mono.delay(1)
        self.log.append(f"rollback {error}")

    async def forget(self) -> None:
        """Left alone."""
        await Mono.delay(1)
        self.log.append("forget")


def over(
    session: Session, use: Callable[[Session], Any] = Session.rows, *, limit_s: float = 10.0
) -> Flux[int]:
    return Flux.using_when(
        Mono.from_callable(session.open),
        use,
        Session.commit,
        on_error=Session.rollback,
        on_cancel=Session.forget,
        limit_s=limit_s,
    )


def test_the_end_waits_for_the_clean_up():
    session = Session()
    (
        StepVerifier.with_virtual_time(lambda: over(session))
        .expect_subscription()
        .expect_no_event(0.5)
        .then_await(0.5)
        .expect_next(1)
        .then_await(1)
        .expect_next(2)
        .then(lambda: session.log.append("values"))
        .expect_no_event(0.5)
        .then_await(0.5)
        .verify_complete()
    )
    assert session.log == ["open", "values", "commit"]


def test_a_failure_is_rolled_back_first():
    session = Session()
    script = StepVerifier.with_virtual_time(
        lambda: over(session, lambda _: Flux.error(OSError("lost")))
    )
    script.then_await(2).verify_error(OSError)
    assert session.log == ["open", "rollback lost"]


def test_a_use_that_raises_is_rolled_back():
    session = Session()

    def broken(_: Session) -> Any:
        raise OSError("no rows")

    script = StepVerifier.with_virtual_time(lambda: over(session, broken))
    script.then_await(2).verify_error(OSError)
    assert session.log == ["open", "rollback no rows"]


def test_a_cancel_has_a_clean_up_of_its_own_that_the_scope_waits_for():
    session = Session()
    script = StepVerifier.with_virtual_time(lambda: over(session)).then_await(1).expect_next(1)
    script.then_cancel().verify()
    assert session.log == ["open", "forget"]


async def test_cancelling_the_caller_does_not_cancel_the_clean_up():
    session = Session()

    async def main() -> None:
        with anyio.move_on_after(1.5):
            await over(session).collect_list()

    VirtualTime.run(main)
    assert session.log == ["open", "forget"]


def test_a_resource_that_was_never_had_needs_no_clean_up():
    session = Session()
    script = StepVerifier.with_virtual_time(lambda: over(session), 1)
    script.then_await(0.5).then_cancel().verify()
    gone: Flux[int] = Flux.using_when(Mono.error(OSError()), Flux.just, Mono.just)
    StepVerifier.create(gone).verify_error(OSError)
    none: Flux[int] = Flux.using_when(Mono.empty(), Flux.just, Mono.just)
    StepVerifier.create(none).verify_complete()
    assert session.log == []


def test_only_the_first_value_is_the_resource():
    source: TestPublisher[int] = TestPublisher.create()
    flux = Flux.using_when(source, lambda value: Flux.just(value, -value), Mono.just)
    (StepVerifier.create(flux).then(lambda: source.next(7)).expect_next(7, -7).verify_complete())
    source.assert_cancelled()


def test_a_clean_up_that_fails_is_the_failure():
    session = Session(commit_fails=True)
    script = StepVerifier.with_virtual_time(lambda: over(session)).then_await(2).expect_next(1, 2)
    script.then_await(1).verify_error(KeyError)


def test_a_clean_up_that_fails_after_a_failure_names_it():
    def broken(_: object, __: Exception) -> Any:
        raise KeyError("rollback")

    flux: Flux[int] = Flux.using_when(
        Mono.just(1), lambda _: Flux.error(OSError("lost")), Mono.just, on_error=broken
    )
    StepVerifier.create(flux).verify_error_matches(
        lambda error: isinstance(error, KeyError) and isinstance(error.__context__, OSError)
    )


def test_a_clean_up_that_takes_too_long_is_given_up():
    flux = Flux.using_when(Mono.just(1), Flux.just, lambda _: Mono.never(), limit_s=3)
    script = StepVerifier.with_virtual_time(lambda: flux).expect_next(1).expect_no_event(2.9)
    script.then_await(0.1).verify_error(StreamTimeoutError)


async def test_the_error_of_a_clean_up_after_a_cancel_goes_to_the_hooks():
    dropped: list[BaseException] = []

    def broken(_: object) -> Any:
        raise KeyError("rollback")

    flux = Flux.using_when(Mono.just(1), lambda _: Flux.never(), broken)
    async with Scope(hooks=Hooks(error_dropped=dropped.append)) as scope:
        reader = Reader()
        flux.subscribe(reader, scope=scope)
        reader.subscription.cancel()
    assert [type(error) for error in dropped] == [KeyError]


def test_a_mono_keeps_its_value_until_the_clean_up_has_succeeded():
    def over_one(commit: Callable[[int], Any]) -> Mono[int]:
        return Mono.using_when(Mono.just(1), lambda value: Mono.just(value * 7), commit)

    (
        StepVerifier.with_virtual_time(lambda: over_one(lambda _: Mono.delay(5)))
        .expect_subscription()
        .expect_no_event(4.9)
        .then_await(0.1)
        .expect_next(7)
        .verify_complete()
    )
    StepVerifier.create(over_one(lambda _: Mono.error(OSError()))).verify_error(OSError)


def test_a_limit_must_be_above_zero():
    with pytest.raises(UsageError, match="limit_s"):
        Flux.using_when(Mono.just(1), Flux.just, Mono.just, limit_s=0)


class Reader:
    """A subscriber that asks for everything and keeps its subscription."""

    subscription: Any = None

    def on_subscribe(self, subscription: Any, /) -> None:
        """Keep it."""
        self.subscription = subscription
        subscription.request(1)

    def on_next(self, value: Any, /) -> None:
        """Nothing comes."""

    def on_error(self, error: Exception, /) -> None:
        """Nothing fails."""

    def on_complete(self) -> None:
        """Nothing ends."""
