"""How operators that work element by element, and those that fold a stream to one value, are built."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from typing import Any, Protocol

from labcore.reactive.core import IDLE, Down, Feed, Fusion, Source, Stage, Step, reject
from labcore.reactive.errors import blame
from labcore.reactive.hop import place_of, placed
from labcore.reactive.operators.lenient import lenience, refused
from labcore.reactive.scope import Scope
from labcore.reactive.spec import TURN, UNBOUNDED, Subscription

Offer = Callable[[Any], bool]


class Stop(Protocol):
    """Ends a stream early: cancels the source, then completes or fails; silent after a cancel."""

    def __call__(self, error: Exception | None = None, /) -> None:
        """End it now."""
        ...


class Elementwise(Step[Any]):
    """An operator that sees each value; its offer is a closure, which is quicker than a method."""

    __slots__ = ("live",)

    def __init__(self, down: Down[Any], make: Callable[[Down[Any], Stop], Offer]) -> None:
        super().__init__(down)
        self.live = True
        self.offer = make(down, self.stop)

    def start(self, subscription: Subscription) -> None:
        """Stands between, so that a cancel from below is known here."""
        self.up = subscription
        self.down.start(self)

    def request(self, n: int) -> None:
        """Demand from below."""
        self.up.request(n)

    def cancel(self) -> None:
        """Stop the source."""
        up = self.up
        self.release()
        up.cancel()

    def stop(self, error: Exception | None = None) -> None:
        """End it now, unless it is over."""
        if not self.live:
            return
        self.cancel()
        if error is None:
            self.down.complete()
        else:
            self.down.fail(error)

    def fail(self, error: Exception) -> None:
        """The source failed."""
        self.release()
        self.down.fail(error)

    def complete(self) -> None:
        """The source ended."""
        self.release()
        self.down.complete()

    def release(self) -> None:
        """Over: the offer may know this object by `stop`, so it goes, too."""
        self.live = False
        self.up = IDLE
        self.offer = self.scope.refuse


def elementwise(source: Source[Any], make: Callable[[Down[Any], Stop], Offer]) -> Feed:
    """An operator that sees each value and may stop the stream: `make(down, stop)` gives its offer."""

    def feed(down: "Down[Any]") -> None:
        source.feed(Elementwise(down, make))

    return feed


def answer(down: Down[Any], stop: Stop, error: Exception, value: Any) -> bool:
    """A failed element ends the stream; with on_error_continue it is dropped and used up no demand."""
    final = refused(down, error, value)
    if final is None:
        return False
    stop(final)
    del final  # what the action raised has come through frames that this one called
    return True


def mapping(source: Source[Any], fn: Callable[[Any], Any], name: str = "map") -> Feed:
    """Each value through `fn`, as closures."""

    def make(down: "Down[Any]", stop: Stop) -> Offer:
        pass_on, call = down.offer, placed(fn, down)

        def offer(value: Any) -> bool:
            try:
                result = call(value)
            except Exception as error:  # noqa: BLE001 - the function's error is the signal
                return answer(down, stop, blame(error, name, fn), value)
            return pass_on(result)

        return offer

    return elementwise(source, make)


def filtering(source: Source[Any], keep: Callable[[Any], Any]) -> Feed:
    """The values that `keep` accepts, as closures."""

    def make(down: "Down[Any]", stop: Stop) -> Offer:
        pass_on, discarded = down.offer, down.scope.hooks.discarded
        call = placed(keep, down)

        def offer(value: Any) -> bool:
            try:
                kept = call(value)
            except Exception as error:  # noqa: BLE001 - the function's error is the signal
                return answer(down, stop, blame(error, "filter", keep), value)
            if kept:
                return pass_on(value)
            if discarded is not None:
                discarded(value)
            return False

        return offer

    return elementwise(source, make)


@dataclass(frozen=True, slots=True)
class Mapped:
    """`map` as a generator, for fused segments; the builtin would end silently on StopIteration."""

    fn: Callable[[Any], Any]
    name: str = "map"

    def __call__(self, values: Iterator[Any], _: Scope) -> Iterator[Any]:
        """The stage."""
        fn = self.fn
        for value in values:
            try:
                result = fn(value)
            except Exception as error:  # noqa: BLE001 - passed on with its place noted
                raise blame(error, self.name, fn) from error.__cause__
            yield result

    def filtered(self, keep: Callable[[Any], Any]) -> Stage:
        """This `map` and a `filter` behind it, as one generator."""
        fn = self.fn

        def stage(values: Iterator[Any], scope: Scope) -> Iterator[Any]:
            discarded = scope.hooks.discarded
            for value in values:
                try:
                    result = fn(value)
                except Exception as error:  # noqa: BLE001 - passed on with its place noted
                    raise blame(error, self.name, fn) from error.__cause__
                try:
                    kept = keep(result)
                except Exception as error:  # noqa: BLE001 - passed on with its place noted
                    raise blame(error, "filter", keep) from error.__cause__
                if kept:
                    yield result
                elif discarded is not None:
                    discarded(result)

        return stage


def filter_stage(keep: Callable[[Any], Any]) -> Stage:
    """`filter` as a generator, for fused segments."""

    def stage(values: Iterator[Any], scope: Scope) -> Iterator[Any]:
        discarded = scope.hooks.discarded
        for value in values:
            try:
                kept = keep(value)
            except Exception as error:  # noqa: BLE001 - passed on with its place noted
                raise blame(error, "filter", keep) from error.__cause__
            if kept:
                yield value
            elif discarded is not None:
                discarded(value)

    return stage


def fused(source: Source[Any], stage: Stage) -> Fusion | None:
    """The source's fused segment with one stage more, if it has one."""
    return None if source.fusion is None else source.fusion.then(stage)


def fused_filter(source: Source[Any], keep: Callable[[Any], Any]) -> Fusion | None:
    """As `fused`; right behind a `map` both become one generator, a resume less per element."""
    fusion = source.fusion
    if fusion is None:
        return None
    if fusion.stages and isinstance(fusion.stages[-1], Mapped):
        both = fusion.stages[-1].filtered(keep)
        return Fusion(fusion.base, (*fusion.stages[:-1], both))
    return fusion.then(filter_stage(keep))


@dataclass(frozen=True, slots=True)
class Fold:
    """How a stream becomes one value: one value at a time, many at a time, and the result."""

    one: Callable[[Any], object]
    many: Callable[[Iterator[Any]], object]
    result: Callable[[], Any]
    direct: bool = False
    """Whether `one` never raises and returns True, so that it can be the offer itself."""


class Folding(Step[Any]):
    """One value at the end of the source, whose values go straight into a fold that never raises."""

    __slots__ = ("asked", "done", "fold", "live")

    def __init__(self, down: Down[Any], fold: Fold) -> None:
        super().__init__(down)
        self.fold = fold
        self.asked = self.done = False
        self.live = True
        if fold.direct:
            self.offer = fold.one  # type: ignore[assignment]  # it returns True

    def start(self, subscription: Subscription) -> None:
        """Nothing is asked for before the result is."""
        self.up = subscription
        self.down.start(self)

    def request(self, _: int) -> None:
        """The result is wanted: ask for everything."""
        if self.asked or not self.live:
            return
        self.asked = True
        if self.done:
            deliver(self)
        else:
            self.up.request(UNBOUNDED)

    def cancel(self) -> None:
        """Stop the source."""
        self.live = False
        up, self.up = self.up, IDLE
        up.cancel()

    def complete(self) -> None:
        """The source ended: the result, when it is wanted."""
        self.up = IDLE
        self.done = True
        if self.asked:
            deliver(self)


class Careful(Folding):
    """As `Folding`, for a fold that may raise."""

    __slots__ = ()

    def offer(self, value: Any) -> bool:
        """A value into the fold."""
        try:
            self.fold.one(value)
        except Exception as error:  # noqa: BLE001 - the function's error is the signal
            if self.live:
                self.cancel()
                self.down.fail(error)
        return True


def folding(source: Source[Any], begin: Callable[[], Fold]) -> Feed:
    """One value at the end of the source, which is asked for everything.

    Over a fused segment the fold polls the iterator itself: no call per element at all.
    """
    polled = None if source.fusion is None else _folding_iterator(source.fusion, begin)

    def feed(down: "Down[Any]") -> None:
        if polled is not None and lenience(down) is None and place_of(down) is None:
            polled(down)
            return
        fold = begin()
        if not fold.direct:
            fold = replace(fold, one=placed(fold.one, down))
        source.feed(Folding(down, fold) if fold.direct else Careful(down, fold))

    return feed


class Folded(Protocol):
    """Who may signal the result of a fold."""

    fold: Fold
    down: Down[Any]
    live: bool


def deliver(who: Folded) -> None:
    """Signal a fold's result; EmptyResult says that there is none."""
    down = who.down
    try:
        value = who.fold.result()
    except EmptyResult:
        who.live = False
        down.complete()
        return
    except Exception as error:  # noqa: BLE001 - the function's error is the signal
        who.live = False
        down.fail(error)
        return
    down.offer(value)
    if who.live:
        who.live = False
        down.complete()


class EmptyResult(Exception):  # noqa: N818 - a message from a fold to its driver, never raised further
    """The fold ends without a value."""


class FoldingIterator:
    """The subscription of a fold that polls its iterator, a chunk a turn."""

    __slots__ = ("asked", "base", "down", "fold", "fusion", "live")

    def __init__(self, down: Down[Any], fold: Fold, fusion: Fusion, base: Iterator[Any]) -> None:
        self.down = down
        self.fold = fold
        self.fusion = fusion
        self.base = base
        self.asked = False
        self.live = True

    def request(self, _: int) -> None:
        """The result is wanted."""
        if not self.asked and self.live:
            self.asked = True
            self.run(islice(self.base, TURN))

    def cancel(self) -> None:
        """Stop, and close a generator."""
        self.live = False
        if hasattr(self.base, "close"):
            self.down.scope.soon(self.base.close)

    def run(self, chunk: Iterator[Any]) -> None:
        """Fold a chunk; the next one after a turn of the loop."""
        if not self.live:
            return
        scope = self.down.scope
        try:
            self.fold.many(self.fusion.compose(chunk, scope))
            for first in self.base:
                scope.soon(partial(self.run, chain((first,), islice(self.base, TURN - 1))))
                return
        except Exception as error:  # noqa: BLE001 - a stage's error is the signal
            if self.live:
                self.live = False
                self.down.fail(error)
            return
        if self.live:
            deliver(self)


def _folding_iterator(fusion: Fusion, begin: Callable[[], Fold]) -> Feed:
    def feed(down: "Down[Any]") -> None:
        try:
            base = fusion.base()
        except Exception as error:  # noqa: BLE001 - a user's iterable: its error is the signal
            reject(down, error)
            return
        down.start(FoldingIterator(down, begin(), fusion, base))

    return feed
