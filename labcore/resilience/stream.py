"""The face for streams: all policies of one call in one operator.

One object a subscription is the call: it takes the layers in turn, feeds the source to itself and tells
each layer how that ended, innermost first, as the frames of nested `call_async` would. A task is made
only where a layer lets wait.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar, overload

from labcore.reactive import IDLE, Down, Flux, Mono, Relay
from labcore.resilience.passage import Wake
from labcore.resilience.retry import RetryCall
from labcore.resilience.waiting import TaskSignal

T = TypeVar("T")
Waiting = Callable[[TaskSignal], Awaitable[None]]


class Operator(Protocol):
    """A function from stream to stream that keeps its kind and the type of its values."""

    @overload
    def __call__(self, source: Mono[T], /) -> Mono[T]: ...

    @overload
    def __call__(self, source: Flux[T], /) -> Flux[T]: ...


class Layer(Protocol):
    """A policy around each attempt; what `begin` gave comes back at the end of that attempt, once."""

    def begin(self, run: "Guarding", now_s: float) -> Any:
        """Let the attempt in, or have it wait (`run.wait`). Raises: RefusedError."""
        ...

    def succeeded(self, held: Any, now_s: float, value: object) -> None:
        """A value, or the end without one. Raises: what a predicate of the caller's raises."""
        ...

    def failed(self, held: Any, now_s: float, error: Exception) -> None:
        """A failure, of the source or of a layer inside. Raises: as `succeeded`."""
        ...

    def cancelled(self, held: Any, now_s: float) -> None:
        """Nobody wants the attempt any more, waiting or running."""
        ...


class Again(Protocol):
    """A policy around all attempts; seconds to wait before another, None for no other."""

    def begin(self, now_s: float) -> RetryCall:
        """A call begins."""
        ...

    @property
    def looks(self) -> bool:
        """Whether values may be ones to retry."""
        ...

    def judge(self, call: RetryCall, value: object, now_s: float) -> float | None:
        """What a value means. Raises: MaxRetriesExceededError, and what a predicate raises."""
        ...

    def failed(self, call: RetryCall, error: Exception, now_s: float) -> float | None:
        """What a failure means."""
        ...

    def count(self, call: RetryCall, *, failed: bool) -> None:
        """The call has ended."""
        ...


class Limit(Protocol):
    """What is to be told that a value has been delivered."""

    def note(self, now_s: float) -> None:
        """The silence begins anew."""
        ...


def guarded(layers: tuple[Layer, ...], retry: Again | None = None) -> Operator:
    """The operator of these policies, outermost first; each subscription of what it gives is one call."""

    def operator(source: Any) -> Any:
        if not layers and retry is None:
            return source
        return source.like(partial(_feed, layers, retry, source))

    return operator


def _feed(layers: tuple[Layer, ...], retry: Again | None, source: Any, down: Down[Any]) -> None:
    Guarding(down, source, layers, retry).run()


class Guarding(Relay):
    """One call: its attempts one after the other, each within the layers.

    A Mono's value is its end: its permits are free before anybody below sees the value. A Flux holds
    them until it completes.
    """

    __slots__ = (
        *("_call", "_held", "_layers", "_looks", "_retry", "_signal", "_single", "_source"),
        *("_stop", "_waits", "limit"),
    )

    def __init__(
        self,
        down: Down[Any],
        source: Mono[Any] | Flux[Any],
        layers: tuple[Layer, ...],
        retry: Again | None,
    ) -> None:
        super().__init__(down)
        self._source = source
        self._single = isinstance(source, Mono)
        self._layers = layers
        self._held: list[Any] = []  # of the first layers, what `begin` gave
        self._retry = retry
        self._call: RetryCall | None = None
        self._looks = False
        self._signal: TaskSignal | None = None
        self._waits = 0  # by its number a wait that is over late finds that it is none any more
        self._stop: Callable[[], None] | None = None  # ends a wait, for a layer or between attempts
        self.limit: Limit | None = None

    def run(self) -> None:
        """Hand the subscription down, and begin."""
        self.down.start(self)
        if not self.live:
            return
        if self._retry is not None:
            self._call = self._retry.begin(self.scope.now_s())
            self._looks = self._retry.looks
        self._attempt()

    def arm(self) -> Wake:
        """What wakes the wait that is about to begin."""
        self._signal = TaskSignal(asyncio.get_running_loop())
        return self._signal.arm()

    def wait(self, waiting: Waiting) -> None:
        """Go on when `waiting` is over, in a task of the scope."""
        signal = self._signal or TaskSignal(asyncio.get_running_loop())
        self._signal = None
        self._waits += 1
        waited = partial(self._wait, self._waits, waiting, signal)
        self._stop = self.scope.spawn(waited).cancel

    def late(self, held: object, make_error: Callable[[float], Exception]) -> None:
        """The layer that holds this gives up on what is inside it."""
        now_s = self.scope.now_s()
        self._leave(now_s, self._held.index(held) + 1)
        self._held.pop()
        self._halt()
        self._unwind(make_error(now_s))

    def offer(self, value: Any) -> bool:
        """A value; of a Mono, the success of the attempt."""
        if self._single and self._held and not self._settle(value):
            return True
        if self._looks and self._is_no_answer(value):
            return True
        used = super().offer(value)
        if self.limit is not None:
            self.limit.note(self.scope.now_s())
        return used

    def fail(self, error: Exception) -> None:
        """The attempt has failed."""
        self.up = IDLE
        self._unwind(error)

    def complete(self) -> None:
        """The attempt has ended well."""
        self.up = IDLE
        if self._held and not self._settle(None):
            return
        if self._retry is not None and self._call is not None:
            self._retry.count(self._call, failed=False)
        super().complete()

    def ended(self) -> None:
        """The subscriber has cancelled: every permit goes back, innermost first."""
        self._leave(self.scope.now_s())

    def _attempt(self) -> None:
        """Enter the layers that are left, and then subscribe."""
        self._stop = None
        held, layers, waits = self._held, self._layers, self._waits
        now_s = self.scope.now_s()
        try:
            while len(held) < len(layers):
                held.append(layers[len(held)].begin(self, now_s))
                if self._waits != waits:
                    if not self.live:  # a listener has cancelled the stream
                        self._leave(now_s)
                    return
        except Exception as error:  # noqa: BLE001 - a refusal is the signal
            self._unwind(error)
            return
        self._source.feed(self)

    async def _wait(self, number: int, waiting: Waiting, signal: TaskSignal) -> None:
        try:
            await waiting(signal)
        except Exception as error:  # noqa: BLE001 - a refusal is the signal
            if number == self._waits:
                self._stop = None
                self._held.pop()  # what was refused
                self._unwind(error)
            return
        if number == self._waits:
            self._attempt()

    def _settle(self, value: object) -> bool:
        """Tell the layers of a success; False when a predicate's error has made a failure of it."""
        held, layers = self._held, self._layers
        now_s = self.scope.now_s()
        try:
            while held:
                last = held.pop()
                layers[len(held)].succeeded(last, now_s, value)
        except Exception as error:  # noqa: BLE001 - the predicate's error is the signal
            self._halt()
            self._unwind(error)
            return False
        return True

    def _unwind(self, error: Exception) -> None:
        """Tell the layers that are left of a failure, then see whether to try again.

        An error knows by its traceback the frame that caught it and those that called that one, none
        of which may hold it: so a predicate's error, which takes the failure's place, is handed on.
        """
        held, layers = self._held, self._layers
        now_s = self.scope.now_s()
        try:
            while held:
                last = held.pop()
                layers[len(held)].failed(last, now_s, error)
        except Exception as fault:  # noqa: BLE001 - the predicate's error is the signal
            self._unwind(fault)
            return
        retry, call = self._retry, self._call
        if retry is None or call is None:
            super().fail(error)
            return
        try:
            wait_s = retry.failed(call, error, now_s)
        except Exception as fault:  # noqa: BLE001 - the predicate's error is the signal
            super().fail(fault)
            return
        if wait_s is None:
            super().fail(error)
        else:
            self._again(wait_s)

    def _is_no_answer(self, value: object) -> bool:
        """Whether the value is one to retry, or the end of the call by failure."""
        assert self._retry is not None
        assert self._call is not None
        try:
            wait_s = self._retry.judge(self._call, value, self.scope.now_s())
        except Exception as error:  # noqa: BLE001 - the rule's or the predicate's error is the signal
            self._abandon()
            super().fail(error)
            return True
        if wait_s is None:
            return False
        self._abandon()
        self._again(wait_s)
        return True

    def _again(self, wait_s: float) -> None:
        """Once more, later; through the loop even without a wait, so that nobody else is stopped."""
        self._stop = self.scope.later(wait_s, self._attempt).cancel

    def _abandon(self) -> None:
        """Nobody wants the rest of this attempt."""
        self._leave(self.scope.now_s())
        self._halt()

    def _leave(self, now_s: float, keep: int = 0) -> None:
        """End a wait, and let go of all layers but so many, innermost first."""
        self._waits += 1
        stop, self._stop = self._stop, None
        if stop is not None:
            stop()
        held, layers = self._held, self._layers
        while len(held) > keep:
            last = held.pop()
            layers[len(held)].cancelled(last, now_s)

    def _halt(self) -> None:
        up, self.up = self.up, IDLE
        up.cancel()
