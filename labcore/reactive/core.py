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
from labcore.reactive.scope import Scope
from labcore.reactive.spec import TURN, UNBOUNDED, Subscriber, Subscription

T = TypeVar("T")
Stage = Callable[[Iterator[Any], Scope], Iterator[Any]]
Feed = Callable[["Down[Any]"], None]

MISSING: Final = object()  # no value, where None is one

# Built-in iterators whose length hint is exact: their end is known without taking one too many.
_SIZED: tuple[Iterable[Any], ...] = (
    *(range(0), range(1 << 70), (), "", [], set()),
    *(dict[Any, Any](), dict[Any, Any]().values(), dict[Any, Any]().items()),
)
_EXACT = tuple(type(iter(example)) for example in _SIZED)


class Link:
    """A subscription made of two closures."""

    __slots__ = ("cancel", "request")

    def __init__(self, request: Callable[[int], None], cancel: Callable[[], None]) -> None:
        self.request = request
        self.cancel = cancel


class Down(Generic[T]):
    """The subscriber inside: four calls, a scope, a context."""

    __slots__ = ("complete", "context", "fail", "offer", "scope", "start")

    def __init__(
        self,
        start: Callable[[Subscription], None],
        offer: Callable[[T], bool],
        fail: Callable[[Exception], None],
        complete: Callable[[], None],
        scope: Scope,
        context: Context = EMPTY,
    ) -> None:
        self.start = start
        self.offer = offer
        self.fail = fail
        self.complete = complete
        self.scope = scope
        self.context = context

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


class IDLE:
    """A subscription of which nothing is left."""

    @staticmethod
    def request(n: int) -> None:
        """Nothing is left to ask for."""

    @staticmethod
    def cancel() -> None:
        """Nothing is left to stop."""


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
    """The feed of a fused segment: `islice` is `request(n)`.

    The base is taken in chunks of `TURN`, so a filter that refuses everything still gives the loop
    its turn. The end of a built-in iterator is known at once; that of a generator only when asked
    for one element more.
    """

    def feed(down: Down[Any]) -> None:
        scope, offer = down.scope, down.offer
        try:
            base = fusion.base()
        except Exception as error:  # noqa: BLE001 - a user's iterable: its error is the signal
            reject(down, error)
            return
        exact = isinstance(base, _EXACT)
        if not exact and hasattr(base, "close"):
            closing: Callable[[], None] | None = base.close
        else:
            closing = None
        chunk: Iterator[Any] = fusion.compose(islice(base, TURN), scope)
        demand = 0
        live = True
        busy = False
        turned = False  # whether the loop has had a turn since the last chunk began

        def request(n: int) -> None:
            nonlocal demand
            demand += n
            if not busy and live:
                drain()

        def cancel() -> None:
            nonlocal live
            if live:
                live = False
                close()

        def close() -> None:
            if closing is not None:
                try:
                    closing()
                except ValueError:  # it runs right now, further up this very stack
                    scope.soon(closing)

        def finish(error: Exception | None = None) -> None:
            nonlocal live
            if live:
                live = False
                if error is None:
                    down.complete()
                else:
                    close()
                    down.fail(error)

        def refill() -> bool:
            nonlocal chunk
            for first in base:
                chunk = fusion.compose(chain((first,), islice(base, TURN - 1)), scope)
                return True
            return False

        def mark() -> None:
            nonlocal turned
            turned = True

        def drain() -> None:
            nonlocal demand, busy, turned
            busy = True
            while demand and live:
                try:
                    asked = demand
                    taken = refused = 0
                    for value in chunk if asked >= TURN else islice(chunk, asked):
                        if offer(value):
                            taken += 1
                        else:
                            refused += 1
                        if not live:
                            return  # type: ignore[unreachable]  # mypy sees no other writer
                    if demand < UNBOUNDED:
                        demand -= taken
                    if taken + refused < asked:
                        if not refill():
                            break
                        if not turned:
                            scope.soon(resume)
                            return
                        turned = False
                        scope.soon(mark)
                except Exception as error:  # noqa: BLE001 - a stage's error is the signal
                    finish(error)
                    return
            busy = False
            if live and (demand or (exact and length_hint(base) == 0)):
                finish()

        def resume() -> None:
            mark()
            drain()

        down.start(Link(request, cancel))
        if live and not demand and exact and length_hint(base) == 0:
            finish()

    return feed
