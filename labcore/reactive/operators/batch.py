"""Operators that put values into groups: lists, groups by key; and create, made of callbacks."""
# ruff: noqa: C901 - an operator is closures over its state: ruff adds the nested ones up

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import Down, Feed, Link, Source
from labcore.reactive.errors import blame, check_positive
from labcore.reactive.hop import placed
from labcore.reactive.operators.backpressure import Valve
from labcore.reactive.operators.unicast import Emitter, Unicast
from labcore.reactive.outlet import Outlet
from labcore.reactive.scope import Timer
from labcore.reactive.spec import SMALL_BUFFER, UNBOUNDED, Overflow, Subscription, low_tide

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux

T = TypeVar("T")
K = TypeVar("K")
U = TypeVar("U")


class GroupedFlux(Generic[K, T]):
    """One group of `group_by`: its `key` and its values as `flux`. Reactor: GroupedFlux."""

    __slots__ = ("flux", "key")

    def __init__(self, key: K, flux: "Flux[T]") -> None:
        self.key = key
        self.flux = flux

    def __repr__(self) -> str:
        return f"GroupedFlux(key={self.key!r})"


def times(n: int, size: int) -> int:
    """The demand for `n` groups of `size`, saturating."""
    return UNBOUNDED if n >= UNBOUNDED // size else n * size


def buffering(source: Source[Any], size: int) -> Feed:
    """Lists of `size`; request(n) asks for n times as many."""

    def feed(down: Down[Any]) -> None:
        items: list[Any] = []
        live = True
        up: Subscription | None = None

        def start(subscription: Subscription) -> None:
            nonlocal up
            up = subscription

            def cancel() -> None:
                nonlocal live
                live = False
                subscription.cancel()
                for item in items:
                    down.scope.discard(item)
                items.clear()

            down.start(Link(lambda n: subscription.request(times(n, size)), cancel))

        def offer(value: Any) -> bool:
            nonlocal items
            items.append(value)
            if len(items) == size:
                full, items = items, []
                if not down.offer(full) and live and up is not None:
                    up.request(size)  # a filter below refused the list
            return True

        def complete() -> None:
            if items:
                # The last list is smaller, and was asked for by the request that asked for its values.
                down.offer(items.copy())
            if live:
                down.complete()

        source.feed(down.above(start=start, offer=offer, complete=complete))

    return feed


class TimedBuffer:
    """Lists that are given when full or when `max_wait_s` have passed since their first value."""

    __slots__ = ("items", "low", "max_wait_s", "outlet", "size", "taken", "timer", "up", "waiting")

    def __init__(self, down: Down[Any], size: int, max_wait_s: float) -> None:
        self.size = size
        self.max_wait_s = max_wait_s
        self.items: list[Any] = []
        self.timer: Timer | None = None
        self.outlet = Outlet(down, closed=self.cancel)
        self.up: Subscription | None = None
        self.waiting = 0
        self.low = low_tide(4 * size)

    def start(self, subscription: Subscription) -> None:
        """The source is asked for four lists' worth."""
        self.up = subscription
        self.outlet.down.start(self.outlet)
        if self.outlet.live:
            subscription.request(4 * self.size)

    def offer(self, value: Any) -> bool:
        """One value more; the clock starts with the first."""
        self.items.append(value)
        if len(self.items) == 1:
            self.timer = self.outlet.down.scope.later(self.max_wait_s, self.expire)
        if len(self.items) >= self.size:
            self.flush()
        return True

    def expire(self) -> None:
        """Time is up; without demand the list goes on growing up to its size."""
        self.timer = None
        if self.outlet.demand > len(self.outlet.queue):
            self.flush()
        elif self.items:
            self.outlet.asked = lambda _: self.outlet.down.scope.soon(self.late)

    def late(self) -> None:
        """Demand came after the time was up."""
        self.outlet.asked = None
        if self.outlet.live and self.items and self.timer is None:
            self.flush()

    def flush(self) -> None:
        """Give the list."""
        self.stop()
        full, self.items = self.items, []
        if not full:
            return
        self.outlet.push(full)
        self.waiting += len(full)
        if self.up is not None and self.waiting >= self.low and not self.outlet.ended:
            more, self.waiting = self.waiting, 0
            if self.outlet.live:
                self.up.request(more)

    def stop(self) -> None:
        """No timer."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    def cancel(self) -> None:
        """The subscriber has gone."""
        self.stop()
        if self.up is not None:
            self.up.cancel()

    def fail(self, error: Exception) -> None:
        """The source failed: what is collected is thrown away."""
        self.stop()
        self.outlet.finish(error)

    def complete(self) -> None:
        """The source ended: what is collected is given first."""
        self.flush()
        self.outlet.finish()


class Grouping:
    """Routes values to a unicast stream per key (or per window), each announced once."""

    __slots__ = ("done", "groups", "live", "outlet", "up")

    def __init__(self, down: Down[Any], taken: Callable[[int], None] | None = None) -> None:
        self.outlet = Outlet(down, closed=self.close, taken=taken)
        self.groups: dict[Any, Unicast] = {}
        self.up: Subscription | None = None
        self.done = False
        self.live = True

    def start(self, subscription: Subscription, prefetch: int) -> None:
        """The source's subscription."""
        self.up = subscription
        self.outlet.down.start(self.outlet)
        if self.outlet.live:
            subscription.request(prefetch)

    def open(self, key: Any, announce: Callable[["Flux[Any]"], Any]) -> Unicast:
        """A new group."""

        def left() -> None:
            self.groups.pop(key, None)
            self.ask(group.release())
            self.close_if_left()

        group = Unicast(taken=self.ask, cancelled=left)
        self.groups[key] = group
        self.outlet.push(announce(lib.Flux(group.feed)))
        return group

    def ask(self, count: int) -> None:
        """More from the source, one for each value taken from a group."""
        if count and self.up is not None and not self.done:
            self.up.request(count)

    def close(self) -> None:
        """Nobody wants new groups; the source goes on for the groups that are read."""
        self.live = False
        self.close_if_left()

    def close_if_left(self) -> None:
        """Cancel the source when nobody reads anything any more."""
        if not self.live and not self.groups and self.up is not None and not self.done:
            self.done = True
            self.up.cancel()

    def finish(self, error: Exception | None = None) -> None:
        """The source has ended: every group ends."""
        self.done = True
        groups, self.groups = list(self.groups.values()), {}
        for group in groups:
            group.finish(error)
        self.outlet.finish(error)


def grouping(source: Source[Any], key_of: Callable[[Any], Any], prefetch: int) -> Feed:
    """The feed of group_by."""

    def feed(down: Down[Any]) -> None:
        hub = Grouping(down)
        name = placed(key_of, down)

        def offer(value: Any) -> bool:
            try:
                key = name(value)
            except Exception as error:  # noqa: BLE001 - the function's error is the signal
                if hub.up is not None:
                    hub.up.cancel()
                hub.finish(blame(error, "group_by", key_of))
                return True
            group = hub.groups.get(key)
            if group is None:
                if not hub.live:
                    down.scope.discard(value)
                    return False
                group = hub.open(key, lambda flux: GroupedFlux(key, flux))
            group.push(value)
            return True

        source.feed(
            down.above(
                start=lambda up: hub.start(up, prefetch),
                offer=offer,
                fail=hub.finish,
                complete=hub.finish,
            )
        )

    return feed


def creating(emit: Callable[[Emitter[Any]], object], overflow: Overflow, max_size: float) -> Feed:
    """The feed of create."""

    def feed(down: Down[Any]) -> None:
        outlet = Outlet(down)
        emitter: Emitter[Any] = Emitter(Valve(outlet, overflow, max_size=max_size))
        down.start(outlet)
        if not outlet.live:
            return
        try:
            placed(emit, down)(emitter)
        except Exception as error:  # noqa: BLE001 - the function's error is the signal
            outlet.finish(blame(error, "create", emit))

    return feed


class FluxBatch(Source[T]):
    """Lists and groups."""

    __slots__ = ()

    def buffer(self, size: int) -> "Flux[list[T]]":
        """Lists of `size` values; the last may be shorter.

            --1--2--3--|
              buffer(2)
            -----[1,2]-[3]|

        >>> Flux.range(1, 3).buffer(2).collect_list().block()
        [[1, 2], [3]]

        Reactor: Flux.buffer
        """
        check_positive("size", size)
        return lib.Flux(buffering(self, size))

    def buffer_timeout(self, size: int, max_wait_s: float) -> "Flux[list[T]]":
        """Lists of `size` values, or of what came within `max_wait_s` seconds of the first.

            --1--2-----------3--|
              buffer_timeout(9, 5)
            -------[1,2]-----[3]|

        The source is asked for four lists' worth; without demand a list waits, and nothing overflows.

        >>> Flux.range(1, 3).buffer_timeout(2, 1).collect_list().block()
        [[1, 2], [3]]

        Reactor: Flux.bufferTimeout with fairBackpressure
        """
        check_positive("size", size)
        check_positive("max_wait_s", max_wait_s)

        def feed(down: Down[Any]) -> None:
            box = TimedBuffer(down, size, max_wait_s)
            self.feed(
                down.above(start=box.start, offer=box.offer, fail=box.fail, complete=box.complete)
            )

        return lib.Flux(feed)

    def group_by(
        self, key: Callable[[T], K], *, prefetch: int = SMALL_BUFFER
    ) -> "Flux[GroupedFlux[K, T]]":
        """A stream per key, each with one reader; `prefetch` values may wait in all groups together.

            --1--2--3--|
              group_by(odd)
            --(odd: 1--3) (even: 2)|

        Every group must be read: with more groups than flat_map's concurrency everything stands still.

        >>> Flux.range(1, 3).group_by(lambda n: n % 2).flat_map(
        ...     lambda group: group.flux.collect_list()).collect_list().block()
        [[1, 3], [2]]

        Reactor: Flux.groupBy
        """
        check_positive("prefetch", prefetch)
        return lib.Flux(grouping(self, key, prefetch))

    @staticmethod
    def create(
        emit: Callable[[Emitter[U]], object],
        *,
        overflow: Overflow = Overflow.BUFFER,
        max_size: int | None = None,
    ) -> "Flux[U]":
        """A stream of callbacks: `emit(sink)` is called for each subscriber and keeps the sink.

            sink.next(1) sink.next(2) sink.complete()
            --1----------2------------|

        `overflow` says what happens to values nobody has asked for: BUFFER (at most `max_size`, then an
        error), DROP_LATEST, DROP_OLDEST (keeps the newest `max_size`, default 1) or ERROR.

        >>> def emit(sink):
        ...     sink.next(1)
        ...     sink.complete()
        >>> Flux.create(emit).collect_list().block()
        [1]

        Reactor: Flux.create
        """
        default = {Overflow.BUFFER: UNBOUNDED, Overflow.DROP_OLDEST: 1}.get(overflow, 0)
        return lib.Flux(creating(emit, overflow, default if max_size is None else max_size))
