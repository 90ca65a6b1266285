"""The script of a verification, written step by step in Reactor's words.

Every method returns a new script, so that a beginning can be shared by several ends. The methods
that end a script return a `Verification`; nothing is subscribed to before it is verified.

Source: Project Reactor, `reactor-test`, `StepVerifier.FirstStep`, `Step` and `LastStep`.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from functools import partial
from typing import Any, Generic, TypeVar

from labcore.kernel import UsageError
from labcore.reactive.testing import steps
from labcore.reactive.testing.signals import show
from labcore.reactive.testing.steps import Step, name_of
from labcore.reactive.testing.verification import Setting, Verification

T = TypeVar("T")


class Script(Generic[T]):
    """The steps so far; immutable."""

    def __init__(self, setting: Setting[T], script: tuple[Step, ...] = ()) -> None:
        self._setting = setting
        self._script = script

    # Before the first step.

    def with_initial_request(self, n: int) -> "Script[T]":
        """Ask for `n` elements at subscription instead of everything; 0 asks for nothing.

        Source: `StepVerifierOptions.initialRequest`.
        """
        return Script(replace(self._setting, initial_request=_demand(n, least=0)), self._script)

    def expect_subscription(self) -> "Script[T]":
        """The subscription arrives. Only a first step, and optional: every script has it in mind."""
        if self._script:
            raise UsageError(
                "expect_subscription() is the first step or none; move it to the front"
            )
        return self._then("expect_subscription()", steps.subscription)

    # Values.

    def expect_next(self, *values: T) -> "Script[T]":
        """These values come next, in this order, equal by `==`."""
        if not values:
            raise UsageError(
                "expect_next() got no value; give at least one, or expect_next_count(n)"
            )
        return self._then(_call("expect_next", *values), partial(steps.values, values))

    def expect_next_sequence(self, values: Iterable[T]) -> "Script[T]":
        """The values of that iterable come next; it is walked once per verification."""
        return self._then(_call("expect_next_sequence", values), partial(steps.values, values))

    def expect_next_count(self, n: int) -> "Script[T]":
        """`n` values come next, whatever they are."""
        return self._then(f"expect_next_count({n})", partial(steps.count, _demand(n, least=0)))

    def expect_next_matches(self, predicate: Callable[[T], bool]) -> "Script[T]":
        """One value comes next, and the predicate holds for it."""
        text = f"expect_next_matches({name_of(predicate)})"
        return self._then(text, partial(steps.value_matching, predicate))

    def assert_next(self, consumer: Callable[[T], None]) -> "Script[T]":
        """One value comes next and is given to the consumer, whose assertions are the step's."""
        return self._then(f"assert_next({name_of(consumer)})", partial(steps.value_to, consumer))

    def consume_next_with(self, consumer: Callable[[T], None]) -> "Script[T]":
        """As `assert_next`, for consumers that keep the value."""
        text = f"consume_next_with({name_of(consumer)})"
        return self._then(text, partial(steps.value_to, consumer))

    def then_consume_while(
        self, predicate: Callable[[T], bool], consumer: Callable[[T], None] = lambda _: None
    ) -> "Script[T]":
        """Values are consumed while the predicate holds; the first other signal is the next step's."""
        text = f"then_consume_while({name_of(predicate)})"
        return self._then(text, partial(steps.values_while, predicate, consumer))

    def record_with(self, factory: Callable[[], list[T]] = list) -> "Script[T]":
        """The values of the following steps are appended to a list made by the factory."""
        return self._then("record_with()", partial(steps.start_recording, factory))

    def consume_recorded_with(self, consumer: Callable[[list[T]], None]) -> "Script[T]":
        """What was recorded is given to the consumer; recording ends."""
        text = f"consume_recorded_with({name_of(consumer)})"
        return self._then(text, partial(steps.recorded_to, consumer))

    def expect_recorded_matches(self, predicate: Callable[[list[T]], bool]) -> "Script[T]":
        """The predicate holds for what was recorded; recording ends."""
        text = f"expect_recorded_matches({name_of(predicate)})"
        return self._then(text, partial(steps.recorded_matching, predicate))

    # Acts.

    def then_request(self, n: int) -> "Script[T]":
        """Ask for `n` more elements."""
        return self._then(f"then_request({n})", partial(steps.request, _demand(n, least=1)))

    def then(self, task: Callable[[], Any]) -> "Script[T]":
        """Call the task outside every handler; what it returns is awaited if it can be.

        Signals that come meanwhile wait for the next step.
        """
        return self._then(f"then({name_of(task)})", partial(steps.task, task))

    def then_await(self, seconds: float = 0.0) -> "Script[T]":
        """Let that time pass, everything due included; 0 lets this very moment come to rest.

        Virtual time passes at once, real time in real time. Difference to Reactor: it returns only
        when the code under test is at rest.
        """
        return self._then(f"then_await({seconds:g})", partial(steps.pause, _time(seconds)))

    def expect_no_event(self, seconds: float) -> "Script[T]":
        """Nothing is signalled for that long; a signal that waits already fails, too.

        Difference to Reactor: the subscription does not count as an event, and no value slips by.
        """
        return self._then(f"expect_no_event({seconds:g})", partial(steps.silence, _time(seconds)))

    def as_(self, label: str) -> "Script[T]":
        """Name the step before, for failure messages."""
        if not self._script:
            raise UsageError(f"as_({label!r}) names the step before it, and there is none yet")
        named = replace(self._script[-1], label=label)
        return Script(self._setting, (*self._script[:-1], named))

    # Ends.

    def expect_complete(self) -> Verification[T]:
        """The publisher completes, with no element left."""
        return self._end("expect_complete()", steps.completion)

    def expect_error(self, error_type: type[BaseException] = BaseException) -> Verification[T]:
        """The publisher fails, with any error or one of that type."""
        name = "" if error_type is BaseException else error_type.__name__
        return self._fails(f"expect_error({name})", lambda exc: isinstance(exc, error_type))

    def expect_error_type(self, error_type: type[BaseException]) -> Verification[T]:
        """The publisher fails with an error of that type."""
        text = f"expect_error_type({error_type.__name__})"
        return self._fails(text, lambda exc: isinstance(exc, error_type))

    def expect_error_message(self, message: str) -> Verification[T]:
        """The publisher fails with an error whose text is exactly that."""
        return self._fails(f"expect_error_message({message!r})", lambda exc: str(exc) == message)

    def expect_error_matches(self, predicate: Callable[[BaseException], bool]) -> Verification[T]:
        """The publisher fails with an error for which the predicate holds."""
        return self._fails(f"expect_error_matches({name_of(predicate)})", predicate)

    def consume_error_with(self, consumer: Callable[[BaseException], None]) -> Verification[T]:
        """The publisher fails and the consumer asserts on the error."""
        text = f"consume_error_with({name_of(consumer)})"
        return self._end(text, partial(steps.failure_to, consumer))

    def expect_timeout(self, seconds: float) -> Verification[T]:
        """Nothing is signalled for that long, no end either; then the subscription is cancelled."""
        return self._end(f"expect_timeout({seconds:g})", partial(steps.timeout, _time(seconds)))

    def then_cancel(self) -> Verification[T]:
        """Cancel, at the very signal that ended the step before."""
        return self._end("then_cancel()", steps.cancel)

    # The ends once more, verified at once.

    def verify_complete(self, timeout_s: float = 10.0) -> float:
        """`expect_complete().verify()`."""
        return self.expect_complete().verify(timeout_s)

    def verify_error(
        self, error_type: type[BaseException] = BaseException, timeout_s: float = 10.0
    ) -> float:
        """`expect_error(error_type).verify()`."""
        return self.expect_error(error_type).verify(timeout_s)

    def verify_error_message(self, message: str, timeout_s: float = 10.0) -> float:
        """`expect_error_message(message).verify()`."""
        return self.expect_error_message(message).verify(timeout_s)

    def verify_error_matches(
        self, predicate: Callable[[BaseException], bool], timeout_s: float = 10.0
    ) -> float:
        """`expect_error_matches(predicate).verify()`."""
        return self.expect_error_matches(predicate).verify(timeout_s)

    def verify_timeout(self, seconds: float, timeout_s: float = 10.0) -> float:
        """`expect_timeout(seconds).verify()`."""
        return self.expect_timeout(seconds).verify(timeout_s)

    def _then(self, text: str, play: Callable[[], steps.Playing]) -> "Script[T]":
        return Script(self._setting, (*self._script, Step(text, play)))

    def _end(self, text: str, play: Callable[[], steps.Playing]) -> Verification[T]:
        return Verification(self._setting, (*self._script, Step(text, play)))

    def _fails(self, text: str, matches: Callable[[BaseException], bool]) -> Verification[T]:
        expected = text.replace("expect_error", "error", 1)
        return self._end(text, partial(steps.failure, expected, matches))


def _call(name: str, *values: object) -> str:
    return f"{name}({', '.join(show(value) for value in values)})"


def _demand(n: int, *, least: int) -> int:
    if n < least:
        raise UsageError(f"asked for {n} elements; give a number >= {least}")
    return n


def _time(seconds: float) -> float:
    if seconds < 0:
        raise UsageError(f"time cannot pass backwards: {seconds} s; give seconds >= 0")
    return seconds
