"""Sinks: streams that are fed by calls, with a result for every emission instead of an exception."""

import math
from abc import ABC, abstractmethod
from enum import Enum
from threading import get_ident
from typing import Any, Generic, TypeVar

from labcore.kernel import LabError
from labcore.reactive.core import Down
from labcore.reactive.errors import BackpressureError, check_positive
from labcore.reactive.operators.hubs import History, Lockstep, Member
from labcore.reactive.operators.unicast import Unicast
from labcore.reactive.publishers import Flux, Mono
from labcore.reactive.scope import running_loop
from labcore.reactive.spec import SMALL_BUFFER, UNBOUNDED

T = TypeVar("T")


class EmitResult(Enum):
    """What became of an emission. Reactor: Sinks.EmitResult."""

    OK = "ok"
    FAIL_TERMINATED = "terminated"
    FAIL_OVERFLOW = "overflow"
    FAIL_CANCELLED = "cancelled"
    FAIL_NON_SERIALIZED = "non_serialized"
    FAIL_ZERO_SUBSCRIBER = "zero_subscriber"

    @property
    def is_success(self) -> bool:
        """Whether it was taken. Reactor: isSuccess."""
        return self is EmitResult.OK

    def or_throw(self) -> None:
        """Raise unless it was taken. Reactor: orThrow.

        Raises:
            BackpressureError: On overflow.
            LabError: On any other failure.
        """
        if self is EmitResult.FAIL_OVERFLOW:
            raise BackpressureError("the sink overflowed; slow down, or use a sink that drops")
        if self is not EmitResult.OK:
            raise LabError(f"the sink refused the signal: {self.value}")


class ManySink(ABC, Generic[T]):
    """A Flux fed by `try_emit_next`, `try_emit_error`, `try_emit_complete`. Reactor: Sinks.Many.

    All calls must come from the thread of the event loop that serves the subscribers; others get
    FAIL_NON_SERIALIZED (use `loop.call_soon_threadsafe`).
    """

    def __init__(self) -> None:
        self._thread: int | None = None
        self._ended = False

    def try_emit_next(self, value: T) -> EmitResult:
        """Emit a value to whoever listens. Reactor: Sinks.Many.tryEmitNext."""
        if self._ended:
            return EmitResult.FAIL_TERMINATED
        if self._thread not in {None, get_ident()}:
            return EmitResult.FAIL_NON_SERIALIZED
        return self._next(value)

    def try_emit_error(self, error: Exception) -> EmitResult:
        """End by failure. Reactor: Sinks.Many.tryEmitError."""
        return self._finish(error)

    def try_emit_complete(self) -> EmitResult:
        """End by success. Reactor: Sinks.Many.tryEmitComplete."""
        return self._finish(None)

    def as_flux(self) -> Flux[T]:
        """What subscribers subscribe to. Reactor: asFlux."""
        return Flux(self._join)

    @property
    @abstractmethod
    def current_subscriber_count(self) -> int:
        """How many listen now. Reactor: currentSubscriberCount."""

    def _finish(self, error: Exception | None) -> EmitResult:
        if self._ended:
            return EmitResult.FAIL_TERMINATED
        if self._thread not in {None, get_ident()}:
            return EmitResult.FAIL_NON_SERIALIZED
        self._ended = True
        self._end(error)
        return EmitResult.OK

    def _join(self, down: Down[Any]) -> None:
        self._thread = get_ident()
        self._subscribe(down)

    @abstractmethod
    def _next(self, value: T) -> EmitResult:
        """Deliver a value."""

    @abstractmethod
    def _end(self, error: Exception | None) -> None:
        """Deliver the end."""

    @abstractmethod
    def _subscribe(self, down: Down[Any]) -> None:
        """Let a subscriber in."""


class _UnicastSink(ManySink[T]):
    """Keeps everything for one subscriber."""

    def __init__(self) -> None:
        super().__init__()
        self._hub = Unicast()

    @property
    def current_subscriber_count(self) -> int:
        """0 or 1."""
        return int(self._hub.outlet is not None and self._hub.outlet.live)

    def _next(self, value: T) -> EmitResult:
        if not self._hub.live:
            return EmitResult.FAIL_CANCELLED
        self._hub.push(value)
        return EmitResult.OK

    def _end(self, error: Exception | None) -> None:
        self._hub.finish(error)

    def _subscribe(self, down: Down[Any]) -> None:
        self._hub.feed(down)


class _MulticastSink(ManySink[T]):
    """In lockstep with the slowest, over a bounded queue."""

    def __init__(self, size: int, *, auto_cancel: bool) -> None:
        super().__init__()
        self._hub = Lockstep()
        self._size = size
        self._joined = False
        self._auto_cancel = auto_cancel
        self._cancelled = False
        self._hub.emptied = self._left

    @property
    def current_subscriber_count(self) -> int:
        """How many listen now."""
        return len(self._hub.members)

    def _left(self, _: Member) -> None:
        if self._auto_cancel:
            self._cancelled = True
            self._hub.queue.clear()

    def _next(self, value: T) -> EmitResult:
        hub = self._hub
        if self._cancelled:
            return EmitResult.FAIL_CANCELLED
        if len(hub.queue) >= self._size:
            nobody = not hub.members
            return EmitResult.FAIL_ZERO_SUBSCRIBER if nobody else EmitResult.FAIL_OVERFLOW
        hub.push(value)
        return EmitResult.OK

    def _end(self, error: Exception | None) -> None:
        self._hub.finish(error)

    def _subscribe(self, down: Down[Any]) -> None:
        self._hub.join(down)
        if self._ended and not self._hub.queue:
            self._hub.close()


class _DirectSink(ManySink[T]):
    """Without a queue: those with demand get the value, or nobody does."""

    def __init__(self, *, all_or_nothing: bool) -> None:
        super().__init__()
        self._members: list[_Direct] = []
        self._all = all_or_nothing
        self._error: Exception | None = None

    @property
    def current_subscriber_count(self) -> int:
        """How many listen now."""
        return len(self._members)

    def remove(self, member: "_Direct") -> None:
        """One subscriber less."""
        self._members = [other for other in self._members if other is not member]

    def _next(self, value: T) -> EmitResult:
        if not self._members:
            return EmitResult.FAIL_ZERO_SUBSCRIBER
        ready = [member for member in self._members if member.demand]
        if not ready or (self._all and len(ready) < len(self._members)):
            return EmitResult.FAIL_OVERFLOW
        for member in ready:
            if member.live:
                used = member.down.offer(value)
                if used and member.demand < UNBOUNDED:
                    member.demand -= 1
        return EmitResult.OK

    def _end(self, error: Exception | None) -> None:
        self._error = error
        members, self._members = self._members, []
        for member in members:
            member.end(error)

    def _subscribe(self, down: Down[Any]) -> None:
        member = _Direct(self, down)
        if not self._ended:
            self._members = [*self._members, member]
        down.start(member)
        if self._ended:
            member.end(self._error)


class _Direct:
    """One subscriber of a direct sink."""

    __slots__ = ("demand", "down", "live", "sink")

    def __init__(self, sink: _DirectSink[Any], down: Down[Any]) -> None:
        self.sink = sink
        self.down = down
        self.demand = 0
        self.live = True

    def request(self, n: int) -> None:
        """More demand."""
        self.demand = min(UNBOUNDED, self.demand + n)

    def cancel(self) -> None:
        """Leave."""
        self.live = False
        self.sink.remove(self)

    def end(self, error: Exception | None) -> None:
        """The end of the sink."""
        if self.live:
            self.live = False
            if error is None:
                self.down.complete()
            else:
                self.down.fail(error)


class _ReplaySink(ManySink[T]):
    """Keeps a history for those who come late."""

    def __init__(self, limit: float, ttl_s: float | None) -> None:
        super().__init__()
        self._hub = History(limit, ttl_s, self._now_s)

    @staticmethod
    def _now_s() -> float:
        return running_loop().time()

    @property
    def current_subscriber_count(self) -> int:
        """How many listen now."""
        return len(self._hub.readers)

    def _next(self, value: T) -> EmitResult:
        self._hub.push(value)
        return EmitResult.OK

    def _end(self, error: Exception | None) -> None:
        self._hub.finish(error)

    def _subscribe(self, down: Down[Any]) -> None:
        self._hub.join(down)


class OneSink(Generic[T]):
    """A Mono fed by `try_emit_value`, remembered for late subscribers. Reactor: Sinks.One."""

    def __init__(self) -> None:
        self._sink: _ReplaySink[T] = _ReplaySink(1, None)

    def try_emit_value(self, value: T) -> EmitResult:
        """The value, and the end. Reactor: Sinks.One.tryEmitValue."""
        result = self._sink.try_emit_next(value)
        return self._sink.try_emit_complete() if result.is_success else result

    def try_emit_empty(self) -> EmitResult:
        """The end, without a value. Reactor: Sinks.Empty.tryEmitEmpty."""
        return self._sink.try_emit_complete()

    def try_emit_error(self, error: Exception) -> EmitResult:
        """The end, by failure. Reactor: Sinks.Empty.tryEmitError."""
        return self._sink.try_emit_error(error)

    def as_mono(self) -> Mono[T]:
        """What subscribers subscribe to. Reactor: asMono."""
        return Mono(self._sink.as_flux().feed)


class Sinks:
    """Where sinks come from. Reactor: Sinks."""

    @staticmethod
    def one() -> OneSink[Any]:
        """A Mono whose one value is emitted by hand.

            try_emit_value(1) -> --1|

        Reactor: Sinks.one
        """
        return OneSink()

    @staticmethod
    def many() -> "ManySpec":
        """A Flux whose values are emitted by hand; choose who may listen.

            try_emit_next(1) -> --1--

        Reactor: Sinks.many
        """
        return ManySpec()


class ManySpec:
    """The choice after `Sinks.many()`. Reactor: Sinks.ManySpec."""

    def unicast(self) -> "UnicastSpec":
        """One subscriber, ever. Reactor: ManySpec.unicast."""
        return UnicastSpec()

    def multicast(self) -> "MulticastSpec":
        """Many subscribers, from when they come. Reactor: ManySpec.multicast."""
        return MulticastSpec()

    def replay(self) -> "ReplaySpec":
        """Many subscribers, late ones with history. Reactor: ManySpec.replay."""
        return ReplaySpec()


class UnicastSpec:
    """The choice after `unicast()`."""

    def on_backpressure_buffer(self) -> ManySink[Any]:
        """Keeps all values until they are asked for. Reactor: UnicastSpec.onBackpressureBuffer."""
        return _UnicastSink()


class MulticastSpec:
    """The choice after `multicast()`."""

    def on_backpressure_buffer(
        self, size: int = SMALL_BUFFER, *, auto_cancel: bool = True
    ) -> ManySink[Any]:
        """Lockstep at the slowest over a queue; over for good when the last leaves (auto_cancel).

        Reactor: MulticastSpec.onBackpressureBuffer
        """
        check_positive("size", size)
        return _MulticastSink(size, auto_cancel=auto_cancel)

    def direct_best_effort(self) -> ManySink[Any]:
        """Skips subscribers without demand. Reactor: MulticastSpec.directBestEffort."""
        return _DirectSink(all_or_nothing=False)

    def direct_all_or_nothing(self) -> ManySink[Any]:
        """Nobody gets what one has no demand for. Reactor: MulticastSpec.directAllOrNothing."""
        return _DirectSink(all_or_nothing=True)


class ReplaySpec:
    """The choice after `replay()`."""

    def all(self) -> ManySink[Any]:
        """Every value. Reactor: MulticastReplaySpec.all."""
        return _ReplaySink(math.inf, None)

    def latest(self) -> ManySink[Any]:
        """The newest value. Reactor: MulticastReplaySpec.latest."""
        return _ReplaySink(1, None)

    def limit(self, size: int, *, ttl_s: float | None = None) -> ManySink[Any]:
        """The last `size` values, at most `ttl_s` seconds old. Reactor: MulticastReplaySpec.limit."""
        check_positive("size", size)
        return _ReplaySink(size, ttl_s)
