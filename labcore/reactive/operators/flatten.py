"""Flattening: the machinery of flat_map, merge, concat_map, switch_map and their kin.

One queue per flattening operator, in order of arrival, so no inner stream starves; an inner stream
may have `prefetch` values in it and is asked for more when 75 % of them were taken.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Coroutine
from inspect import isawaitable
from types import CoroutineType
from typing import Any

import anyio
import anyio.lowlevel

from labcore.reactive.core import IDLE, MISSING, Down, Feed, Source, Step
from labcore.reactive.errors import blame
from labcore.reactive.hop import placed
from labcore.reactive.operators.create import as_source
from labcore.reactive.operators.lenient import refused
from labcore.reactive.spec import TURN, UNBOUNDED, Subscription, add_demand, low_tide

Mapper = Callable[[Any], Any]


class Inner(Down[Any]):
    """One inner stream of a `FlatMap`."""

    __slots__ = ("credit", "done", "hub", "low", "queued", "up")

    def __init__(
        self, hub: "FlatMap", prefetch: int
    ) -> None:  # the calls of `Down` are methods here
        self.hub = hub
        self.scope = hub.scope
        self.context = hub.context
        self.low = low_tide(prefetch)
        self.credit = 0
        self.queued = 0
        self.done = False
        self.up: Subscription = IDLE

    def start(self, subscription: Subscription) -> None:
        """The inner subscription; it is asked for its prefetch."""
        self.up = subscription
        if self.hub.live:
            subscription.request(self.hub.prefetch)
        else:
            subscription.cancel()

    def offer(self, value: Any) -> bool:
        """Pass on at once when nothing waits; queue otherwise."""
        hub = self.hub
        if not hub.demand or hub.busy or hub.queue:
            self.queued += 1
            hub.queue.append((value, self))
            if hub.demand and not hub.busy:
                hub.drain()
            return True
        hub.busy = True
        if hub.emit(value) and hub.demand < UNBOUNDED:
            hub.demand -= 1
        hub.busy = False
        self.credit += 1
        if self.credit >= self.low and hub.live:
            self.credit = 0
            self.up.request(self.low)
        if hub.queue and hub.demand:
            hub.drain()
        return True

    def taken(self) -> None:
        """One queued value was delivered."""
        self.queued -= 1
        if self.done:
            if not self.queued:
                self.hub.release(self)
            return
        self.credit += 1
        if self.credit >= self.low:
            self.credit = 0
            self.up.request(self.low)

    def fail(self, error: Exception) -> None:
        """The inner stream failed, and all the others with it."""
        final = refused(self.hub.down, error, None)
        if final is None:
            self.complete()
            return
        self.up = IDLE
        self.hub.fail(final)

    def cancel(self) -> None:
        """The others failed, or nobody wants them."""
        up, self.up = self.up, IDLE
        up.cancel()

    def complete(self) -> None:
        """The inner stream ended; its place is free when its last value is taken."""
        self.up = IDLE
        self.done = True
        if not self.queued:
            self.hub.release(self)


class FlatMap(Step[Any]):
    """Up to `concurrency` inner streams at once, their values as they come.

    A mapper that gives an awaitable needs no inner stream: at most `concurrency` worker tasks await.
    A value that is known (`just`) is passed straight on.
    """

    __slots__ = (
        *("active", "awaiting", "busy", "concurrency", "demand", "done", "emit", "live"),
        *("mapper", "pending", "prefetch", "queue", "workers"),
    )

    def __init__(self, down: Down[Any], mapper: Mapper, concurrency: int, prefetch: int) -> None:
        super().__init__(down)
        self.emit = down.offer
        self.mapper = placed(mapper, down)
        self.concurrency = concurrency
        self.prefetch = prefetch
        self.queue: deque[tuple[Any, Inner | None]] = deque()
        self.demand = 0
        self.busy = self.done = False
        self.live = True
        self.active: set[Inner] = set()
        self.pending: deque[Awaitable[Any]] = deque()
        self.workers: set[anyio.CancelScope] = set()
        self.awaiting = 0

    def start(self, subscription: Subscription) -> None:
        """The source's subscription; it is asked for as many values as there are places."""
        self.up = subscription
        self.down.start(self)
        if self.live:
            subscription.request(self.concurrency)

    def offer(self, value: Any) -> bool:
        """A value of the source: start its inner stream."""
        try:
            inner = self.mapper(value)
            if type(inner) is CoroutineType:
                self.employ(inner)
                return True
            if not isinstance(inner, Source):
                if isawaitable(inner):
                    self.employ(inner)
                    return True
                inner = as_source(inner)
        except Exception as error:  # noqa: BLE001 - the mapper's error is the signal
            final = refused(self.down, blame(error, "flat_map", self.mapper), value)
            if final is None:
                return False
            self.up.cancel()
            self.fail(final)
            del final  # its traceback knows this frame
            return True
        if inner.scalar is not MISSING:
            return self.pass_scalar(inner.scalar)
        self.join(inner)
        return True

    def pass_scalar(self, value: Any) -> bool:
        """A known value; delivered at once it takes no place at all."""
        if not self.demand or self.busy or self.queue:
            self.queue.append((value, None))
            if self.demand and not self.busy:
                self.drain()
            return True
        self.busy = True
        if self.emit(value) and self.demand < UNBOUNDED:
            self.demand -= 1
        self.busy = False
        if self.queue and self.demand:
            self.drain()
        return False

    def join(self, source: Source[Any]) -> None:
        """Subscribe to an inner stream."""
        inner = Inner(self, self.prefetch)
        self.active.add(inner)
        source.feed(inner)

    def release(self, inner: Inner) -> None:
        """An inner stream is over: its place goes to the next value of the source."""
        self.active.discard(inner)
        self.free()
        self.settle()

    def employ(self, awaitable: Awaitable[Any]) -> None:
        """Have a worker await it; a new one only when the others are all waiting."""
        self.pending.append(awaitable)
        if len(self.pending) > len(self.workers) - self.awaiting:
            self.hire()

    def hire(self) -> None:
        """One worker more."""
        worker = Worker(self)
        worker.task = self.down.scope.spawn(worker.run)
        self.workers.add(worker.task)

    def complete(self) -> None:
        """The source has ended; what is under way goes on."""
        self.up = IDLE
        self.done = True
        self.settle()

    @property
    def stopped(self) -> bool:
        """Whether it was cancelled or failed meanwhile."""
        return not self.live

    def free(self) -> None:
        """A place is free: ask the source for another value."""
        if self.live and not self.done:
            self.up.request(1)

    def settle(self) -> None:
        """Complete when nothing is under way any more."""
        idle = not (self.active or self.queue or self.pending or self.awaiting)
        if self.done and idle and self.live and not self.busy:
            self.live = False
            self.down.complete()

    def fail(self, error: Exception) -> None:
        """The first error ends everything; queued values are thrown away."""
        if not self.live:
            self.down.scope.drop_error(error)
            return
        self.stop()
        self.down.fail(error)

    def cancel(self) -> None:
        """Cancel the source and everything under way."""
        if self.live:
            self.stop()

    def stop(self) -> None:
        """Cancel all, discard all."""
        self.live = False
        up, self.up = self.up, IDLE
        up.cancel()
        active, self.active = self.active, set()
        for inner in active:
            inner.cancel()
        for task in self.workers:
            task.cancel()
        for awaitable in self.pending:
            if isinstance(awaitable, Coroutine):
                awaitable.close()
        self.pending.clear()
        waiting, self.queue = self.queue, deque()
        for value, _ in waiting:
            self.down.scope.discard(value)

    def request(self, n: int) -> None:
        """Demand from below."""
        if self.live:
            self.demand = add_demand(self.demand, n)
            if self.queue and not self.busy:
                self.drain()

    def drain(self) -> None:
        """Deliver what is queued, in order of arrival."""
        self.busy = True
        sent = 0
        while self.queue and self.demand and self.live:
            value, inner = self.queue.popleft()
            if self.emit(value) and self.demand < UNBOUNDED:
                self.demand -= 1
            if inner is None:
                self.free()
            elif not self.stopped:
                inner.taken()
            sent += 1
            if sent == TURN:
                self.down.scope.soon(self.drain)
                return
        self.busy = False
        self.settle()


class Worker:
    """Awaits one pending result after the other, and goes home when there is none."""

    __slots__ = ("hub", "task")

    def __init__(self, hub: FlatMap) -> None:
        self.hub = hub
        self.task: anyio.CancelScope | None = None

    async def run(self) -> None:
        """The task."""
        hub, turn = self.hub, TURN
        pending, pass_scalar = hub.pending, hub.pass_scalar
        try:
            while pending and hub.live:
                hub.awaiting += 1
                value = await pending.popleft()
                hub.awaiting -= 1
                if hub.stopped:
                    break
                if not pass_scalar(value) and not hub.done:
                    hub.up.request(1)
                turn -= 1
                if not turn:
                    turn = TURN
                    await anyio.lowlevel.checkpoint()
        except Exception as error:  # noqa: BLE001 - the call's error is the signal
            hub.awaiting -= 1
            final = refused(hub.down, error, None)
            if final is not None:
                hub.fail(final)
                del final  # its traceback knows this frame
            else:
                hub.free()
                if pending:
                    hub.hire()
        finally:
            if self.task is not None:
                hub.workers.discard(self.task)
        hub.settle()


def flat_mapping(source: Source[Any], mapper: Mapper, concurrency: int, prefetch: int) -> Feed:
    """The feed of flat_map."""

    def feed(down: "Down[Any]") -> None:
        source.feed(FlatMap(down, mapper, concurrency, prefetch))

    return feed


class ConcatMap(Step[Any]):
    """One inner stream at a time, in order; downstream's demand goes straight to it."""

    __slots__ = ("active", "demand", "done", "inner", "live", "mapper")

    def __init__(self, down: Down[Any], mapper: Mapper) -> None:
        super().__init__(down)
        self.mapper = placed(mapper, down)
        self.demand = 0
        self.live = True
        self.active = self.done = False
        self.inner: Subscription = IDLE

    def start(self, subscription: Subscription) -> None:
        """The source's subscription; asked for one value when there is demand."""
        self.up = subscription
        self.down.start(self)

    def request(self, n: int) -> None:
        """Demand from below."""
        if not self.live:
            return
        fresh = not self.demand
        self.demand = add_demand(self.demand, n)
        if self.active:
            self.inner.request(n)
        elif fresh and not self.done:
            self.up.request(1)

    def cancel(self) -> None:
        """Cancel the inner stream and the source."""
        if self.live:
            self.live = False
            inner, up = self.inner, self.up
            self.inner = self.up = IDLE
            inner.cancel()
            up.cancel()

    def offer(self, value: Any) -> bool:
        """A value of the source: run its inner stream."""
        try:
            source = as_source(self.mapper(value))
        except Exception as error:  # noqa: BLE001 - the mapper's error is the signal
            final = refused(self.down, blame(error, "concat_map", self.mapper), value)
            if final is None:
                return False
            self.fail(final)
            del final  # its traceback knows this frame
            return True
        self.active = True
        source.feed(Part(self))
        return True

    def begin(self, subscription: Subscription) -> None:
        """The inner subscription takes over the unmet demand."""
        self.inner = subscription
        if not self.live:
            subscription.cancel()
        elif self.demand:
            subscription.request(self.demand)

    def pass_on(self, value: Any) -> bool:
        """A value of the inner stream."""
        used = self.down.offer(value)
        if used and self.demand < UNBOUNDED:
            self.demand -= 1
        return used

    def end(self) -> None:
        """The inner stream is over: the next one, when anybody asks."""
        self.active, self.inner = False, IDLE
        if self.done:
            self.complete()
        elif self.demand and self.live:
            self.up.request(1)

    def fail(self, error: Exception) -> None:
        """Any error ends it."""
        if not self.live:
            self.down.scope.drop_error(error)
            return
        self.cancel()
        self.down.fail(error)

    def complete(self) -> None:
        """The source has ended; the inner stream goes on."""
        self.up = IDLE
        self.done = True
        if not self.active and self.live:
            self.live = False
            self.down.complete()


class Part(Down[Any]):
    """The subscriber of one inner stream of a `ConcatMap`."""

    __slots__ = ("hub",)

    def __init__(self, hub: ConcatMap) -> None:  # the calls of `Down` are methods here
        self.hub = hub
        self.scope = hub.scope
        self.context = hub.context
        self.offer = hub.pass_on

    def start(self, subscription: Subscription) -> None:
        """The inner subscription takes over the unmet demand."""
        self.hub.begin(subscription)

    def fail(self, error: Exception) -> None:
        """Any error ends it."""
        final = refused(self.hub.down, error, None)
        if final is None:
            self.hub.end()
        else:
            self.hub.fail(final)

    def complete(self) -> None:
        """The inner stream is over."""
        self.hub.end()


class SwitchMap(ConcatMap):
    """The newest inner stream only: a value of the source cancels the one before."""

    __slots__ = ()

    def start(self, subscription: Subscription) -> None:
        """The source is asked for everything."""
        self.up = subscription
        self.down.start(self)
        if self.live:
            subscription.request(UNBOUNDED)

    def request(self, n: int) -> None:
        """Demand from below, for whichever inner stream runs."""
        if self.live:
            self.demand = add_demand(self.demand, n)
            self.inner.request(n)

    def offer(self, value: Any) -> bool:
        """A value of the source: change over."""
        former, self.inner = self.inner, IDLE
        former.cancel()
        return super().offer(value)

    def end(self) -> None:
        """The inner stream is over."""
        self.active, self.inner = False, IDLE
        if self.done:
            self.complete()


class Slot(Down[Any]):
    """One inner stream of a `Sequential`, with a queue of its own."""

    __slots__ = ("credit", "done", "hub", "low", "queue", "up")

    def __init__(self, hub: "Sequential") -> None:  # the calls of `Down` are methods here
        self.hub = hub
        self.scope = hub.scope
        self.context = hub.context
        self.queue: deque[Any] = deque()
        self.done = False
        self.credit = 0
        self.low = low_tide(hub.prefetch)
        self.up: Subscription = IDLE

    def start(self, subscription: Subscription) -> None:
        """The inner subscription; it is asked for its prefetch."""
        self.up = subscription
        subscription.request(self.hub.prefetch)

    def offer(self, value: Any) -> bool:
        """Queue; the head of the line is delivered."""
        self.queue.append(value)
        self.hub.drain()
        return True

    def fail(self, error: Exception) -> None:
        """Any error ends them all."""
        self.up = IDLE
        self.hub.fail(error)

    def cancel(self) -> None:
        """Nobody wants it."""
        up, self.up = self.up, IDLE
        up.cancel()

    def complete(self) -> None:
        """This stream is over; the line moves on when its values are taken."""
        self.up = IDLE
        self.done = True
        self.hub.drain()

    def taken(self) -> None:
        """One value was delivered."""
        self.credit += 1
        if self.credit >= self.low and not self.done:
            self.credit = 0
            self.up.request(self.low)


class Sequential(Step[Any]):
    """Up to `concurrency` inner streams at once, their values in the order of the source."""

    __slots__ = (*("busy", "concurrency", "demand", "done", "live", "mapper", "prefetch", "slots"),)

    def __init__(self, down: Down[Any], mapper: Mapper, concurrency: int, prefetch: int) -> None:
        super().__init__(down)
        self.mapper = placed(mapper, down)
        self.concurrency = concurrency
        self.prefetch = prefetch
        self.slots: deque[Slot] = deque()
        self.demand = 0
        self.live = True
        self.busy = self.done = False

    def start(self, subscription: Subscription) -> None:
        """The source's subscription; it is asked for as many values as there are places."""
        self.up = subscription
        self.down.start(self)
        if self.live:
            subscription.request(self.concurrency)

    def offer(self, value: Any) -> bool:
        """A value of the source: its inner stream joins the line."""
        try:
            source = as_source(self.mapper(value))
        except Exception as error:  # noqa: BLE001 - the mapper's error is the signal
            self.fail(blame(error, "flat_map_sequential", self.mapper))
            return True
        slot = Slot(self)
        self.slots.append(slot)
        source.feed(slot)
        return True

    def request(self, n: int) -> None:
        """Demand from below."""
        if self.live:
            self.demand = add_demand(self.demand, n)
            self.drain()

    def cancel(self) -> None:
        """Cancel the source and every inner stream."""
        if self.live:
            self.live = False
            up, self.up = self.up, IDLE
            up.cancel()
            slots, self.slots = self.slots, deque()
            for slot in slots:
                slot.cancel()
                for value in slot.queue:
                    self.scope.discard(value)

    def fail(self, error: Exception) -> None:
        """The first error ends everything."""
        if not self.live:
            self.down.scope.drop_error(error)
            return
        self.cancel()
        self.down.fail(error)

    def complete(self) -> None:
        """The source has ended; the line goes on."""
        self.up = IDLE
        self.done = True
        self.drain()

    def drain(self) -> None:
        """Deliver from the head of the line; a finished head makes room."""
        if self.busy:
            return
        self.busy = True
        while self.live and self.slots:
            head = self.slots[0]
            while head.queue and self.demand and self.live:
                if self.down.offer(head.queue.popleft()) and self.demand < UNBOUNDED:
                    self.demand -= 1
                head.taken()
            if head.queue or not head.done or not self.live:
                break
            self.slots.popleft()
            if not self.done:
                self.up.request(1)
        self.busy = False
        if self.live and self.done and not self.slots:
            self.live = False
            self.down.complete()


def concat_mapping(source: Source[Any], make: Callable[[Down[Any]], Step[Any]]) -> Feed:
    """The feed of concat_map, switch_map and flat_map_sequential: `make(down)` is the operator."""

    def feed(down: "Down[Any]") -> None:
        source.feed(make(down))

    return feed
