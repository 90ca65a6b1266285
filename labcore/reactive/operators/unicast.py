"""Unicast: a queue that is filled before anybody reads it, for one reader; and the emitter's sink."""

from collections.abc import Callable
from threading import get_ident
from typing import Any, Generic, TypeVar

from labcore.kernel import UsageError
from labcore.reactive.core import Down, reject
from labcore.reactive.operators.backpressure import Valve
from labcore.reactive.outlet import Outlet

T = TypeVar("T")


class Unicast:
    """Keeps values until its one subscriber comes, and ends for it."""

    __slots__ = ("cancelled", "ended", "error", "kept", "outlet", "taken", "waiting")

    def __init__(
        self,
        *,
        cancelled: Callable[[], None] | None = None,
        taken: Callable[[int], None] | None = None,
    ) -> None:
        self.kept: list[Any] = []
        self.outlet: Outlet | None = None
        self.ended = False
        self.error: Exception | None = None
        self.cancelled = cancelled
        self.taken = taken
        self.waiting = 0

    @property
    def live(self) -> bool:
        """Whether values still have somebody to go to."""
        return not self.ended and (self.outlet is None or self.outlet.live)

    def push(self, value: Any) -> None:
        """One value more."""
        self.waiting += 1
        if self.outlet is None:
            self.kept.append(value)
        else:
            self.outlet.push(value)

    def release(self) -> int:
        """How many values never reached the reader; they count no more."""
        waiting, self.waiting = self.waiting, 0
        return waiting

    def _took(self, count: int) -> None:
        count = min(count, self.waiting)  # none, when the reader left at this very value
        self.waiting -= count
        if self.taken is not None:
            self.taken(count)
        self._forget()

    def _forget(self) -> None:
        """Ended and read, nobody listens any more, and who did knows this object."""
        if self.ended and not self.waiting:
            self.taken = self.cancelled = None

    def _left(self) -> None:
        cancelled, self.cancelled, self.taken = self.cancelled, None, None
        if cancelled is not None:
            cancelled()

    def finish(self, error: Exception | None = None) -> None:
        """The end, after what is queued."""
        self.ended, self.error = True, error
        self._forget()
        if self.outlet is not None:
            self.outlet.finish(error)

    def feed(self, down: Down[Any]) -> None:
        """The one subscription."""
        if self.outlet is not None:
            reject(down, UsageError("a unicast stream has one subscriber, and it has had it"))
            return
        self.outlet = Outlet(down, closed=self._left, taken=self._took)
        self.outlet.queue.extend(self.kept)
        self.kept.clear()
        down.start(self.outlet)
        if self.ended:
            self.outlet.finish(self.error)


class Emitter(Generic[T]):
    """What `Flux.create` hands to its function: emit values, learn of demand and of the end.

    `next`, `error` and `complete` may be called from another thread; they then run on the loop.
    Reactor: FluxSink.
    """

    __slots__ = ("_outlet", "_thread", "_valve")

    def __init__(self, valve: Valve) -> None:
        self._valve = valve
        self._outlet = valve.outlet
        self._thread = get_ident()

    @property
    def requested(self) -> int:
        """Demand not met yet."""
        return max(0, self._outlet.demand - len(self._outlet.queue))

    @property
    def cancelled(self) -> bool:
        """Whether the subscriber has gone, or the stream has ended."""
        return self._outlet.ended or not self._outlet.live

    def next(self, value: T) -> None:
        """Emit a value, or overflow."""
        self._on_loop(lambda: self._valve.offer(value))

    def error(self, error: Exception) -> None:
        """End by failure, after what is queued."""
        self._on_loop(lambda: self._outlet.finish(error))

    def complete(self) -> None:
        """End by success, after what is queued."""
        self._on_loop(self._outlet.finish)

    def on_request(self, action: Callable[[int], object]) -> None:
        """`action(n)` at each request."""
        self._outlet.asked = lambda n: _call(action, n)
        if self._outlet.demand:
            action(self._outlet.demand)

    def on_cancel(self, action: Callable[[], object]) -> None:
        """`action()` when the subscriber cancels."""
        self._outlet.closed = lambda: _call(action)
        if not self._outlet.live and not self._outlet.ended:
            action()

    def _on_loop(self, call: Callable[[], object]) -> None:
        if get_ident() == self._thread:
            call()
        else:
            self._outlet.down.scope.from_thread(lambda: _call(call))


def _call(action: Callable[..., object], *args: Any) -> None:
    action(*args)
