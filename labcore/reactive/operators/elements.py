"""How operators that work element by element, and those that fold a stream to one value, are built."""
# ruff: noqa: C901 - an operator is closures over its state: ruff adds the nested ones up

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any, Protocol

from labcore.reactive.core import Down, Feed, Fusion, Link, Source, Stage, reject
from labcore.reactive.errors import blame
from labcore.reactive.scope import Scope
from labcore.reactive.spec import TURN, UNBOUNDED, Subscription

Offer = Callable[[Any], bool]


class Stop(Protocol):
    """Ends a stream early: cancels the source, then completes or fails; silent after a cancel."""

    def __call__(self, error: Exception | None = None, /) -> None:
        """End it now."""
        ...


def elementwise(source: Source[Any], make: Callable[[Down[Any], Stop], Offer]) -> Feed:
    """An operator that sees each value and may stop the stream: `make(down, stop)` gives its offer."""

    def feed(down: Down[Any]) -> None:
        up: Subscription | None = None
        live = True

        def start(subscription: Subscription) -> None:
            nonlocal up
            up = subscription
            down.start(Link(subscription.request, cancel))

        def cancel() -> None:
            nonlocal live
            live = False
            assert up is not None
            up.cancel()

        def stop(error: Exception | None = None) -> None:
            nonlocal live
            if not live:
                return
            cancel()
            if error is None:
                down.complete()
            else:
                down.fail(error)

        source.feed(down.above(start=start, offer=make(down, stop)))

    return feed


def mapping(source: Source[Any], fn: Callable[[Any], Any], name: str = "map") -> Feed:
    """Each value through `fn`, as closures."""

    def make(down: Down[Any], stop: Stop) -> Offer:
        pass_on = down.offer

        def offer(value: Any) -> bool:
            try:
                result = fn(value)
            except Exception as error:  # noqa: BLE001 - the function's error is the signal
                stop(blame(error, name, fn))
                return True
            return pass_on(result)

        return offer

    return elementwise(source, make)


def filtering(source: Source[Any], keep: Callable[[Any], Any]) -> Feed:
    """The values that `keep` accepts, as closures."""

    def make(down: Down[Any], stop: Stop) -> Offer:
        pass_on, discarded = down.offer, down.scope.hooks.discarded

        def offer(value: Any) -> bool:
            try:
                kept = keep(value)
            except Exception as error:  # noqa: BLE001 - the function's error is the signal
                stop(blame(error, "filter", keep))
                return True
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


def folding(source: Source[Any], begin: Callable[[], Fold]) -> Feed:
    """One value at the end of the source, which is asked for everything.

    Over a fused segment the fold polls the iterator itself: no call per element at all.
    """
    if source.fusion is not None:
        return _folding_iterator(source.fusion, begin)

    def feed(down: Down[Any]) -> None:
        up: Subscription | None = None
        asked = ended = stopped = False
        fold = begin()

        def start(subscription: Subscription) -> None:
            nonlocal up
            up = subscription
            down.start(Link(request, cancel))

        def request(_: int) -> None:
            nonlocal asked
            if asked or stopped:
                return
            asked = True
            if ended:
                give()
            elif up is not None:
                up.request(UNBOUNDED)

        def cancel() -> None:
            nonlocal stopped
            stopped = True
            if up is not None:
                up.cancel()

        def offer(value: Any) -> bool:
            try:
                fold.one(value)
            except Exception as error:  # noqa: BLE001 - the function's error is the signal
                if not stopped:
                    cancel()
                    down.fail(error)
            return True

        def complete() -> None:
            nonlocal ended
            ended = True
            if asked:
                give()

        def give() -> None:
            deliver(down, fold, lambda: stopped)

        take = fold.one if fold.direct else offer
        source.feed(down.above(start=start, offer=take, complete=complete))

    return feed


def deliver(down: Down[Any], fold: Fold, stopped: Callable[[], bool]) -> None:
    """Signal a fold's result; EmptyResult says that there is none."""
    try:
        value = fold.result()
    except EmptyResult:
        down.complete()
        return
    except Exception as error:  # noqa: BLE001 - the function's error is the signal
        down.fail(error)
        return
    down.offer(value)
    if not stopped():
        down.complete()


class EmptyResult(Exception):  # noqa: N818 - a message from a fold to its driver, never raised further
    """The fold ends without a value."""


def _folding_iterator(fusion: Fusion, begin: Callable[[], Fold]) -> Feed:
    def feed(down: Down[Any]) -> None:
        try:
            base = fusion.base()
        except Exception as error:  # noqa: BLE001 - a user's iterable: its error is the signal
            reject(down, error)
            return
        fold = begin()
        scope = down.scope
        chunk = fusion.compose(islice(base, TURN), scope)
        asked = stopped = False

        def request(_: int) -> None:
            nonlocal asked
            if not asked and not stopped:
                asked = True
                run()

        def cancel() -> None:
            nonlocal stopped
            stopped = True
            if hasattr(base, "close"):
                scope.soon(base.close)

        def run() -> None:
            nonlocal chunk
            if stopped:
                return
            try:
                fold.many(chunk)
                for first in base:
                    chunk = fusion.compose(chain((first,), islice(base, TURN - 1)), scope)
                    scope.soon(run)
                    return
            except Exception as error:  # noqa: BLE001 - a stage's error is the signal
                if not stopped:
                    down.fail(error)
                return
            if not stopped:
                deliver(down, fold, lambda: stopped)

        down.start(Link(request, cancel))

    return feed
