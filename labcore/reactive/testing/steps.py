"""The steps of a verifier's script, each a generator that says what it needs next.

A step yields a `Need` (take a signal, ask for more, let time pass) and gets the answer sent back;
it raises `Mismatch` when the answer is wrong. Steps know nothing of loops, publishers or clocks, so
that the player (`player.py`) can run them inside `on_next`, without a task switch per element.
"""

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

from labcore.reactive.testing.signals import Kind, Signal, show


@dataclass(frozen=True, slots=True)
class Take:
    """The next signal, removed from those waiting; `expected` says what would be right."""

    expected: str


@dataclass(frozen=True, slots=True)
class Peek:
    """The next signal, left where it is."""

    expected: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Request `n` more elements."""

    n: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel the subscription."""


@dataclass(frozen=True, slots=True)
class Pass:
    """Let `seconds` pass, then everything due come to rest; signals wait meanwhile."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Quiet:
    """As `Pass`, and any signal meanwhile, or waiting already, is a mismatch."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Errand:
    """Call this outside every handler, await its result if it can be; signals wait meanwhile."""

    work: Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Record:
    """Append the values taken from now on; None ends the recording and answers with it."""

    into: list[Any] | None


Need: TypeAlias = Take | Peek | Ask | Cancel | Pass | Quiet | Errand | Record
Playing: TypeAlias = Generator[Need, Any, None]


class Mismatch(Exception):  # noqa: N818 - a finding on its way to the player, never shown as it is
    """The signal was not what the step expects."""

    def __init__(self, expected: str, actual: str) -> None:
        super().__init__(expected, actual)
        self.expected = expected
        self.actual = actual


@dataclass(frozen=True, slots=True)
class Step:
    """One line of the script: the call as it was written, and how to play it."""

    text: str
    play: Callable[[], Playing]
    label: str = ""

    def __str__(self) -> str:
        return f"{self.text} [{self.label}]" if self.label else self.text


def subscription() -> Playing:
    """The subscription has been handed over."""
    expected = "subscribe"
    signal = yield Take(expected)
    _must(signal.kind is Kind.SUBSCRIBE, expected, signal)


def values(expected_values: Iterable[Any]) -> Playing:
    """These values, in this order, compared with `==`."""
    for position, value in enumerate(expected_values, 1):
        expected = f"next({show(value)}), value {position} of the step"
        signal = yield Take(expected)
        _must(signal.kind is Kind.NEXT and signal.value == value, expected, signal)


def count(n: int) -> Playing:
    """That many values, whatever they are."""
    for position in range(1, n + 1):
        expected = f"next(...), value {position} of {n}"
        signal = yield Take(expected)
        _must(signal.kind is Kind.NEXT, expected, signal)


def value_matching(predicate: Callable[[Any], bool]) -> Playing:
    """One value that satisfies the predicate."""
    expected = f"next(value) with {name_of(predicate)}(value) true"
    signal = yield Take(expected)
    _must(signal.kind is Kind.NEXT and predicate(signal.value), expected, signal)


def value_to(consumer: Callable[[Any], None]) -> Playing:
    """One value, handed to a consumer that asserts what it likes."""
    expected = f"next(value) that {name_of(consumer)}(value) accepts"
    signal = yield Take(expected)
    _must(signal.kind is Kind.NEXT, expected, signal)
    consumer(signal.value)


def values_while(predicate: Callable[[Any], bool], consumer: Callable[[Any], None]) -> Playing:
    """Values as long as they satisfy the predicate; the first other signal stays."""
    expected = f"values until {name_of(predicate)}(value) is false, or an end"
    while True:
        signal = yield Peek(expected)
        if signal.kind is not Kind.NEXT or not predicate(signal.value):
            return
        yield Take(expected)
        consumer(signal.value)


def start_recording(factory: Callable[[], list[Any]]) -> Playing:
    """Values taken from here on are kept."""
    yield Record(factory())


def recorded_to(consumer: Callable[[Any], None]) -> Playing:
    """What was recorded, handed to a consumer; recording ends."""
    recorded = yield Record(None)
    consumer(recorded)


def recorded_matching(predicate: Callable[[Any], bool]) -> Playing:
    """What was recorded satisfies the predicate; recording ends."""
    recorded = yield Record(None)
    if not predicate(recorded):
        raise Mismatch(f"recorded values with {name_of(predicate)} true", show(recorded))


def request(n: int) -> Playing:
    """More demand."""
    yield Ask(n)


def cancel() -> Playing:
    """The subscription is cancelled, at this very signal."""
    yield Cancel()


def task(work: Callable[[], Any]) -> Playing:
    """A call between two signals; what it returns is awaited when it can be."""
    yield Errand(work)


def pause(seconds: float) -> Playing:
    """Time passes."""
    yield Pass(seconds)


def silence(seconds: float) -> Playing:
    """Time passes and nothing is signalled."""
    yield Quiet(seconds)


def timeout(seconds: float) -> Playing:
    """Nothing comes for that long; then the subscription is cancelled."""
    yield Quiet(seconds)
    yield Cancel()


def completion() -> Playing:
    """The end, without an error."""
    signal = yield Take("complete")
    _must(signal.kind is Kind.COMPLETE, "complete", signal)


def failure(expected: str, matches: Callable[[BaseException], bool]) -> Playing:
    """The end, with an error that satisfies the predicate."""
    signal = yield Take(expected)
    _must(signal.kind is Kind.ERROR and matches(signal.value), expected, signal)


def failure_to(consumer: Callable[[BaseException], None]) -> Playing:
    """The end, with an error handed to a consumer that asserts what it likes."""
    expected = f"error(exc) that {name_of(consumer)}(exc) accepts"
    signal = yield Take(expected)
    _must(signal.kind is Kind.ERROR, expected, signal)
    consumer(signal.value)


def name_of(function: Callable[..., Any]) -> str:
    """A function's own name, or what its type is called."""
    return getattr(function, "__name__", type(function).__name__)


def _must(holds: object, expected: str, signal: Signal) -> None:
    if not holds:
        raise Mismatch(expected, str(signal))
