"""Operators that know the clock: limits, delays, samples. Time is the loop's, virtual or real."""

from typing import TYPE_CHECKING, Any, Self, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import IDLE, MISSING, Down, Feed, Source, Step
from labcore.reactive.errors import (
    BackpressureError,
    StreamTimeoutError,
    check_not_negative,
    check_positive,
)
from labcore.reactive.operators.relay import Relay
from labcore.reactive.scope import Timer
from labcore.reactive.spec import UNBOUNDED, Subscription, add_demand

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux, Mono

T = TypeVar("T")


class Limit(Relay):
    """One timer that is looked at late: a value only notes the time, the timer re-arms itself."""

    __slots__ = ("due_s", "fallback", "late", "limit_s", "timer")

    def __init__(self, down: Down[Any], limit_s: float, fallback: Source[Any] | None) -> None:
        super().__init__(down)
        self.limit_s = limit_s
        self.fallback = fallback
        self.due_s = 0.0
        self.late = False
        self.timer: Timer | None = None

    def run(self, source: Source[Any], first_s: float) -> None:
        """Subscribe; the clock starts now."""
        self.due_s = self.scope.now_s() + first_s
        self.timer = self.scope.later(first_s, self.look)
        self.begin(source)

    def offer(self, value: Any) -> bool:
        """The clock starts anew when the value has been delivered."""
        used = super().offer(value)
        if not self.late:
            due_s = self.scope.now_s() + self.limit_s
            if due_s < self.due_s and self.timer is not None:
                self.timer.cancel()  # the first value had a longer limit
                self.timer = self.scope.later(self.limit_s, self.look)
            self.due_s = due_s
        return used

    def look(self) -> None:
        """The timer fired: too late, or not yet."""
        left_s = self.due_s - self.scope.now_s()
        if left_s > 0:
            self.timer = self.scope.later(left_s, self.look)
            return
        self.timer = None
        self.late = True
        self.up.cancel()
        if self.fallback is not None:
            self.switch(self.fallback)
            return
        self.fail(
            StreamTimeoutError(
                f"Did not observe any item or terminal signal within {self.limit_s} s "
                "(and no fallback has been configured)"
            )
        )

    def fail(self, error: Exception) -> None:
        """The source failed in time."""
        self.ended()
        super().fail(error)

    def complete(self) -> None:
        """The source completed in time."""
        self.ended()
        super().complete()

    def ended(self) -> None:
        """No more looking."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()


def limiting(
    source: Source[Any], limit_s: float, first_s: float, fallback: Source[Any] | None
) -> Feed:
    """The feed of timeout."""

    def feed(down: "Down[Any]") -> None:
        Limit(down, limit_s, fallback).run(source, first_s)

    return feed


class Sampler(Step[Any]):
    """Keeps the newest value and gives it at each tick."""

    __slots__ = ("demand", "done", "latest", "live", "period_s", "timer")

    def __init__(self, down: Down[Any], period_s: float) -> None:
        super().__init__(down)
        self.period_s = period_s
        self.latest: Any = MISSING
        self.demand = 0
        self.live = True
        self.done = False
        self.timer: Timer | None = None

    def start(self, subscription: Subscription) -> None:
        """The source is asked for everything; the first tick is one period away."""
        self.up = subscription
        self.down.start(self)
        if self.live:
            self.arm()
            subscription.request(UNBOUNDED)

    def arm(self) -> None:
        """The next tick."""
        self.timer = self.down.scope.later(self.period_s, self.tick)

    def offer(self, value: Any) -> bool:
        """Newest wins."""
        if self.latest is not MISSING:
            self.down.scope.discard(self.latest)
        self.latest = value
        return True

    def tick(self) -> None:
        """Give the newest, if there is one."""
        if self.give():
            self.arm()

    def give(self) -> bool:
        """Deliver the newest; False when the stream has ended by that."""
        if self.latest is MISSING:
            return self.live
        if not self.demand:
            self.cancel()
            self.down.fail(
                BackpressureError(
                    f"sample({self.period_s}) had a value and no demand; put "
                    "on_backpressure_latest() behind it"
                )
            )
            return False
        value, self.latest = self.latest, MISSING
        if self.down.offer(value) and self.demand < UNBOUNDED:
            self.demand -= 1
        return self.live

    def request(self, n: int) -> None:
        """Demand from below."""
        self.demand = add_demand(self.demand, n)
        if self.done and self.live:
            self.complete()

    def cancel(self) -> None:
        """Cancel the source and the tick."""
        if self.live:
            self.live = False
            self.halt()
            up, self.up = self.up, IDLE
            up.cancel()

    def halt(self) -> None:
        """No more ticks."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()

    def fail(self, error: Exception) -> None:
        """The source failed."""
        self.up = IDLE
        if self.live:
            self.live = False
            self.halt()
            self.down.fail(error)

    def complete(self) -> None:
        """The source ended: what is left is given first, when it is asked for."""
        self.halt()
        self.up = IDLE
        self.done = True
        if self.latest is not MISSING and not self.demand:
            return
        if self.live and self.give():
            self.live = False
            self.down.complete()


class SharedTime(Source[T]):
    """Time limits and delays, on Flux and Mono."""

    __slots__ = ()

    def timeout(
        self,
        limit_s: float,
        *,
        first_s: float | None = None,
        fallback: Source[T] | None = None,
    ) -> Self:
        """An end to silence: StreamTimeoutError, or the fallback, after `limit_s` seconds without a signal.

            --1--2------------3
              timeout(5)
            --1--2-----X

        The clock starts at the subscription (there with `first_s`, if given) and anew when a value has
        been delivered. It measures silence whatever its reason: a subscriber that asks for nothing
        times out, too.

        >>> Mono.never().timeout(0.001, fallback=Mono.just("late")).block()
        'late'

        Reactor: Flux.timeout, Mono.timeout
        """
        check_positive("limit_s", limit_s)
        first = limit_s if first_s is None else first_s
        check_positive("first_s", first)
        return self.like(limiting(self, limit_s, first, fallback))

    def delay_subscription(self, delay_s: float) -> Self:
        """Subscribes to the source that many seconds later.

            --1--2--|
              delay_subscription(3)
            -----1--2--|

        >>> Flux.just(1).delay_subscription(0.001).collect_list().block()
        [1]

        Reactor: Flux.delaySubscription, Mono.delaySubscription
        """
        check_not_negative("delay_s", delay_s)
        source = self

        def feed(down: "Down[Any]") -> None:
            lib.Mono.delay(delay_s).then_many(source).feed(down)

        return self.like(feed)


class MonoTime(SharedTime[T]):
    """Delays of a Mono."""

    __slots__ = ()

    def delay_element(self, delay_s: float) -> "Mono[T]":
        """The value, that many seconds later.

            --1|
              delay_element(3)
            -----1|

        >>> Mono.just(1).delay_element(0.001).block()
        1

        Reactor: Mono.delayElement
        """
        return lib.Mono(_delayed(lib.Flux(self.feed), delay_s).feed)


class FluxTime(SharedTime[T]):
    """Delays and samples of a Flux."""

    __slots__ = ()

    def delay_elements(self, delay_s: float) -> "Flux[T]":
        """Each value that many seconds later; one at a time, so they are at least that far apart.

            --12----|
              delay_elements(2)
            ----1-2-|

        >>> Flux.just(1, 2).delay_elements(0.001).collect_list().block()
        [1, 2]

        Reactor: Flux.delayElements
        """
        return _delayed(lib.Flux(self.feed), delay_s)

    def sample(self, period_s: float) -> "Flux[T]":
        """The newest value at each tick of `period_s` seconds, if there was a new one.

            --12-3----4-|
              sample(5)
            -----3----4-|

        The source is asked for everything. A tick without demand is a BackpressureError; put
        on_backpressure_latest() behind it for slow subscribers. The last value waits for demand.

        >>> Flux.just(1, 2).sample(1).collect_list().block()
        [2]

        Reactor: Flux.sample(Duration)
        """
        check_positive("period_s", period_s)

        def feed(down: "Down[Any]") -> None:
            self.feed(Sampler(down, period_s))

        return lib.Flux(feed)


def _delayed(source: "Flux[T]", delay_s: float) -> "Flux[T]":
    check_not_negative("delay_s", delay_s)

    def later(value: T) -> "Mono[T]":
        return lib.Mono.delay(delay_s).map(lambda _: value)

    return source.concat_map(later)
