"""Operators that decide what happens when values come faster than they are asked for."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from labcore.kernel import UsageError
from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import Down, Feed, Source
from labcore.reactive.errors import BackpressureError, check_positive
from labcore.reactive.outlet import Outlet
from labcore.reactive.spec import UNBOUNDED, Overflow, Subscription, low_tide

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux

T = TypeVar("T")
Dropped = Callable[[Any], object]


class Valve:
    """Admits values into an outlet by an overflow strategy."""

    __slots__ = ("dropped", "max_size", "outlet", "stop", "strategy")

    def __init__(
        self,
        outlet: Outlet,
        strategy: Overflow,
        *,
        max_size: float = UNBOUNDED,
        dropped: Dropped | None = None,
        stop: Callable[[], None] | None = None,
    ) -> None:
        self.outlet = outlet
        self.strategy = strategy
        self.max_size = max_size
        self.dropped = dropped
        self.stop = stop

    def offer(self, value: Any) -> bool:
        """Deliver, queue, drop or fail."""
        outlet = self.outlet
        if outlet.ended or not outlet.live:
            outlet.down.scope.drop_value(value)
        elif outlet.demand > len(outlet.queue) or len(outlet.queue) < self.max_size:
            outlet.push(value)
        else:
            self._overflow(value)
        return True

    def _overflow(self, value: Any) -> None:
        if self.strategy is Overflow.DROP_OLDEST:
            oldest = self.outlet.queue.popleft()
            self.outlet.push(value)
            self._drop(oldest)
        elif self.strategy is Overflow.DROP_LATEST:
            self._drop(value)
        else:
            self._drop(value)
            if self.stop is not None:
                self.stop()
            self.outlet.finish(
                BackpressureError(
                    f"a value came without demand and {len(self.outlet.queue)} wait already (limit "
                    f"{self.max_size}); request more, or drop with on_backpressure_drop/latest"
                )
            )

    def _drop(self, value: Any) -> None:
        if self.dropped is not None:
            self.dropped(value)
        self.outlet.down.scope.discard(value)


def valved(
    source: Source[Any], strategy: Overflow, max_size: float, dropped: Dropped | None
) -> Feed:
    """The source is asked for everything; the valve decides."""

    def feed(down: Down[Any]) -> None:
        outlet = Outlet(down)
        valve = Valve(outlet, strategy, max_size=max_size, dropped=dropped)

        def start(subscription: Subscription) -> None:
            outlet.closed = valve.stop = subscription.cancel
            down.start(outlet)
            if outlet.live:
                subscription.request(UNBOUNDED)

        source.feed(
            down.above(start=start, offer=valve.offer, fail=outlet.finish, complete=outlet.complete)
        )

    return feed


def prefetching(source: Source[Any], high: int, low: int) -> Feed:
    """A queue of `high`, and a request for `low` more each time so many were taken."""

    def feed(down: Down[Any]) -> None:
        outlet = Outlet(down)
        taken = 0

        def start(subscription: Subscription) -> None:
            def replenish(count: int) -> None:
                nonlocal taken
                taken += count
                if taken >= low and not outlet.ended:
                    more, taken = taken, 0
                    subscription.request(more)

            outlet.closed, outlet.taken = subscription.cancel, replenish
            down.start(outlet)
            if outlet.live:
                subscription.request(high)

        source.feed(
            down.above(start=start, offer=outlet.push, fail=outlet.finish, complete=outlet.complete)
        )

    return feed


class FluxBackpressure(Source[T]):
    """Rates, buffers and what to drop."""

    __slots__ = ()

    def on_backpressure_buffer(
        self,
        max_size: int | None = None,
        *,
        overflow: Overflow = Overflow.ERROR,
        on_overflow: Callable[[T], object] | None = None,
    ) -> "Flux[T]":
        """Asks for everything and keeps what nobody has asked for, at most `max_size` values.

            --1--2--3--|      (no demand before 3)
              on_backpressure_buffer()
            --------1-2-3-|

        A full buffer drops the oldest or latest value, or (default) ends with a BackpressureError after
        what is kept; `on_overflow(value)` sees what is dropped. None keeps everything.

        >>> Flux.range(0, 3).on_backpressure_buffer().collect_list().block()
        [0, 1, 2]

        Reactor: Flux.onBackpressureBuffer
        """
        if max_size is not None:
            check_positive("max_size", max_size)
        size = UNBOUNDED if max_size is None else max_size
        return lib.Flux(valved(self, overflow, size, on_overflow))

    def on_backpressure_drop(self, on_drop: Callable[[T], object] | None = None) -> "Flux[T]":
        """Asks for everything and drops what nobody has asked for.

            --1--2--3--|      (demand for one)
              on_backpressure_drop()
            --1--------|

        >>> Flux.range(0, 3).on_backpressure_drop().collect_list().block()
        [0, 1, 2]

        Reactor: Flux.onBackpressureDrop
        """
        return lib.Flux(valved(self, Overflow.DROP_LATEST, 0, on_drop))

    def on_backpressure_latest(self) -> "Flux[T]":
        """Asks for everything and keeps the newest value only.

            --1--2--3-----|   (demand for one, later for another)
              on_backpressure_latest()
            --1--------3--|

        >>> Flux.range(0, 3).on_backpressure_latest().collect_list().block()
        [0, 1, 2]

        Reactor: Flux.onBackpressureLatest
        """
        return lib.Flux(valved(self, Overflow.DROP_OLDEST, 1, None))

    def on_backpressure_error(self) -> "Flux[T]":
        """Asks for everything; the first value without demand ends it with a BackpressureError.

            --1--2--          (demand for one)
              on_backpressure_error()
            --1--X

        >>> Flux.range(0, 3).on_backpressure_error().collect_list().block()
        [0, 1, 2]

        Reactor: Flux.onBackpressureError
        """
        return lib.Flux(valved(self, Overflow.ERROR, 0, None))

    def limit_rate(self, high: int, *, low: int | None = None) -> "Flux[T]":
        """Never more than `high` requested above; `low` more (default 75 %) when so many were taken.

            request(all)
              limit_rate(4)        above: request(4), request(3), request(3) ...
            --1--2--3--

        >>> Flux.range(0, 9).do_on_request(print).limit_rate(4).take(5).collect_list().block()
        4
        3
        [0, 1, 2, 3, 4]

        Reactor: Flux.limitRate
        """
        check_positive("high", high)
        tide = low_tide(high) if low is None or low >= high else (low or high)
        if tide <= 0:
            raise UsageError(f"low is {low}; give 0 (all at once) to {high - 1}")
        return lib.Flux(prefetching(self, high, tide))
