"""tap: what a listener hears, in which order, and what its own errors do."""
# ruff: noqa: D102 - the listeners' methods are those of their base

from typing import Any

import pytest

from labcore.reactive import Flux, Hooks, Mono, Scope, SignalListener, SignalType
from labcore.reactive.testing import StepVerifier, TestPublisher


class ListenerError(Exception):
    """What a listener raises on purpose."""


class Notes(SignalListener[Any]):
    """Writes down what it hears, and raises where it is told to."""

    def __init__(self, raises_at: str = "") -> None:
        self.heard: list[str] = []
        self.raises_at = raises_at

    def note(self, name: str, value: object = "") -> None:
        self.heard.append(f"{name} {value}".strip())
        if name == self.raises_at:
            raise ListenerError(name)

    def do_first(self) -> None:
        self.note("first")

    def do_on_subscription(self) -> None:
        self.note("subscription")

    def do_on_request(self, n: int, /) -> None:
        self.note("request", n)

    def do_on_next(self, value: Any, /) -> None:
        self.note("next", value)

    def do_on_complete(self) -> None:
        self.note("complete")

    def do_on_error(self, error: Exception, /) -> None:
        self.note("error", error)

    def do_on_cancel(self) -> None:
        self.note("cancel")

    def do_finally(self, kind: SignalType, /) -> None:
        self.note("finally", kind.value)

    def handle_listener_error(self, error: Exception, /) -> None:
        self.heard.append(f"broken {error}")


def test_a_listener_hears_every_signal_in_order():
    notes = Notes()
    flux = Flux.range(1, 2).do_on_next(lambda value: notes.heard.append(f"above {value}"))
    script = StepVerifier.create(flux.tap(lambda: notes), 1).expect_next(1).then_request(1)
    script.expect_next(2).verify_complete()
    assert notes.heard == [
        *("first", "subscription", "request 1", "above 1", "next 1", "request 1"),
        *("above 2", "next 2", "complete", "finally on_complete"),
    ]


def test_a_listener_hears_a_failure():
    notes = Notes()
    StepVerifier.create(Flux.error(OSError("gone")).tap(lambda: notes)).verify_error(OSError)
    assert notes.heard[-2:] == ["error gone", "finally on_error"]


def test_a_listener_hears_a_cancellation_before_the_source():
    notes = Notes()
    source = Flux.never().do_on_cancel(lambda: notes.heard.append("source"))
    StepVerifier.create(source.tap(lambda: notes), 0).then_cancel().verify()
    assert notes.heard == ["first", "subscription", "cancel", "source", "finally cancel"]


def test_each_subscription_has_a_listener_of_its_own():
    made: list[Notes] = []

    def make() -> Notes:
        made.append(Notes())
        return made[-1]

    tapped = Mono.just(7).tap(make)
    assert [tapped.block(), tapped.block()] == [7, 7]
    assert made[0] is not made[1]
    assert made[0].heard == made[1].heard


@pytest.mark.parametrize("name", ["first", "subscription", "request", "next", "complete"])
def test_a_listener_that_raises_ends_the_stream_and_is_told_so(name: str):
    notes = Notes(raises_at=name)
    (
        StepVerifier.create(Flux.just(1).tap(lambda: notes))
        .then_consume_while(lambda _: True)
        .verify_error(ListenerError)
    )
    assert notes.heard[-1] == f"broken {name}"


def test_an_error_of_do_on_error_replaces_the_failure_and_names_it():
    notes = Notes(raises_at="error")
    failing = Flux.error(OSError("gone")).tap(lambda: notes)
    StepVerifier.create(failing).verify_error_matches(
        lambda error: isinstance(error, ListenerError) and isinstance(error.__context__, OSError)
    )
    assert notes.heard[-1] == "broken error"


def test_a_listener_that_raises_cancels_its_source():
    source: TestPublisher[int] = TestPublisher.create()
    notes = Notes(raises_at="next")
    (
        StepVerifier.create(Flux.from_publisher(source).tap(lambda: notes))
        .then(lambda: source.next(1))
        .verify_error(ListenerError)
    )
    source.assert_cancelled()
    assert notes.heard[-1] == "broken next"


@pytest.mark.parametrize("name", ["cancel", "finally"])
async def test_a_fault_nobody_can_be_told_of_goes_to_the_hooks(name: str):
    dropped: list[BaseException] = []
    notes = Notes(raises_at=name)
    async with Scope(hooks=Hooks(error_dropped=dropped.append)) as scope:
        reader = Reader()
        Flux.never().tap(lambda: notes).subscribe(reader, scope=scope)
        reader.subscription.cancel()
    assert [type(error) for error in dropped] == [ListenerError]
    assert notes.heard[-1] == f"broken {name}"


class Reader:
    """A subscriber that keeps its subscription."""

    subscription: Any = None

    def on_subscribe(self, subscription: Any, /) -> None:
        """Keep it."""
        self.subscription = subscription

    def on_next(self, value: Any, /) -> None:
        """Nothing comes."""

    def on_error(self, error: Exception, /) -> None:
        """Nothing fails."""

    def on_complete(self) -> None:
        """Nothing ends."""
