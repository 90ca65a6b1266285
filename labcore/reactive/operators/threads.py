"""publish_on and subscribe_on: where the user's functions are called (`hop.py` tells how).

`publish_on` puts a `Boundary` into the chain: a queue whose values, errors and end go down in hops.
`subscribe_on` puts `SubscribedOn`: the subscription and each request go up in hops, so what the
source then emits at once goes down in them. In both cases the stream they give remembers its region,
so that the operators put on it are told where to call their functions.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from inspect import getattr_static, iscoroutinefunction, isfunction
from typing import Any, TypeVar

from labcore.kernel import UsageError
from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import IDLE, Down, Feed, Fusion, Source, Stage, Step
from labcore.reactive.hop import Hop, Place, above_place, hopping, placed, with_place
from labcore.reactive.operators.connectable import ConnectableFlux
from labcore.reactive.operators.elements import Elementwise, Mapped, Offer, Stop, filter_stage
from labcore.reactive.operators.lenient import lenience
from labcore.reactive.operators.observe import tap_stage
from labcore.reactive.pulled import pulling
from labcore.reactive.scope import Scheduler
from labcore.reactive.spec import TURN, UNBOUNDED, Subscription, add_demand, low_tide

T = TypeVar("T")


class Boundary(Step[Any]):
    """A queue above, hops below. With a prefetch of 0 demand goes through as it comes."""

    __slots__ = (
        *("demand", "done", "error", "hop", "live", "low", "prefetch", "queue", "scheduler"),
        "taken",
    )

    def __init__(self, down: Down[Any], scheduler: Scheduler, prefetch: int) -> None:
        super().__init__(down)
        self.scheduler = scheduler
        self.prefetch = prefetch
        self.low = low_tide(prefetch)
        self.queue: deque[Any] = deque()
        self.demand = self.taken = 0
        self.live = True
        self.done = False
        self.error: Exception | None = None
        self.hop: Hop | None = None

    def start(self, subscription: Subscription) -> None:
        """The source's subscription; it is asked for the prefetch."""
        self.up = subscription
        self.down.start(self)
        if self.live and self.prefetch:
            self.up.request(self.prefetch)

    def request(self, n: int) -> None:
        """Demand from below."""
        if self.live:
            self.demand = add_demand(self.demand, n)
            if not self.prefetch:
                self.up.request(n)
            self.step()

    def cancel(self) -> None:
        """Stop the source, throw away what waits, and what a thread is at."""
        if self.live:
            self.live = False
            for value in self.queue:
                self.scope.discard(value)
            self.queue.clear()
            up, self.up = self.up, IDLE
            up.cancel()
        if self.hop is not None:
            self.hop.forget()

    def offer(self, value: Any) -> bool:
        """A value from above."""
        if not self.live:
            self.scope.drop_value(value)
            return True
        self.queue.append(value)
        self.step()
        return True

    def fail(self, error: Exception) -> None:
        """The end by failure, after what waits."""
        if not self.live:
            self.scope.drop_error(error)
            return
        self.error = error
        self.complete()

    def complete(self) -> None:
        """The end, after what waits."""
        self.up = IDLE
        self.done = True
        self.step()

    def step(self) -> None:
        """Begin a hop when there is something to deliver and none is under way."""
        ready = (self.queue and self.demand) or (self.done and not self.queue)
        if ready and self.live and self.hop is None:
            self.hop = Hop(self.scope, self.scheduler, self.deliver, self.landed)
            self.hop.begin()

    def landed(self) -> None:
        """The hop is over."""
        self.hop = None

    def deliver(self) -> None:
        """In a hop: values as far as there is demand, then the end."""
        for _ in range(TURN):
            if not (self.live and self.queue and self.demand):
                break
            self.pass_on(self.queue.popleft())
        else:
            self.scope.soon(self.step)
            return
        if self.live and self.done and not self.queue:
            self.live = False
            if self.error is None:
                self.down.complete()
            else:
                self.down.fail(self.error)

    def pass_on(self, value: Any) -> None:
        """One value."""
        if self.down.offer(value):
            if self.demand < UNBOUNDED:
                self.demand -= 1
        elif not self.prefetch:
            self.up.request(1)  # above it counts as taken, below it does not
        self.taken += 1
        if self.prefetch and self.taken >= self.low:
            more, self.taken = self.taken, 0
            self.up.request(more)


class SubscribedOn(Step[Any]):
    """Subscribes and requests in hops; signals pass straight through."""

    __slots__ = ("hop", "live", "pending", "scheduler", "source")

    def __init__(self, down: Down[Any], source: Source[Any], scheduler: Scheduler) -> None:
        super().__init__(down)
        self.offer = down.offer
        self.context = with_place(down.context, Place(scheduler, below=False))
        self.source: Source[Any] | None = source
        self.scheduler = scheduler
        self.pending = 0
        self.live = True
        self.hop: Hop | None = None

    def start(self, subscription: Subscription) -> None:
        """The source's subscription; what was asked for meanwhile is asked for at once."""
        if not self.live:
            subscription.cancel()
            return
        self.up = subscription
        if hopping():
            self.forward()
        else:
            self.step()

    def request(self, n: int) -> None:
        """Demand from below."""
        if self.live:
            self.pending = add_demand(self.pending, n)
            self.step()

    def cancel(self) -> None:
        """Stop the source, and what a thread is at."""
        if self.live:
            self.live = False
            up, self.up = self.up, IDLE
            up.cancel()
        if self.hop is not None:
            self.hop.forget()

    def fail(self, error: Exception) -> None:
        """The end by failure."""
        self.live = False
        super().fail(error)

    def complete(self) -> None:
        """The end by success."""
        self.live = False
        super().complete()

    def step(self) -> None:
        """Begin a hop when there is something to ask for and none is under way."""
        if self.live and self.hop is None and (self.source is not None or self.pending):
            self.hop = Hop(self.scope, self.scheduler, self.ask, self.landed)
            self.hop.begin()

    def landed(self) -> None:
        """The hop is over."""
        self.hop = None

    def ask(self) -> None:
        """In a hop: subscribe, then request."""
        source, self.source = self.source, None
        if source is not None:
            source.feed(self)
        self.forward()

    def forward(self) -> None:
        """Request what is pending, and what becomes so meanwhile."""
        while self.live and self.pending and self.up is not IDLE:
            n, self.pending = self.pending, 0
            self.up.request(n)


def bounded(source: Source[Any], scheduler: Scheduler, prefetch: int) -> Feed:
    """The feed of publish_on; what stands above it is called where it was before."""

    def feed(down: Down[Any]) -> None:
        boundary = Boundary(down, scheduler, prefetch)
        boundary.context = above_place(down.context)
        source.feed(boundary)

    return feed


def subscribed(source: Source[Any], scheduler: Scheduler) -> Feed:
    """The feed of subscribe_on."""
    fusion = source.fusion
    whole: Source[Any] | None = None if fusion is None else Source(pulling(fusion, scheduler))

    def feed(down: Down[Any]) -> None:
        # Stages that are fused travel together; on_error_continue needs them one by one.
        above = source if whole is None or lenience(down) is not None else whole
        hub = SubscribedOn(down, above, scheduler)
        down.start(hub)
        hub.step()

    return feed


@dataclass(frozen=True, slots=True)
class Region:
    """Where the functions of the operators put on a stream are called.

    `brings_back`: values that come from elsewhere than a hop (a timer, a task) are brought into one
    before the next function sees them. That is publish_on's way; below subscribe_on they stay.
    """

    scheduler: Scheduler
    brings_back: bool

    def marked(self, feed: Feed) -> Feed:
        """The feed, its operators told where they are."""
        place = Place(self.scheduler, below=self.brings_back)

        def marking(down: Down[Any]) -> None:
            context = with_place(down.context, place)
            feed(Down(down.start, down.offer, down.fail, down.complete, down.scope, context))

        return marking

    def brought_back(self, source: Source[Any]) -> Source[Any]:
        """The source, its values in hops again."""
        return source.like(lambda down: source.feed(Boundary(down, self.scheduler, 0)))

    def of(self, plain: Source[Any], *, inside: bool) -> Any:
        """A stream of this region; `inside` says that all its values come in hops."""
        if isinstance(plain, ConnectableFlux):
            raise UsageError(
                "publish() and replay() below publish_on() or subscribe_on() would bring what follows "
                "back to the loop; put the thread switch below auto_connect() or ref_count()"
            )
        if isinstance(plain, lib.Mono):
            return HoppingMono(plain, self, inside=inside)
        return HoppingFlux(plain, self, inside=inside)


# Operators that signal only while their source does: what comes in a hop goes on in it.
_INSIDE = frozenset(
    (
        *("buffer", "context_write", "distinct", "distinct_until_changed", "do_finally"),
        *("do_on_cancel", "do_on_complete", "do_on_error", "do_on_next", "do_on_request"),
        *("do_on_subscribe", "do_on_terminate", "filter", "handle", "hide", "index", "map", "next"),
        *("on_error_complete", "on_error_continue", "on_error_map", "on_error_return"),
        *("on_error_stop", "record", "skip", "skip_while", "take", "take_until", "take_while"),
        "tap",
    )
)
_STAGES: dict[str, Callable[[Any], Stage]] = {
    "do_on_next": tap_stage,
    "filter": filter_stage,
    "map": Mapped,
}
# Doors, and the two operators that begin a region of their own on the whole of this one.
_AS_EVER = frozenset(
    (
        *("block", "block_last", "for_each", "like", "publish_on", "stream", "subscribe"),
        *("subscribe_on", "to_async_iterable"),
    )
)


@dataclass(frozen=True, slots=True)
class Row:
    """`map`, `filter` and `do_on_next` in a row, as operators and as stages of one call."""

    base: Source[Any]
    singly: Source[Any]
    stages: tuple[Stage, ...] = ()

    def then(self, name: str, *args: Any, **kwargs: Any) -> "Row":
        """One more."""
        singly = getattr(self.singly, name)(*args, **kwargs)
        return Row(self.base, singly, (*self.stages, _STAGES[name](*args, **kwargs)))

    def together(self) -> lib.Flux[Any]:
        """One trip to a thread per value; on_error_continue needs them one by one."""

        def feed(down: Down[Any]) -> None:
            if lenience(down) is not None:
                self.singly.feed(down)
            else:
                self.base.feed(Elementwise(down, self.make))

        return lib.Flux(feed)

    def make(self, down: Down[Any], stop: Stop) -> Offer:
        """The operator."""
        pass_on, scope, fusion = down.offer, down.scope, Fusion(lambda: iter(()), self.stages)

        def run(value: Any) -> list[Any]:
            return list(fusion.compose(iter((value,)), scope))

        call = placed(run, down)

        def offer(value: Any) -> bool:
            try:
                results = call(value)
            except Exception as error:  # noqa: BLE001 - a stage's error is the signal
                stop(error)
                return True
            return pass_on(results[0]) if results else False

        return offer


class HoppingFlux(lib.Flux[T]):
    """A Flux of a region: every operator put on it stays in the region."""

    __slots__ = ("inside", "plain", "region", "row")

    def __init__(
        self, plain: Source[Any], region: Region, *, inside: bool, row: "Row | None" = None
    ) -> None:
        super().__init__(region.marked(plain.feed))
        self.plain = plain
        self.region = region
        self.inside = inside
        self.row = row

    def like(self, feed: Feed | None = None, *, fusion: Fusion | None = None) -> Any:
        """A plain Flux: whoever asks makes a region of its own of it."""
        return lib.Flux(feed, fusion=fusion)


class HoppingMono(lib.Mono[T]):
    """A Mono of a region: every operator put on it stays in the region."""

    __slots__ = ("inside", "plain", "region")

    def __init__(self, plain: Source[Any], region: Region, *, inside: bool) -> None:
        super().__init__(region.marked(plain.feed))
        self.plain = plain
        self.region = region
        self.inside = inside

    def like(self, feed: Feed | None = None, *, fusion: Fusion | None = None) -> Any:
        """A plain Mono: whoever asks makes a region of its own of it."""
        return lib.Mono(feed, fusion=fusion)


def _staying(name: str, operator: Callable[..., Any]) -> Callable[..., Any]:
    """The operator, its result in the region of its stream."""

    @wraps(operator)
    def stays(stream: Any, *args: Any, **kwargs: Any) -> Any:
        region: Region = stream.region
        source, inside = stream.plain, stream.inside
        functions = [arg for arg in (*args, *kwargs.values()) if callable(arg)]
        calls = any(not iscoroutinefunction(function) for function in functions)
        if calls and not inside and region.brings_back:
            source, inside = region.brought_back(source), True
        stays_inside = inside and name in _INSIDE
        if name in _STAGES and isinstance(stream, HoppingFlux):
            row = (stream.row or Row(source, source)).then(name, *args, **kwargs)
            return HoppingFlux(row.together(), region, inside=stays_inside, row=row)
        return region.of(getattr(source, name)(*args, **kwargs), inside=stays_inside)

    return stays


for _kind, _plain in ((HoppingFlux, lib.Flux), (HoppingMono, lib.Mono)):
    for _name in dir(_plain):
        _operator = getattr_static(_plain, _name)
        if isfunction(_operator) and not _name.startswith("_") and _name not in _AS_EVER:
            setattr(_kind, _name, _staying(_name, _operator))
