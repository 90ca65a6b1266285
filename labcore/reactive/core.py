"""The fast path inside: closures that push while demand exists.

A `Source` is a description with one function, `feed(down)`. `down` is the subscriber inside: four
calls, a scope and a context. `offer(value)` answers whether the value used up demand, so a filter
costs no extra request. The rules every feed keeps: `start` comes first and once; nothing is offered
beyond demand, after an end or after `cancel`; `offer`, `fail` and `complete` never raise; a run of
synchronous elements hands over to the loop every `TURN` elements.

Fusion: a source that is an iterator says so (`Fusion`), and stages that work element by element are
composed as generators instead of closures. Pushing starts where the fused segment ends.
"""
# ruff: noqa: C901, PLR0915 - an operator is closures over its state: ruff adds the nested ones up

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from operator import length_hint
from typing import Any, Final, Generic, Self, TypeVar

from labcore.reactive.context import EMPTY, Context
from labcore.reactive.hop import place_of, placed
from labcore.reactive.scope import Scope
from labcore.reactive.spec import TURN, UNBOUNDED, Subscriber, Subscription

T = TypeVar("T")
Stage = Callable[[Iterator[Any], Scope], Iterator[Any]]
# In the operators `Down[Any]` is quoted where functions are made per assembly: evaluated each time, the
# annotations took 5 % of a short chain.
Feed = Callable[["Down[Any]"], None]

MISSING: Final = object()  # no value, where None is one

# Built-in iterators whose length hint is exact: their end is known without taking one too many.
_SIZED: tuple[Iterable[Any], ...] = (
    *(range(0), range(1 << 70), (), "", [], set()),
    *(dict[Any, Any](), dict[Any, Any]().values(), dict[Any, Any]().items()),
)
EXACT = tuple(type(iter(example)) for example in _SIZED)


class IDLE:
    """A subscription of which nothing is left."""

    @staticmethod
    def request(n: int) -> None:
        """Nothing is left to ask for."""

    @staticmethod
    def cancel() -> None:
        """Nothing is left to stop."""


class Link:
    """A subscription made of two closures; over, it lets go of both (rule 3.13)."""

    __slots__ = ("_stop", "request")

    def __init__(self, request: Callable[[int], None], cancel: Callable[[], None]) -> None:
        self.request = request
        self._stop: Callable[[], None] | None = cancel

    def cancel(self) -> None:
        """Stop, once."""
        stop = self._stop
        if stop is not None:
            self.close()
            stop()

    def close(self) -> None:
        """Its stream has ended."""
        self._stop = None
        self.request = IDLE.request


def linked(subscription: Subscription) -> Link:
    """That subscription as one that lets go."""
    if isinstance(subscription, Link):
        return subscription
    return Link(subscription.request, subscription.cancel)


class Down(Generic[T]):
    """The subscriber inside: four calls, a scope, a context.

    Subscriber and subscription know each other, which is a cycle while the stream runs. So that none
    waits for the collector, the first end (or the subscription's cancel) lets go of both here, in one
    place for all operators that are closures. Operators that are objects derive from `Step`.
    """

    __slots__ = ("_complete", "_fail", "_start", "_up", "context", "offer", "scope")

    def __init__(
        self,
        start: Callable[[Subscription], None],
        offer: Callable[[T], bool],
        fail: Callable[[Exception], None],
        complete: Callable[[], None],
        scope: Scope,
        context: Context = EMPTY,
    ) -> None:
        self._start: Callable[[Subscription], None] = start
        self.offer: Callable[[T], bool] = offer
        self._fail: Callable[[Exception], None] = fail
        self._complete: Callable[[], None] = complete
        self._up: Link | None = None
        self.scope = scope
        self.context = context

    def start(self, subscription: Subscription) -> None:
        """The subscription, first and once."""
        begin, self._start = self._start, _begun
        self._up = up = linked(subscription)
        begin(up)

    def fail(self, error: Exception) -> None:
        """The end by failure; after the end it is a dropped error."""
        last = self._fail
        self._let_go()
        last(error)

    def complete(self) -> None:
        """The end by success."""
        last = self._complete
        self._let_go()
        last()

    def _let_go(self) -> None:
        if self._up is not None:
            self._up.close()
            self._up = None
        self._complete = IDLE.cancel
        self._fail = self.scope.drop_error
        self.offer = self.scope.refuse

    def above(self, **replaced: Any) -> "Down[Any]":
        """The same subscriber with some calls replaced: what an operator shows to its source."""
        get = replaced.get
        return Down(
            get("start") or self.start,
            get("offer") or self.offer,
            get("fail") or self.fail,
            get("complete") or self.complete,
            self.scope,
            self.context,
        )


def _begun(subscription: Subscription) -> None:
    subscription.cancel()  # rule 2.5: a subscriber has one subscription


class Step(Down[T]):
    """An operator that is an object: its source's subscriber, and the way to its own.

    It keeps the rule by itself: whoever has ended or was cancelled is no longer its `up`.
    """

    __slots__ = ("down", "up")

    def __init__(self, down: Down[Any]) -> None:  # the calls of `Down` are methods here
        self.down = down
        self.up: Subscription = IDLE
        self.scope = down.scope
        self.context = down.context

    def start(self, subscription: Subscription) -> None:
        """Passed on."""
        self.up = subscription
        self.down.start(subscription)

    def fail(self, error: Exception) -> None:
        """Passed on."""
        self.up = IDLE
        self.down.fail(error)

    def complete(self) -> None:
        """Passed on."""
        self.up = IDLE
        self.down.complete()


@dataclass(frozen=True, slots=True)
class Fusion:
    """A source that is an iterator, and the stages composed onto it so far."""

    base: Callable[[], Iterator[Any]]
    stages: tuple[Stage, ...] = ()

    def then(self, stage: Stage) -> "Fusion":
        """One stage more."""
        return Fusion(self.base, (*self.stages, stage))

    def compose(self, values: Iterator[Any], scope: Scope) -> Iterator[Any]:
        """The values, through every stage."""
        for stage in self.stages:
            values = stage(values, scope)
        return values


class Source(Generic[T]):
    """A description of a stream; what Flux and Mono have in common inside."""

    __slots__ = ("feed", "fusion", "label", "scalar")

    def __init__(
        self,
        feed: Feed | None = None,
        *,
        fusion: Fusion | None = None,
        scalar: object = MISSING,
        label: str = "",
    ) -> None:
        if feed is None:
            assert fusion is not None
            feed = iterating(fusion)
        self.feed: Feed = feed
        self.fusion = fusion
        self.scalar = scalar
        self.label = label

    def like(self, feed: Feed | None = None, *, fusion: Fusion | None = None) -> Self:
        """Another stream of the same kind: a Mono stays one."""
        return type(self)(feed, fusion=fusion)

    def subscribe(self, subscriber: Subscriber[T], *, scope: Scope) -> None:
        """Run this stream for a subscriber; its tasks belong to `scope`.

        The first signal is `on_subscribe`; values come only as requested. A subscriber that raises is
        cancelled, and leaving the scope raises its error.

        Source: Reactive Streams rules 1.1, 1.9 and 2.13; Reactor's Publisher.subscribe.
        """
        self.feed(edge(subscriber, scope))


def reject(down: Down[Any], error: Exception) -> None:
    """A subscription that ends at once, by failure."""
    down.start(IDLE)
    down.fail(error)


def edge(subscriber: Subscriber[Any], scope: Scope, context: Context = EMPTY) -> Down[Any]:
    """A subscriber from outside, guarded: rules 1.7, 2.5, 3.6, 3.9, and the references let go (3.13)."""
    receiver: Subscriber[Any] | None = subscriber
    on_next: Callable[[Any], None] | None = subscriber.on_next
    up: Subscription | None = None

    def release() -> None:
        nonlocal receiver, on_next, up
        receiver = on_next = up = None

    def broken(error: Exception) -> None:
        cancel()
        scope.crash(error)

    def start(subscription: Subscription) -> None:
        nonlocal up
        up = subscription
        assert receiver is not None
        try:
            receiver.on_subscribe(Link(request, cancel))
        except Exception as error:  # noqa: BLE001 - a supervisor: the scope raises it
            broken(error)

    def request(n: int) -> None:
        if up is None:
            return
        if n <= 0:
            up.cancel()
            fail(ValueError(f"request({n}); ask for n > 0 elements (rule 3.9)"))
        else:
            up.request(n)

    def cancel() -> None:
        if up is not None:
            subscription = up
            release()
            subscription.cancel()

    def offer(value: Any) -> bool:
        if on_next is None:
            scope.drop_value(value)
            return True
        try:
            on_next(value)
        except Exception as error:  # noqa: BLE001 - a supervisor: the scope raises it
            broken(error)
        return True

    def fail(error: Exception) -> None:
        if receiver is None:
            scope.drop_error(error)
            return
        last = receiver
        release()
        try:
            last.on_error(error)
        except Exception as fault:  # noqa: BLE001 - a supervisor: the scope raises it
            scope.crash(fault)

    def complete() -> None:
        if receiver is None:
            return
        last = receiver
        release()
        try:
            last.on_complete()
        except Exception as fault:  # noqa: BLE001 - a supervisor: the scope raises it
            scope.crash(fault)

    return Down(start, offer, fail, complete, scope, context)


def iterating(fusion: Fusion) -> Feed:
    """The feed of a fused segment: `islice` is `request(n)`."""

    def feed(down: "Down[Any]") -> None:
        place = place_of(down)
        try:
            base = placed(fusion.base, down)()
        except Exception as error:  # noqa: BLE001 - a user's iterable: its error is the signal
            reject(down, error)
            return
        if place is not None and not isinstance(base, EXACT):  # those of the builtins never block
            from labcore.reactive.pulled import Pulled

            values = fusion.compose(base, down.scope)
            Pulled(down, base, values, place.scheduler).begin()
            return
        Iterating(down, fusion, base).begin()

    return feed


class Iterating:
    """The subscription of a fused segment.

    The base is taken in chunks of `TURN`, so a filter that refuses everything still gives the loop
    its turn. The end of a built-in iterator is known at once; that of a generator only when asked
    for one element more.
    """

    __slots__ = ("base", "busy", "chunk", "demand", "down", "exact", "fusion", "live", "turned")

    def __init__(self, down: Down[Any], fusion: Fusion, base: Iterator[Any]) -> None:
        self.down = down
        self.fusion = fusion
        self.base = base
        self.exact = isinstance(base, EXACT)
        self.chunk = fusion.compose(islice(base, TURN), down.scope)
        self.demand = 0
        self.live = True
        self.busy = False
        self.turned = False  # whether the loop has had a turn since the last chunk began

    def begin(self) -> None:
        """Hand the subscription down; an empty collection ends without being asked."""
        self.down.start(self)
        if not self.demand:
            self.settle()

    def request(self, n: int) -> None:
        """Demand from below."""
        self.demand += n
        if not self.busy and self.live:
            self.drain()

    def cancel(self) -> None:
        """Stop, and close a generator."""
        if self.live:
            self.live = False
            self.close()

    def close(self) -> None:
        """Let the user's clean-up run."""
        closing = None if self.exact else getattr(self.base, "close", None)
        if closing is not None:
            try:
                closing()
            except ValueError:  # it runs right now, further up this very stack
                self.down.scope.soon(closing)

    def fail(self, error: Exception) -> None:
        """A stage's error is the signal."""
        if self.live:
            self.live = False
            self.close()
            self.down.fail(error)

    def settle(self) -> None:
        """Complete when the end is known."""
        if self.live and self.exact and length_hint(self.base) == 0:
            self.live = False
            self.down.complete()

    def refill(self) -> bool:
        """The next chunk, if there is one."""
        for first in self.base:
            values = chain((first,), islice(self.base, TURN - 1))
            self.chunk = self.fusion.compose(values, self.down.scope)
            return True
        return False

    def mark(self) -> None:
        """The loop has had its turn."""
        self.turned = True

    def resume(self) -> None:
        """Go on after a turn of the loop."""
        self.turned = True
        self.drain()

    def drain(self) -> None:
        """Deliver what was asked for."""
        self.busy = True
        try:
            if self.deliver():
                return
        except Exception as error:  # noqa: BLE001 - a stage's error is the signal
            self.fail(error)
            return
        self.busy = False
        if self.demand and self.live:  # it wanted more than there is
            self.live = False
            self.down.complete()
        else:
            self.settle()

    def deliver(self) -> bool:
        """Chunk by chunk; True when it was stopped, or goes on at the loop's next turn."""
        offer = self.down.offer
        while self.demand and self.live:
            asked = self.demand
            taken = refused = 0
            for value in self.chunk if asked >= TURN else islice(self.chunk, asked):
                if offer(value):
                    taken += 1
                else:
                    refused += 1
                if not self.live:
                    return True  # type: ignore[unreachable]  # mypy sees no other writer
            if self.demand < UNBOUNDED:
                self.demand -= taken
            if taken + refused < asked:
                if not self.refill():
                    break
                if not self.turned:
                    self.down.scope.soon(self.resume)
                    return True
                self.turned = False
                self.down.scope.soon(self.mark)
        return False
