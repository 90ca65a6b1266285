"""Where streams begin: values, iterables, coroutines, ticks and callbacks."""

import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator
from itertools import repeat
from types import FunctionType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from labcore.kernel import UsageError
from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import IDLE, MISSING, Down, Feed, Fusion, Source, edge, reject
from labcore.reactive.errors import BackpressureError, check_not_negative, check_positive
from labcore.reactive.hop import placed
from labcore.reactive.outlet import Outlet
from labcore.reactive.pump import awaiting, awaiting_one, called, pumping
from labcore.reactive.scope import Timer
from labcore.reactive.spec import Publisher, Subscriber, Subscription

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux, Mono

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")


class Scalar:
    """The subscription of one known value, given on the first request."""

    __slots__ = ("asked", "down", "live", "value")

    def __init__(self, down: Down[Any], value: object) -> None:
        self.down = down
        self.value = value
        self.asked = False
        self.live = True

    def request(self, _: int) -> None:
        """The value and the end, once."""
        if self.asked:
            return
        self.asked = True
        self.down.offer(self.value)
        if self.live:
            self.live = False
            self.down.complete()

    def cancel(self) -> None:
        """Nothing is given any more."""
        self.asked, self.live = True, False


def scalar_feed(value: object) -> Feed:
    """One known value, given on the first request."""

    def feed(down: "Down[Any]") -> None:
        down.start(Scalar(down, value))

    return feed


def empty_feed(down: Down[Any]) -> None:
    """Completes at once."""
    down.start(IDLE)
    down.complete()


def never_feed(down: Down[Any]) -> None:
    """Signals nothing, for ever."""
    down.start(IDLE)


def error_feed(error: Exception | Callable[[], Exception]) -> Feed:
    """Fails at once."""

    def feed(down: "Down[Any]") -> None:
        reject(down, error if isinstance(error, Exception) else placed(error, down)())

    return feed


def deferred(make: Callable[[Down[Any]], Source[Any]]) -> Feed:
    """The stream that is made for each subscriber."""

    def feed(down: "Down[Any]") -> None:
        try:
            source = placed(make, down)(down)
        except Exception as error:  # noqa: BLE001 - a user's factory: its error is the signal
            reject(down, error)
            return
        source.feed(down)

    return feed


def after(delay_s: float) -> Feed:
    """0, once, that many seconds after the subscription, and not before it is asked for."""

    def feed(down: "Down[Any]") -> None:
        outlet = Outlet(down)

        def fire() -> None:
            outlet.push(0)
            outlet.complete()

        outlet.closed = down.scope.later(delay_s, fire).cancel
        down.start(outlet)

    return feed


def published(publisher: Publisher[Any]) -> Feed:
    """A publisher from outside, its signals kept in order and its end guarded."""

    def feed(down: "Down[Any]") -> None:
        receiver = _Receiver(down)
        try:
            publisher.subscribe(receiver, scope=down.scope)
        except Exception as error:  # noqa: BLE001 - foreign code: rule 1.9 says it returns normally
            if receiver.started:
                receiver.on_error(error)
            else:
                reject(down, error)

    return feed


class _Receiver(Subscriber[Any]):
    """Guards the fast path against publishers that break the rules."""

    def __init__(self, down: Down[Any]) -> None:
        self.down = down
        self.started = False
        self.live = True
        self.up: Subscription = IDLE

    def on_subscribe(self, subscription: Subscription, /) -> None:
        if self.started:
            subscription.cancel()  # rule 2.5
            return
        self.started, self.up = True, subscription
        self.down.start(self)

    def request(self, n: int) -> None:
        if self.live:
            self.up.request(n)

    def cancel(self) -> None:
        if self.live:
            up = self.up
            self.over()
            up.cancel()

    def over(self) -> None:
        self.live = False
        self.up = IDLE

    def on_next(self, value: Any, /) -> None:
        if not self.live:
            self.down.scope.drop_value(value)
        elif not self.down.offer(value):
            self.request(1)  # a filter refused it, and a foreign publisher counts every value

    def on_error(self, error: Exception, /) -> None:
        if not self.live:
            self.down.scope.drop_error(error)
            return
        self.over()
        self.down.fail(error)

    def on_complete(self) -> None:
        if self.live:
            self.over()
            self.down.complete()


def is_coroutine_function(call: Callable[..., object]) -> bool:
    """As `inspect.iscoroutinefunction`, without its ten calls for a plain function."""
    if type(call) is FunctionType:
        return bool(call.__code__.co_flags & inspect.CO_COROUTINE)
    return inspect.iscoroutinefunction(call)


def as_source(thing: Any) -> Source[Any]:
    """What a mapper returned, as a source: ours, an awaitable, an async iterable, a publisher."""
    if isinstance(thing, Source):
        return thing
    if inspect.isawaitable(thing):
        return Source(awaiting_one(thing))
    if isinstance(thing, AsyncIterable):
        return Source(pumping(lambda: thing))
    if hasattr(thing, "subscribe"):
        return Source(published(thing))
    raise UsageError(
        f"{thing!r} is no stream; give a Mono, a Flux, an awaitable, an async iterable or a Publisher"
    )


class Ticking:
    """The subscription of an interval; a tick nobody asked for is an overflow error."""

    __slots__ = ("demand", "down", "due_s", "live", "period_s", "tick", "timer")

    def __init__(self, down: Down[Any], period_s: float) -> None:
        self.down = down
        self.period_s = period_s
        self.demand = self.tick = 0
        self.due_s = 0.0
        self.live = True
        self.timer: Timer | None = None

    def begin(self, first_s: float) -> None:
        """Hand the subscription down; the clock runs from now."""
        self.due_s = self.down.scope.now_s() + first_s
        self.down.start(self)
        self.arm()

    def request(self, n: int) -> None:
        """Demand from below."""
        self.demand += n

    def cancel(self) -> None:
        """No more ticks."""
        self.live = False
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()

    def fire(self) -> None:
        """A tick."""
        self.timer = None
        if not self.demand:
            self.live = False
            self.down.fail(_overflow(self.tick, self.period_s))
            return
        tick, self.tick = self.tick, self.tick + 1
        self.due_s += self.period_s
        used = self.down.offer(tick)  # it may ask for more meanwhile
        self.demand -= used
        self.arm()

    def arm(self) -> None:
        """The next tick at its time, however long the last one took."""
        if self.live:
            scope = self.down.scope
            self.timer = scope.later(max(0.0, self.due_s - scope.now_s()), self.fire)


def ticking(first_s: float, period_s: float) -> Feed:
    """0, 1, 2 … at fixed times."""

    def feed(down: "Down[Any]") -> None:
        Ticking(down, period_s).begin(first_s)

    return feed


def _overflow(tick: int, period_s: float) -> Exception:
    return BackpressureError(
        f"tick {tick} of interval({period_s}) came without demand; put on_backpressure_drop() or "
        "on_backpressure_latest() behind it"
    )


class FluxCreation(Source[T]):
    """How a Flux begins."""

    __slots__ = ()

    @staticmethod
    def just(*values: U) -> "Flux[U]":
        """These values.

            --1--2--3--|

        >>> Flux.just(1, 2, 3).collect_list().block()
        [1, 2, 3]

        Reactor: Flux.just
        """
        scalar: object = values[0] if len(values) == 1 else MISSING
        return lib.Flux(fusion=Fusion(lambda: iter(values)), scalar=scalar)

    @staticmethod
    def empty() -> "Flux[Any]":
        """Nothing, and the end at once.

            --|

        >>> Flux.empty().collect_list().block()
        []

        Reactor: Flux.empty
        """
        return lib.Flux(empty_feed)

    @staticmethod
    def never() -> "Flux[Any]":
        """Nothing, and no end.

            ------...

        >>> Flux.never().take(0).collect_list().block()
        []

        Reactor: Flux.never
        """
        return lib.Flux(never_feed)

    @staticmethod
    def error(error: Exception | Callable[[], Exception]) -> "Flux[Any]":
        """A failure at once; a callable makes a fresh error for each subscriber.

            --X

        >>> Flux.error(ValueError("no")).on_error_return(0).collect_list().block()
        [0]

        Reactor: Flux.error
        """
        return lib.Flux(error_feed(error))

    @staticmethod
    def defer(make: Callable[[], "Publisher[U]"]) -> "Flux[U]":
        """A stream made anew for each subscriber.

            subscribe -> make() --1--2--|

        >>> Flux.defer(lambda: Flux.just(1, 2)).collect_list().block()
        [1, 2]

        Reactor: Flux.defer
        """
        return lib.Flux(deferred(lambda _: as_source(make())))

    @staticmethod
    def range(start: int, count: int) -> "Flux[int]":
        """`count` integers from `start`.

            --5--6--7--|

        >>> Flux.range(5, 3).collect_list().block()
        [5, 6, 7]

        Reactor: Flux.range
        """
        check_not_negative("count", count)
        numbers = range(start, start + count)
        return lib.Flux(fusion=Fusion(lambda: iter(numbers)))

    @staticmethod
    def from_iterable(values: Iterable[U]) -> "Flux[U]":
        """The values of an iterable, taken as they are asked for; a new iterator per subscriber.

            [1, 2] -> --1--2--|

        The end of a built-in collection is signalled with its last value; that of a generator when one
        more is asked for, because it can only be asked by taking.

        >>> Flux.from_iterable("ab").collect_list().block()
        ['a', 'b']

        Reactor: Flux.fromIterable
        """
        return lib.Flux(fusion=Fusion(lambda: iter(values)))

    @staticmethod
    def from_async_iterable(
        values: AsyncIterable[U] | Callable[[], AsyncIterable[U]],
    ) -> "Flux[U]":
        """The values of an async iterable, or of what a factory gives each subscriber.

            async for -> --1--2--|

        One task pulls, and only what has been asked for. Cancelling closes a generator and waits for it.

        >>> async def ticks():
        ...     yield "tick"
        >>> Flux.from_async_iterable(ticks).collect_list().block()
        ['tick']

        Reactor: Flux.from (there from a Publisher)
        """
        if isinstance(values, AsyncIterable):
            return lib.Flux(pumping(lambda: values))
        return lib.Flux(pumping(values))

    @staticmethod
    def from_publisher(publisher: "Publisher[U]") -> "Flux[U]":
        """Any Publisher as a Flux, guarded against signals after the end.

            publisher -> --1--2--|

        >>> Flux.from_publisher(Mono.just(1)).collect_list().block()
        [1]

        Reactor: Flux.from
        """
        return lib.Flux(published(publisher))

    @staticmethod
    def interval(period_s: float, *, delay_s: float | None = None) -> "Flux[int]":
        """0, 1, 2 … every `period_s` seconds, the first after `delay_s` (default: one period).

            ----0----1----2...

        Ticks do not wait: one without demand ends the stream with a BackpressureError.

        >>> Flux.interval(0.001).take(2).collect_list().block()
        [0, 1]

        Reactor: Flux.interval
        """
        check_positive("period_s", period_s)
        first_s = period_s if delay_s is None else delay_s
        check_not_negative("delay_s", first_s)
        return lib.Flux(ticking(first_s, period_s))

    @staticmethod
    def generate(step: Callable[[R], tuple[U, R] | None], *, state: Callable[[], R]) -> "Flux[U]":
        """One value per demand: `step(state)` gives a value and the next state, or None for the end.

            state -> step -> --0--1--2--|

        >>> Flux.generate(lambda n: (n, n + 1) if n < 3 else None, state=lambda: 0).collect_list().block()
        [0, 1, 2]

        Reactor: Flux.generate, whose sink is here the returned pair
        """

        def values() -> Iterator[U]:
            current = state()
            for _ in repeat(None):
                pair = step(current)
                if pair is None:
                    return
                value, current = pair
                yield value

        return lib.Flux(fusion=Fusion(values))


class MonoCreation(Source[T], Generic[T]):
    """How a Mono begins."""

    __slots__ = ()

    @staticmethod
    def just(value: U) -> "Mono[U]":
        """This value.

            --1|

        >>> Mono.just(1).block()
        1

        Reactor: Mono.just
        """
        return lib.Mono(scalar_feed(value), scalar=value)

    @staticmethod
    def just_or_empty(value: U | None) -> "Mono[U]":
        """This value, or the empty Mono for None.

            None -> --|

        >>> Mono.just_or_empty(None).default_if_empty("none").block()
        'none'

        Reactor: Mono.justOrEmpty
        """
        return lib.Mono(empty_feed) if value is None else lib.Mono.just(value)

    @staticmethod
    def empty() -> "Mono[Any]":
        """No value, and the end at once.

            --|

        >>> Mono.empty().block() is None
        True

        Reactor: Mono.empty
        """
        return lib.Mono(empty_feed)

    @staticmethod
    def never() -> "Mono[Any]":
        """No value, and no end.

            ------...

        >>> Mono.never().timeout(0.001, fallback=Mono.just("late")).block()
        'late'

        Reactor: Mono.never
        """
        return lib.Mono(never_feed)

    @staticmethod
    def error(error: Exception | Callable[[], Exception]) -> "Mono[Any]":
        """A failure at once; a callable makes a fresh error for each subscriber.

            --X

        >>> Mono.error(ValueError("no")).on_error_return(0).block()
        0

        Reactor: Mono.error
        """
        return lib.Mono(error_feed(error))

    @staticmethod
    def defer(make: Callable[[], "Publisher[U] | Awaitable[U]"]) -> "Mono[U]":
        """A Mono made anew for each subscriber.

            subscribe -> make() --1|

        >>> Mono.defer(lambda: Mono.just(1)).block()
        1

        Reactor: Mono.defer
        """
        return lib.Mono(deferred(lambda _: as_source(make())))

    @staticmethod
    @overload
    def from_callable(call: Callable[[], Awaitable[U]]) -> "Mono[U]": ...

    @staticmethod
    @overload
    def from_callable(call: Callable[[], U]) -> "Mono[U]": ...

    @staticmethod
    def from_callable(call: Callable[[], Any]) -> "Mono[Any]":
        """What the call returns, made on demand and for each subscriber; a coroutine is awaited.

            request -> call() --1|

        A coroutine runs as a task of the root's scope; cancelling the Mono cancels it and waits.

        >>> async def price():
        ...     return 42
        >>> Mono.from_callable(price).block()
        42

        Reactor: Mono.fromCallable; for coroutine functions Mono.fromFuture
        """
        if is_coroutine_function(call):
            return lib.Mono(awaiting(call))
        return lib.Mono(called(call))

    @staticmethod
    def from_awaitable(awaitable: Awaitable[U]) -> "Mono[U]":
        """The result of one awaitable; a coroutine can be awaited by one subscriber only.

            await -> --1|

        >>> async def price():
        ...     return 42
        >>> Mono.from_awaitable(price()).block()
        42

        Reactor: Mono.fromFuture
        """
        return lib.Mono(awaiting_one(awaitable))

    @staticmethod
    def from_publisher(publisher: "Publisher[U]") -> "Mono[U]":
        """The first value of any Publisher, which is cancelled then.

            --1--2-- -> --1|

        >>> Mono.from_publisher(Flux.just(1, 2)).block()
        1

        Reactor: Mono.from
        """
        return lib.Flux.from_publisher(publisher).next()

    @staticmethod
    def delay(delay_s: float) -> "Mono[int]":
        """0 after that many seconds.

            ----0|

        >>> Mono.delay(0.001).block()
        0

        Reactor: Mono.delay
        """
        check_not_negative("delay_s", delay_s)
        return lib.Mono(after(delay_s))


__all__ = ["FluxCreation", "MonoCreation", "as_source", "deferred", "edge", "published"]
