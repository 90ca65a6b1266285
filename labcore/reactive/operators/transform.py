"""Operators that change, choose or fold the values of one stream."""

from collections.abc import Callable, Hashable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Self, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import IDLE, MISSING, Down, Feed, Source, Step
from labcore.reactive.errors import EmptyStreamError, blame, check_not_negative
from labcore.reactive.hop import placed
from labcore.reactive.operators.elements import (
    EmptyResult,
    Fold,
    Mapped,
    Offer,
    Stop,
    answer,
    elementwise,
    filtering,
    folding,
    fused,
    fused_filter,
    mapping,
)
from labcore.reactive.operators.relay import Relay
from labcore.reactive.spec import Subscription

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux, Mono

T = TypeVar("T")
U = TypeVar("U")


class Taking(Step[Any]):
    """The first `count` values; never asks the source for more."""

    __slots__ = ("left", "live", "unasked")

    def __init__(self, down: Down[Any], count: int) -> None:
        super().__init__(down)
        self.left = self.unasked = count
        self.live = True

    def start(self, subscription: Subscription) -> None:
        """Hand it down; without a value to take it is over."""
        self.up = subscription
        self.down.start(self)
        if not self.left and self.live:
            self.cancel()
            self.down.complete()

    def request(self, n: int) -> None:
        """Demand from below, as far as there are values to take."""
        more = min(n, self.unasked)
        self.unasked -= more
        if more and self.live:
            self.up.request(more)

    def cancel(self) -> None:
        """Stop the source."""
        self.live = False
        self.stop()

    def stop(self) -> None:
        """The source has given enough."""
        up, self.up = self.up, IDLE
        up.cancel()

    def offer(self, value: Any) -> bool:
        """One value less to take; the last one cancels the source before it is passed on."""
        self.left -= 1  # taken, whether or not a filter below uses it up
        if self.left > 0:
            return self.down.offer(value)
        self.stop()
        used = self.down.offer(value)
        if self.live:
            self.live = False
            self.down.complete()
        return used


def taking(source: Source[Any], count: int) -> Feed:
    """The feed of take."""

    def feed(down: "Down[Any]") -> None:
        source.feed(Taking(down, count))

    return feed


class IfEmpty(Relay):
    """Another source when the first one ends without a value."""

    __slots__ = ("other",)

    def __init__(self, down: Down[Any], other: Source[Any]) -> None:
        super().__init__(down)
        self.other: Source[Any] | None = other

    def offer(self, value: Any) -> bool:
        """There is a value, so no other source."""
        self.other = None
        return super().offer(value)

    def complete(self) -> None:
        """The end, or the other source."""
        other, self.other = self.other, None
        if other is None:
            super().complete()
        else:
            self.switch(other)


def counting_fold() -> Fold:
    """How many."""
    seen = 0

    def one(_: Any) -> bool:
        nonlocal seen
        seen += 1
        return True

    def many(values: Iterator[Any]) -> None:
        nonlocal seen
        seen += len(list(values))

    return Fold(one, many, lambda: seen, direct=True)


def listing_fold() -> Fold:
    """All of them, in order."""
    items: list[Any] = []
    append = items.append

    def one(value: Any) -> bool:
        append(value)
        return True

    return Fold(one, items.extend, lambda: items, direct=True)


def reducing_fold(combine: Callable[[Any, Any], Any], initial: Callable[[], Any] | None) -> Fold:
    """Two become one, until one is left."""
    result: Any = MISSING if initial is None else initial()

    def one(value: Any) -> None:
        nonlocal result
        if result is MISSING:
            result = value
            return
        try:
            result = combine(result, value)
        except Exception as error:  # noqa: BLE001 - passed on with its place noted
            raise blame(error, "reduce", combine) from error.__cause__

    def many(values: Iterator[Any]) -> None:
        for value in values:
            one(value)

    def end() -> Any:
        if result is MISSING:
            raise EmptyResult
        return result

    return Fold(one, many, end)


class SharedTransform(Source[T]):
    """What leaves the type of the values alone, on Flux and Mono."""

    __slots__ = ()

    def filter(self, keep: Callable[[T], object]) -> Self:
        """The values for which `keep(value)` is true; the others use up no demand.

            --1--2--3--4--|
              filter(even)
            -----2-----4--|

        >>> Flux.range(1, 4).filter(lambda n: n % 2 == 0).collect_list().block()
        [2, 4]

        Reactor: Flux.filter, Mono.filter
        """
        return self.like(filtering(self, keep), fusion=fused_filter(self, keep))

    def hide(self) -> Self:
        """The same signals with fusion broken off: what is below runs as closures.

            --1--2--|
              hide()
            --1--2--|

        >>> Flux.just(1, 2).hide().collect_list().block()
        [1, 2]

        Reactor: Flux.hide, Mono.hide
        """
        return self.like(self.feed)

    def default_if_empty(self, value: T) -> Self:
        """That value when there is none.

            --|
              default_if_empty(0)
            --0|

        >>> Mono.empty().default_if_empty(0).block()
        0

        Reactor: Flux.defaultIfEmpty, Mono.defaultIfEmpty
        """
        return self.switch_if_empty(lib.Mono.just(value))

    def switch_if_empty(self, other: Source[T]) -> Self:
        """Another stream when this one has no value.

            --|
              switch_if_empty(--1--2--|)
            --1--2--|

        >>> Flux.empty().switch_if_empty(Flux.just(1, 2)).collect_list().block()
        [1, 2]

        Reactor: Flux.switchIfEmpty, Mono.switchIfEmpty
        """

        def feed(down: "Down[Any]") -> None:
            IfEmpty(down, other).begin(self)

        return self.like(feed)


class MonoTransform(SharedTransform[T]):
    """Changing the one value of a Mono."""

    __slots__ = ()

    def map(self, fn: Callable[[T], U]) -> "Mono[U]":
        """The value through `fn`.

            --1|
              map(n * 10)
            --10|

        >>> Mono.just(1).map(lambda n: n * 10).block()
        10

        Reactor: Mono.map
        """
        return lib.Mono(mapping(self, fn), fusion=fused(self, Mapped(fn)))

    def flux(self) -> "Flux[T]":
        """The same signals as a Flux.

            --1|
              flux()
            --1--|

        >>> Mono.just(1).flux().collect_list().block()
        [1]

        Reactor: Mono.flux
        """
        return lib.Flux(self.feed, fusion=self.fusion, scalar=self.scalar)


class FluxTransform(SharedTransform[T]):
    """Changing, choosing and folding the values of a Flux."""

    __slots__ = ()

    def map(self, fn: Callable[[T], U]) -> "Flux[U]":
        """Each value through `fn`.

            --1---2---3--|
              map(n * 10)
            --10--20--30-|

        >>> Flux.just(1, 2).map(lambda n: n * 10).collect_list().block()
        [10, 20]

        Reactor: Flux.map
        """
        return lib.Flux(mapping(self, fn), fusion=fused(self, Mapped(fn)))

    def handle(self, fn: Callable[[T, Callable[[U], None]], None]) -> "Flux[U]":
        """`fn(value, emit)` emits one value for each, or none; it may raise.

            --1--2--3--|
              handle(emit if odd)
            --1-----3--|

        >>> Flux.range(1, 3).handle(lambda n, emit: emit(-n) if n % 2 else None).collect_list().block()
        [-1, -3]

        Reactor: Flux.handle
        """

        def make(down: "Down[Any]", stop: Stop) -> Offer:
            call = placed(fn, down)

            def offer(value: Any) -> bool:
                given: list[Any] = []
                try:
                    call(value, given.append)
                except Exception as error:  # noqa: BLE001 - the function's error is the signal
                    return answer(down, stop, blame(error, "handle", fn), value)
                if len(given) > 1:
                    stop(ValueError(f"handle() emitted {len(given)} values; emit at most one"))
                    return True
                return down.offer(given[0]) if given else False

            return offer

        return lib.Flux(elementwise(self, make))

    def scan(self, combine: Callable[[U, T], U], *, initial: U) -> "Flux[U]":
        """Each intermediate result of folding, `initial` first.

            ---1--2--3--|
              scan(+, initial=0)
            0--1--3--6--|

        >>> Flux.just(1, 2, 3).scan(lambda a, b: a + b, initial=0).collect_list().block()
        [0, 1, 3, 6]

        Reactor: Flux.scan(initial, accumulator)
        """

        def make_values() -> Source[Any]:
            total = initial

            def step(value: T) -> U:
                nonlocal total
                total = combine(total, value)
                return total

            return lib.Flux(mapping(self, step, "scan"))

        rest = lib.Flux.defer(make_values)
        return lib.Flux.concat(lib.Flux.just(initial), rest)

    def index(self) -> "Flux[tuple[int, T]]":
        """Each value with its position, from 0.

            --a------b------|
              index()
            --(0,a)--(1,b)--|

        >>> Flux.just("a", "b").index().collect_list().block()
        [(0, 'a'), (1, 'b')]

        Reactor: Flux.index
        """

        def make(down: "Down[Any]", _: Stop) -> Offer:
            position = -1

            def offer(value: Any) -> bool:
                nonlocal position
                position += 1
                return down.offer((position, value))

            return offer

        return lib.Flux(elementwise(self, make))

    def take(self, count: int) -> "Flux[T]":
        """The first `count` values, then the end; no more are ever asked for.

            --1--2--3--4--
              take(2)
            --1--2|

        >>> Flux.range(1, 9).take(2).collect_list().block()
        [1, 2]

        Reactor: Flux.take(n)
        """
        check_not_negative("count", count)
        return lib.Flux(taking(self, count))

    def take_while(self, keep: Callable[[T], object]) -> "Flux[T]":
        """Values as long as `keep(value)` is true; the first other one ends it unseen.

            --1--2--3--1--
              take_while(< 3)
            --1--2--|

        >>> Flux.just(1, 2, 3, 1).take_while(lambda n: n < 3).collect_list().block()
        [1, 2]

        Reactor: Flux.takeWhile
        """

        def make(down: "Down[Any]", stop: Stop) -> Offer:
            call = placed(keep, down)

            def offer(value: Any) -> bool:
                try:
                    kept = call(value)
                except Exception as error:  # noqa: BLE001 - the function's error is the signal
                    stop(blame(error, "take_while", keep))
                    return True
                if kept:
                    return down.offer(value)
                stop()
                return True

            return offer

        return lib.Flux(elementwise(self, make))

    def take_until(self, last: Callable[[T], object]) -> "Flux[T]":
        """Values up to and with the first for which `last(value)` is true.

            --1--2--3--4--
              take_until(== 2)
            --1--2|

        >>> Flux.just(1, 2, 3).take_until(lambda n: n == 2).collect_list().block()
        [1, 2]

        Reactor: Flux.takeUntil
        """

        def make(down: "Down[Any]", stop: Stop) -> Offer:
            call = placed(last, down)

            def offer(value: Any) -> bool:
                try:
                    ends = call(value)
                except Exception as error:  # noqa: BLE001 - the function's error is the signal
                    stop(blame(error, "take_until", last))
                    return True
                used = down.offer(value)
                if ends:
                    stop()
                return used

            return offer

        return lib.Flux(elementwise(self, make))

    def skip(self, count: int) -> "Flux[T]":
        """All but the first `count` values.

            --1--2--3--|
              skip(2)
            --------3--|

        >>> Flux.just(1, 2, 3).skip(2).collect_list().block()
        [3]

        Reactor: Flux.skip(n)
        """
        check_not_negative("count", count)

        def skipper() -> Callable[[T], bool]:
            left = count

            def keep(_: T) -> bool:
                nonlocal left
                left -= 1
                return left < 0

            return keep

        return self._filter_anew(skipper)

    def skip_while(self, leave_out: Callable[[T], object]) -> "Flux[T]":
        """Everything from the first value for which `leave_out(value)` is false.

            --1--2--1--|
              skip_while(< 2)
            -----2--1--|

        >>> Flux.just(1, 2, 1).skip_while(lambda n: n < 2).collect_list().block()
        [2, 1]

        Reactor: Flux.skipWhile
        """

        def skipper() -> Callable[[T], bool]:
            open_ = False

            def keep(value: T) -> bool:
                nonlocal open_
                open_ = open_ or not leave_out(value)
                return open_

            return keep

        return self._filter_anew(skipper)

    def distinct(self, key: Callable[[T], Hashable] | None = None) -> "Flux[T]":
        """Values whose key was not seen before; every key is remembered.

            --1--2--1--3--|
              distinct()
            --1--2-----3--|

        >>> Flux.just(1, 2, 1, 3).distinct().collect_list().block()
        [1, 2, 3]

        Reactor: Flux.distinct
        """

        def fresh() -> Callable[[T], bool]:
            seen: set[object] = set()

            def keep(value: T) -> bool:
                name: object = value if key is None else key(value)
                if name in seen:
                    return False
                seen.add(name)
                return True

            return keep

        return self._filter_anew(fresh)

    def distinct_until_changed(self, key: Callable[[T], object] | None = None) -> "Flux[T]":
        """Values whose key differs from the one before.

            --1--1--2--1--|
              distinct_until_changed()
            --1-----2--1--|

        >>> Flux.just(1, 1, 2, 1).distinct_until_changed().collect_list().block()
        [1, 2, 1]

        Reactor: Flux.distinctUntilChanged
        """

        def fresh() -> Callable[[T], bool]:
            before: object = MISSING

            def keep(value: T) -> bool:
                nonlocal before
                name: object = value if key is None else key(value)
                changed = before is MISSING or name != before
                before = name
                return changed

            return keep

        return self._filter_anew(fresh)

    def next(self) -> "Mono[T]":
        """The first value, or nothing.

            --1--2--
              next()
            --1|

        >>> Flux.just(1, 2).next().block()
        1

        Reactor: Flux.next
        """
        return lib.Mono(taking(self, 1))

    def last(self) -> "Mono[T]":
        """The last value; EmptyStreamError when there is none.

            --1--2--|
              last()
            --------2|

        >>> Flux.just(1, 2).last().block()
        2

        Reactor: Flux.last
        """

        def begin() -> Fold:
            inner = reducing_fold(lambda _, value: value, None)

            def result() -> Any:
                try:
                    return inner.result()
                except EmptyResult:
                    raise EmptyStreamError("last() of an empty stream; use reduce()") from None

            return Fold(inner.one, inner.many, result)

        return lib.Mono(folding(self, begin))

    def reduce(self, combine: Callable[[T, T], T]) -> "Mono[T]":
        """All values folded to one; nothing when there is none.

            --1--2--3--|
              reduce(+)
            -----------6|

        >>> Flux.just(1, 2, 3).reduce(lambda a, b: a + b).block()
        6

        Reactor: Flux.reduce(aggregator)
        """
        return lib.Mono(folding(self, partial(reducing_fold, combine, None)))

    def reduce_with(self, initial: Callable[[], U], combine: Callable[[U, T], U]) -> "Mono[U]":
        """All values folded onto a fresh `initial()`.

            --1--2--3--|
              reduce_with(10, +)
            -----------16|

        >>> Flux.just(1, 2, 3).reduce_with(lambda: 10, lambda a, b: a + b).block()
        16

        Reactor: Flux.reduceWith
        """
        return lib.Mono(folding(self, partial(reducing_fold, combine, initial)))

    def collect(self, container: Callable[[], U], add: Callable[[U, T], object]) -> "Mono[U]":
        """All values put into one fresh container.

            --1--2--|
              collect(set, set.add)
            --------{1,2}|

        >>> Flux.just(1, 2, 1).collect(set, set.add).block()
        {1, 2}

        Reactor: Flux.collect
        """

        def begin() -> Fold:
            box = container()

            def many(values: Iterator[Any]) -> None:
                for value in values:
                    add(box, value)

            return Fold(partial(add, box), many, lambda: box)

        return lib.Mono(folding(self, begin))

    def collect_list(self) -> "Mono[list[T]]":
        """All values in one list.

            --1--2--|
              collect_list()
            --------[1,2]|

        >>> Flux.just(1, 2).collect_list().block()
        [1, 2]

        Reactor: Flux.collectList
        """
        return lib.Mono(folding(self, listing_fold))

    def collect_map(self, key: Callable[[T], Hashable]) -> "Mono[dict[Any, T]]":
        """All values by key; the last of equal keys stays.

            --a--bb--|
              collect_map(len)
            ---------{1:a,2:bb}|

        >>> Flux.just("a", "bb").collect_map(len).block()
        {1: 'a', 2: 'bb'}

        Reactor: Flux.collectMap
        """

        def put(box: dict[Any, T], value: T) -> None:
            box[key(value)] = value

        return self.collect(dict, put)

    def count(self) -> "Mono[int]":
        """How many values there are.

            --a--b--c--|
              count()
            -----------3|

        >>> Flux.just("a", "b", "c").count().block()
        3

        Reactor: Flux.count
        """
        return lib.Mono(folding(self, counting_fold))

    def any(self, holds: Callable[[T], object]) -> "Mono[bool]":
        """Whether `holds(value)` is true for one value; stops there.

            --1--2--3--
              any(== 2)
            -----True|

        >>> Flux.just(1, 2, 3).any(lambda n: n == 2).block()
        True

        Reactor: Flux.any
        """
        return self.filter(holds).next().map(lambda _: True).default_if_empty(False)

    def all(self, holds: Callable[[T], object]) -> "Mono[bool]":
        """Whether `holds(value)` is true for every value; stops at the first that fails.

            --1--2--3--
              all(< 2)
            -----False|

        >>> Flux.just(1, 2, 3).all(lambda n: n < 2).block()
        False

        Reactor: Flux.all
        """
        return self.any(lambda value: not holds(value)).map(lambda found: not found)

    def has_elements(self) -> "Mono[bool]":
        """Whether there is any value.

            --1--
              has_elements()
            --True|

        >>> Flux.empty().has_elements().block()
        False

        Reactor: Flux.hasElements
        """
        return self.any(lambda _: True)

    def _filter_anew(self, make: Callable[[], Callable[[T], object]]) -> "Flux[T]":
        """A filter with state of its own for each subscriber."""

        def feed(down: "Down[Any]") -> None:
            filtering(self, make())(down)

        return lib.Flux(feed)
