"""`TestPublisher`: a publisher whose every signal the test sends, correct or wrong on purpose.

Source: Project Reactor, `reactor-test`, `TestPublisher`.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from enum import Enum
from functools import partial
from typing import Any, Generic, TypeVar

from labcore.kernel import UsageError
from labcore.reactive.errors import BackpressureError
from labcore.reactive.publishers import Flux, Mono
from labcore.reactive.scope import Scope
from labcore.reactive.spec import UNBOUNDED, Subscriber, add_demand
from labcore.reactive.testing.signals import Kind, Signal, show

T = TypeVar("T")


class Violation(Enum):
    """Rules a `TestPublisher` may break on purpose.

    Reactor's `ALLOW_NULL` has no counterpart: `None` is a value like any other here.
    """

    REQUEST_OVERFLOW = "elements are sent without demand (rule 1.1)"
    CLEANUP_ON_TERMINATE = "subscribers stay after the end and get further signals (rule 1.7)"
    DEFER_CANCELLATION = "a cancelled subscriber goes on getting signals (rule 1.8)"


class TestPublisher(Generic[T]):
    """Sends what it is told, to whoever is subscribed, and counts what they ask for.

    Hot by default: an element goes to the subscribers of that moment, and to one without demand goes
    an overflow error instead. Cold: every subscriber gets everything from the beginning, at the pace
    of its demand. Calls from another thread than the subscriber's loop hop onto that loop and return
    when the signal has been handled.
    """

    __test__ = False  # its name begins with Test, and it is none

    def __init__(
        self, *, cold: bool = False, violations: frozenset[Violation] = frozenset()
    ) -> None:
        self._cold = cold
        self._violations = violations
        self._lines: list[_Line[T]] = []
        self._all: list[_Line[T]] = []
        self._sent: list[Signal] = []
        self._end: Signal | None = None

    @staticmethod
    def create() -> "TestPublisher[T]":
        """Hot and well-behaved."""
        return TestPublisher()

    @staticmethod
    def create_cold() -> "TestPublisher[T]":
        """Cold and well-behaved: it buffers what was not asked for yet."""
        return TestPublisher(cold=True)

    @staticmethod
    def create_noncompliant(first: Violation, *rest: Violation) -> "TestPublisher[T]":
        """Hot, breaking these rules."""
        return TestPublisher(violations=frozenset({first, *rest}))

    @staticmethod
    def create_cold_noncompliant(first: Violation, *rest: Violation) -> "TestPublisher[T]":
        """Cold, breaking these rules."""
        return TestPublisher(cold=True, violations=frozenset({first, *rest}))

    def subscribe(self, subscriber: Subscriber[T], *, scope: Scope) -> None:  # noqa: ARG002 - the protocol's
        """Hand out a subscription; nothing is sent before the test says so."""
        line = _Line(self, subscriber)
        self._lines.append(line)
        self._all.append(line)
        subscriber.on_subscribe(line)
        if self._cold:
            line.drain()
        elif self._end is not None:
            line.send(self._end)

    def flux(self) -> Flux[T]:
        """This publisher with operators."""
        return Flux.from_publisher(self)

    def mono(self) -> Mono[T]:
        """This publisher as one of at most one element."""
        return Mono.from_publisher(self)

    # Sending.

    def next(self, *values: T) -> "TestPublisher[T]":
        """Send these elements."""
        for value in values:
            self._emit(Signal(Kind.NEXT, value))
        return self

    def error(self, error: Exception) -> "TestPublisher[T]":
        """End with that error."""
        return self._emit(Signal(Kind.ERROR, error))

    def complete(self) -> "TestPublisher[T]":
        """End without an error."""
        return self._emit(Signal(Kind.COMPLETE))

    def emit(self, *values: T) -> "TestPublisher[T]":
        """Send these elements, then complete."""
        return self.next(*values).complete()

    # What the subscribers did.

    @property
    def subscribe_count(self) -> int:
        """How many subscribers there ever were."""
        return len(self._all)

    @property
    def subscribers(self) -> int:
        """How many are subscribed now."""
        return len(self._lines)

    @property
    def cancellations(self) -> int:
        """How many cancelled."""
        return sum(line.cancelled for line in self._all)

    @property
    def was_subscribed(self) -> bool:
        """Whether anybody ever subscribed."""
        return bool(self._all)

    @property
    def was_requested(self) -> bool:
        """Whether anybody ever asked for an element."""
        return any(line.requested for line in self._all)

    @property
    def was_cancelled(self) -> bool:
        """Whether anybody cancelled."""
        return self.cancellations > 0

    def assert_min_requested(self, n: int) -> "TestPublisher[T]":
        """Every present subscriber's open demand is at least `n`."""
        least = min((line.demand for line in self._lines), default=0)
        return self._must(least >= n, f"an open demand of at least {n}", least)

    def assert_max_requested(self, n: int) -> "TestPublisher[T]":
        """Every present subscriber's open demand is at most `n`."""
        most = max((line.demand for line in self._lines), default=0)
        return self._must(most <= n, f"an open demand of at most {n}", most)

    def assert_subscribers(self, n: int | None = None) -> "TestPublisher[T]":
        """Somebody is subscribed now; with `n`, exactly that many."""
        holds = self.subscribers > 0 if n is None else self.subscribers == n
        return self._must(holds, f"{'any' if n is None else n} subscribers", self.subscribers)

    def assert_no_subscribers(self) -> "TestPublisher[T]":
        """Nobody is subscribed now."""
        return self.assert_subscribers(0)

    def assert_was_subscribed(self) -> "TestPublisher[T]":
        """Somebody once subscribed."""
        return self._must(self.was_subscribed, "a subscriber, once", "none")

    def assert_cancelled(self, n: int | None = None) -> "TestPublisher[T]":
        """Somebody cancelled; with `n`, exactly that many."""
        holds = self.was_cancelled if n is None else self.cancellations == n
        return self._must(holds, f"{'any' if n is None else n} cancellations", self.cancellations)

    def assert_not_cancelled(self) -> "TestPublisher[T]":
        """Nobody cancelled."""
        return self.assert_cancelled(0)

    def assert_request_overflow(self) -> "TestPublisher[T]":
        """An element was sent to somebody without demand."""
        return self._must(any(line.overflowed for line in self._all), "an overflow", "none")

    def assert_no_request_overflow(self) -> "TestPublisher[T]":
        """No element was sent to anybody without demand."""
        return self._must(not any(line.overflowed for line in self._all), "no overflow", "one")

    def breaks(self, violation: Violation) -> bool:
        """Whether that rule is broken on purpose."""
        return violation in self._violations

    @property
    def sent(self) -> list[Signal]:
        """What a cold publisher has to send, in order."""
        return self._sent

    def left(self, line: "_Line[T]") -> None:
        """A subscriber is served no more."""
        if line in self._lines:
            self._lines.remove(line)

    def _emit(self, signal: Signal) -> "TestPublisher[T]":
        if self._end is not None and not self.breaks(Violation.CLEANUP_ON_TERMINATE):
            raise UsageError(
                f"{signal} after {self._end}: a well-behaved publisher has ended; "
                "use create_noncompliant(Violation.CLEANUP_ON_TERMINATE) to break that rule"
            )
        if signal.ends:
            self._end = signal
        if self._cold:
            self._sent.append(signal)
        for line in list(self._lines):
            line.on_loop(line.drain if self._cold else partial(line.send, signal))
        return self

    def _must(self, holds: bool, expected: str, actual: object) -> "TestPublisher[T]":
        if not holds:
            raise AssertionError(f"expected {expected}, actual {show(actual)}")
        return self


class _Line(Generic[T]):
    """One subscriber's subscription."""

    def __init__(self, publisher: TestPublisher[T], subscriber: Subscriber[T]) -> None:
        self._publisher = publisher
        self._subscriber = subscriber
        self._loop = _running_loop()
        self._cursor = 0
        self._draining = False
        self._done = False
        self.requested = 0
        self.demand = 0
        self.cancelled = False
        self.overflowed = False

    def request(self, n: int) -> None:
        """Demand adds up, without bound from `sys.maxsize` on."""
        if self._silent:
            return
        if n <= 0:
            self._finish(Signal(Kind.ERROR, UsageError(f"request({n}): give a number > 0")))
            return
        self.requested = add_demand(self.requested, n)
        self.demand = add_demand(self.demand, n)
        self.drain()

    def cancel(self) -> None:
        """Serve this subscriber no more, unless cancelling is deferred."""
        if self._done:
            return
        self.cancelled = True
        if self._silent:
            self._publisher.left(self)

    def drain(self) -> None:
        """Send what a cold publisher has, as far as the demand reaches."""
        if self._draining:
            return
        self._draining = True
        try:
            sent = self._publisher.sent
            while self._cursor < len(sent) and not self._silent and self._may(sent[self._cursor]):
                self._cursor += 1
                self.send(sent[self._cursor - 1])
        finally:
            self._draining = False

    def send(self, signal: Signal) -> None:
        """Send one signal now."""
        if self._silent:
            return
        if signal.ends:
            self._finish(signal)
            return
        if self.demand == 0:
            self.overflowed = True
            if not self._publisher.breaks(Violation.REQUEST_OVERFLOW):
                self._finish(Signal(Kind.ERROR, BackpressureError(f"no demand for {signal}")))
                return
        elif self.demand < UNBOUNDED:
            self.demand -= 1
        self._subscriber.on_next(signal.value)

    def on_loop(self, call: Callable[[], None]) -> None:
        """Call on the loop of the subscriber, and wait for it when that is elsewhere."""
        loop = self._loop
        if loop is None or loop is _running_loop() or not loop.is_running():
            call()
            return
        done: Future[None] = Future()
        loop.call_soon_threadsafe(_carry_out, call, done)
        done.result()

    @property
    def _silent(self) -> bool:
        deferred = self._publisher.breaks(Violation.DEFER_CANCELLATION)
        return self._done or (self.cancelled and not deferred)

    def _may(self, signal: Signal) -> bool:
        return signal.ends or self.demand > 0 or self._publisher.breaks(Violation.REQUEST_OVERFLOW)

    def _finish(self, signal: Signal) -> None:
        if not self._publisher.breaks(Violation.CLEANUP_ON_TERMINATE):
            self._done = True
            self._publisher.left(self)
        if signal.kind is Kind.ERROR:
            self._subscriber.on_error(signal.value)
        else:
            self._subscriber.on_complete()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _carry_out(call: Callable[[], Any], done: "Future[None]") -> None:
    try:
        call()
    except BaseException as exc:  # noqa: BLE001 - carried over to the caller and raised there
        done.set_exception(exc)
    else:
        done.set_result(None)
