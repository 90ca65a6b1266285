"""Operators that join streams: one stream of streams, or several streams at once."""

from collections.abc import AsyncIterable, Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Self, TypeAlias, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import Down, Feed, Source
from labcore.reactive.errors import check_positive
from labcore.reactive.operators.calls import calling, calls_over
from labcore.reactive.operators.create import as_source
from labcore.reactive.operators.elements import EmptyResult, Fold, folding
from labcore.reactive.operators.flatten import (
    ConcatMap,
    Sequential,
    SwitchMap,
    concat_mapping,
    flat_mapping,
)
from labcore.reactive.operators.gather import as_is, latest_of, racing, zipping
from labcore.reactive.operators.relay import Relay
from labcore.reactive.spec import SMALL_BUFFER, XS_BUFFER, Publisher

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux, Mono

T = TypeVar("T")
U = TypeVar("U")
R = TypeVar("R")
Streamed: TypeAlias = Publisher[U] | Awaitable[U] | AsyncIterable[U]


class InTurn(Relay):
    """One source after the other; unmet demand moves on."""

    __slots__ = ("rest",)

    def __init__(self, down: Down[Any], rest: Iterator[Source[Any]]) -> None:
        super().__init__(down)
        self.rest = rest

    def ended(self) -> None:
        """Cancelled: no source is next."""
        self.rest = iter(())

    def complete(self) -> None:
        """The next one, if there is one."""
        for source in self.rest:
            self.switch(source)
            return
        super().complete()


def in_turn(sources: tuple[Source[Any], ...]) -> Feed:
    """The feed of concat."""

    def feed(down: "Down[Any]") -> None:
        rest = iter(sources)
        first = next(rest)
        InTurn(down, rest).begin(first)

    return feed


def ignoring_fold() -> Fold:
    """No value, only the end."""

    def nothing() -> Any:
        raise EmptyResult

    def many(values: Any) -> None:
        for _ in values:
            pass

    return Fold(lambda _: None, many, nothing)


def sources_of(publishers: tuple[Any, ...]) -> tuple[Source[Any], ...]:
    """The arguments of a combining operator, as sources."""
    return tuple(as_source(publisher) for publisher in publishers)


class SharedCombine(Source[T]):
    """Joining that Flux and Mono share."""

    __slots__ = ()

    def then(self, other: "Source[U] | None" = None) -> "Mono[U]":
        """Only the end of this stream, then another Mono.

            --1--2--|
              then(--a|)
            -----------a|

        >>> Flux.just(1, 2).then(Mono.just("a")).block()
        'a'

        Reactor: Flux.then, Mono.then
        """
        ended: Source[Any] = Source(folding(self, ignoring_fold))
        return lib.Mono(ended.feed if other is None else in_turn((ended, other)))

    def then_many(self, other: Source[U]) -> "Flux[U]":
        """Only the end of this stream, then another Flux.

            --1--2--|
              then_many(--a--b--|)
            -----------a--b--|

        >>> Mono.just(1).then_many(Flux.just("a", "b")).collect_list().block()
        ['a', 'b']

        Reactor: Flux.thenMany, Mono.thenMany
        """
        return lib.Flux(in_turn((Source(folding(self, ignoring_fold)), other)))

    def or_(self, other: Source[T]) -> Self:
        """This stream or the other, whichever signals first; the loser is cancelled.

            -----1--|
              or_(--2--|)
            --2--|

        >>> Mono.never().or_(Mono.just(2)).block()
        2

        Reactor: Flux.or, Mono.or
        """
        return self.like(racing((self, other)))

    def concat_with(self, other: Source[T]) -> "Flux[T]":
        """This stream, then the other.

            --1--|
              concat_with(--2--|)
            --1----2--|

        >>> Flux.just(1).concat_with(Mono.just(2)).collect_list().block()
        [1, 2]

        Reactor: Flux.concatWith, Mono.concatWith
        """
        return lib.Flux(in_turn((self, other)))

    def merge_with(self, other: Source[T]) -> "Flux[T]":
        """Both streams at once, values as they come.

            --1-----3--|
              merge_with(----2--|)
            --1--2--3--|

        >>> Flux.just(1).merge_with(Flux.just(2)).collect_list().block()
        [1, 2]

        Reactor: Flux.mergeWith, Mono.mergeWith
        """
        return FluxCombine.merge(self, other)


class MonoCombine(SharedCombine[T]):
    """Joining Monos."""

    __slots__ = ()

    def flat_map(self, mapper: Callable[[T], Streamed[U]]) -> "Mono[U]":
        """The Mono, or the awaited result, that `mapper(value)` gives.

            --1|
              flat_map(ask)
            -----answer|

        >>> async def ask(n):
        ...     return n + 1
        >>> Mono.just(1).flat_map(ask).block()
        2

        Reactor: Mono.flatMap
        """
        return lib.Mono(flat_mapping(self, mapper, 1, 1))

    def flat_map_many(self, mapper: Callable[[T], Streamed[U]]) -> "Flux[U]":
        """The Flux that `mapper(value)` gives.

            --3|
              flat_map_many(range)
            -----0--1--2--|

        >>> Mono.just(3).flat_map_many(lambda n: Flux.range(0, n)).collect_list().block()
        [0, 1, 2]

        Reactor: Mono.flatMapMany
        """
        return lib.Flux(concat_mapping(self, lambda down: ConcatMap(down, mapper)))

    def zip_with(self, other: Source[U], combine: Callable[[T, U], R] | None = None) -> "Mono[Any]":
        """Both values as a pair, or combined; both run at once.

            --1|
              zip_with(----2|)
            ----(1,2)|

        >>> Mono.just(1).zip_with(Mono.just(2)).block()
        (1, 2)

        Reactor: Mono.zipWith
        """
        return lib.Mono(zipping((self, other), combine, 1))

    def zip_when(
        self, mapper: Callable[[T], Streamed[U]], combine: Callable[[T, U], R] | None = None
    ) -> "Mono[Any]":
        """The value with that of the Mono made from it, as a pair or combined.

            --1|
              zip_when(ask)
            ----(1,answer)|

        >>> Mono.just(1).zip_when(lambda n: Mono.just(n * 2)).block()
        (1, 2)

        Reactor: Mono.zipWhen
        """
        join: Callable[[T, U], Any] = combine or (lambda value, answer: (value, answer))

        def ask(value: T) -> Source[Any]:
            return lib.Mono(as_source(mapper(value)).feed).map(lambda answer: join(value, answer))

        return self.flat_map(ask)

    @staticmethod
    def zip(*sources: Source[Any], combine: Callable[..., R] | None = None) -> "Mono[Any]":
        """The values of all, run at once, as a tuple or combined; empty as soon as one is.

            --1|  ----2|
              zip
            ----(1,2)|

        The first error cancels the others and waits for their clean-ups.

        >>> Mono.zip(Mono.just(1), Mono.just(2)).block()
        (1, 2)

        Reactor: Mono.zip
        """
        check_positive("number of sources", len(sources))
        return lib.Mono(zipping(sources_of(sources), combine, 1))

    @staticmethod
    def when(*sources: Source[Any]) -> "Mono[None]":
        """The end of all of them, run at once; their values are ignored.

            --1|  ----2|
              when
            ------|

        >>> Mono.when(Mono.just(1), Flux.just(2, 3)).block() is None
        True

        Reactor: Mono.when
        """
        return FluxCombine.merge(*sources).then()

    @staticmethod
    def first_with_signal(*sources: Source[U]) -> "Mono[U]":
        """Whichever signals first; the others are cancelled.

            -----1|  --2|
              first_with_signal
            --2|

        >>> Mono.first_with_signal(Mono.never(), Mono.just(2)).block()
        2

        Reactor: Mono.firstWithSignal
        """
        return lib.Mono(racing(sources_of(sources)))


class FluxCombine(SharedCombine[T]):
    """Joining streams of many values."""

    __slots__ = ()

    def flat_map(
        self,
        mapper: Callable[[T], Streamed[U]],
        *,
        concurrency: int = SMALL_BUFFER,
        prefetch: int = XS_BUFFER,
    ) -> "Flux[U]":
        """The values of the streams that `mapper` gives, at most `concurrency` at once, as they come.

            --1------2------|
              flat_map(twice)
            ---1-1----2-2---|

        A coroutine function works too: at most `concurrency` calls run, in worker tasks. Each inner
        stream is asked for `prefetch` values. The first error cancels everything.

        >>> Flux.just(1, 2).flat_map(lambda n: Flux.just(n, n)).collect_list().block()
        [1, 1, 2, 2]

        Reactor: Flux.flatMap
        """
        check_positive("concurrency", concurrency)
        check_positive("prefetch", prefetch)
        pushed = flat_mapping(self, mapper, concurrency, prefetch)
        fusion = calls_over(self, mapper)
        if fusion is not None:
            return lib.Flux(calling(fusion, mapper, concurrency, pushed=pushed))
        return lib.Flux(pushed)

    def concat_map(self, mapper: Callable[[T], Streamed[U]]) -> "Flux[U]":
        """The values of the streams that `mapper` gives, one stream after the other.

            --1------2------|
              concat_map(twice)
            ---1-1----2-2---|

        The source is asked for one value at a time, and only when there is demand.

        >>> Flux.just(1, 2).concat_map(lambda n: Flux.just(n, n)).collect_list().block()
        [1, 1, 2, 2]

        Reactor: Flux.concatMap with prefetch 0
        """
        return lib.Flux(concat_mapping(self, lambda down: ConcatMap(down, mapper)))

    def flat_map_sequential(
        self,
        mapper: Callable[[T], Streamed[U]],
        *,
        concurrency: int = SMALL_BUFFER,
        prefetch: int = XS_BUFFER,
    ) -> "Flux[U]":
        """Like flat_map, all running at once, but the values in the order of the source.

            --1---2-----|
              flat_map_sequential(slow for 1)
            --------1-2-|

        >>> Flux.just(1, 2).flat_map_sequential(lambda n: Flux.just(n, n)).collect_list().block()
        [1, 1, 2, 2]

        Reactor: Flux.flatMapSequential
        """
        check_positive("concurrency", concurrency)
        check_positive("prefetch", prefetch)
        return lib.Flux(
            concat_mapping(self, lambda down: Sequential(down, mapper, concurrency, prefetch))
        )

    def switch_map(self, mapper: Callable[[T], Streamed[U]]) -> "Flux[U]":
        """The values of the newest stream; each value of the source cancels the one before.

            --1----2---------|
              switch_map(--a--b--c|)
            ----a----a--b--c-|

        >>> Flux.just(1, 2).switch_map(lambda n: Mono.just(n)).collect_list().block()
        [1, 2]

        Reactor: Flux.switchMap
        """
        return lib.Flux(concat_mapping(self, lambda down: SwitchMap(down, mapper)))

    def zip_with(self, other: Source[U], combine: Callable[[T, U], R] | None = None) -> "Flux[Any]":
        """Pairs of both streams' values, or what `combine` makes of them.

            --1--2--|
              zip_with(--a-----b--|)
            --(1,a)----(2,b)|

        >>> Flux.just(1, 2).zip_with(Flux.just("a", "b")).collect_list().block()
        [(1, 'a'), (2, 'b')]

        Reactor: Flux.zipWith
        """
        return lib.Flux(zipping((self, other), combine, XS_BUFFER))

    def start_with(self, *values: T) -> "Flux[T]":
        """These values first.

            -----2--|
              start_with(1)
            1----2--|

        >>> Flux.just(2).start_with(1).collect_list().block()
        [1, 2]

        Reactor: Flux.startWith
        """
        return lib.Flux(in_turn((lib.Flux.just(*values), self)))

    @staticmethod
    def merge(*sources: Source[U], prefetch: int = XS_BUFFER) -> "Flux[U]":
        """All streams at once, values as they come.

            --1-----3--|
            ----2--|
              merge
            --1-2---3--|

        Each is asked for `prefetch` values, and for more when 75 % were taken.

        >>> Flux.merge(Flux.just(1), Flux.just(2)).collect_list().block()
        [1, 2]

        Reactor: Flux.merge
        """
        check_positive("prefetch", prefetch)
        parts = sources_of(sources)
        outer = lib.Flux.from_iterable(parts)
        return lib.Flux(flat_mapping(outer, as_is, max(1, len(parts)), prefetch))

    @staticmethod
    def concat(*sources: Source[U]) -> "Flux[U]":
        """One stream after the other.

            --1--|
            --2--|
              concat
            --1----2--|

        >>> Flux.concat(Flux.just(1), Flux.just(2)).collect_list().block()
        [1, 2]

        Reactor: Flux.concat
        """
        return lib.Flux(in_turn(sources_of(sources))) if sources else lib.Flux.empty()

    @staticmethod
    def zip(
        *sources: Source[Any],
        combine: Callable[..., R] | None = None,
        prefetch: int = XS_BUFFER,
    ) -> "Flux[Any]":
        """Rows of one value from each stream; ends with the shortest, which cancels the others.

            --1--2--3--|
            --a-----b--|
              zip
            --(1,a)-(2,b)|

        >>> Flux.zip(Flux.just(1, 2, 3), Flux.just("a", "b")).collect_list().block()
        [(1, 'a'), (2, 'b')]

        Reactor: Flux.zip
        """
        check_positive("prefetch", prefetch)
        check_positive("number of sources", len(sources))
        return lib.Flux(zipping(sources_of(sources), combine, prefetch))

    @staticmethod
    def combine_latest(*sources: Source[Any], prefetch: int = XS_BUFFER) -> "Flux[tuple[Any, ...]]":
        """A row of every stream's newest value, whenever one of them gives a value.

            --1-----2--|
            ----a------|
              combine_latest
            ----(1,a)-(2,a)|

        >>> Flux.combine_latest(Flux.just(1, 2), Flux.just("a")).collect_list().block()
        [(2, 'a')]

        Reactor: Flux.combineLatest
        """
        check_positive("prefetch", prefetch)
        check_positive("number of sources", len(sources))
        return lib.Flux(latest_of(sources_of(sources), prefetch))

    @staticmethod
    def first_with_signal(*sources: Source[U]) -> "Flux[U]":
        """The stream that signals first; the others are cancelled.

            -----1--|
            --2--|
              first_with_signal
            --2--|

        >>> Flux.first_with_signal(Flux.never(), Flux.just(2)).collect_list().block()
        [2]

        Reactor: Flux.firstWithSignal
        """
        return lib.Flux(racing(sources_of(sources)))
