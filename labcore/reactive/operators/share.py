"""Operators that share one subscription of a source among many subscribers."""

from typing import TYPE_CHECKING, Self, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import Source
from labcore.reactive.errors import check_not_negative, check_positive
from labcore.reactive.spec import SMALL_BUFFER

if TYPE_CHECKING:
    from labcore.reactive.operators.connectable import ConnectableFlux
    from labcore.reactive.publishers import Flux, Mono

T = TypeVar("T")


class SharedShare(Source[T]):
    """Remembering, on Flux and Mono."""

    __slots__ = ()

    def cache(self, limit: int | None = None, *, ttl_s: float | None = None) -> Self:
        """Runs the source once, for its first subscriber, and replays its signals to all others.

            --1--2--|
              cache()
            --1--2--|   and again, without running it

        At most `limit` values, at most `ttl_s` seconds old; None keeps all. The source is never
        disconnected.

        >>> runs = []
        >>> once = Mono.from_callable(lambda: runs.append(1) or len(runs)).cache()
        >>> Mono.zip(once, once).block()
        (1, 1)

        Reactor: Flux.cache, Mono.cache
        """
        return self.like(lib.Flux(self.feed).replay(limit, ttl_s=ttl_s).auto_connect().feed)


class FluxShare(SharedShare[T]):
    """Sharing one run of a Flux."""

    __slots__ = ()

    def publish(self, *, prefetch: int = SMALL_BUFFER) -> "ConnectableFlux[T]":
        """One run for many subscribers, in lockstep: the slowest demand sets the pace.

            --1--2--3--|
              publish()
            --1--2--3--|  to all, once connected

        The source is asked for `prefetch` values, and for 75 % of them again when they were delivered.
        A subscriber that asks for nothing makes all stand still; while there is no subscriber at all the
        connected source goes on and its values are thrown away (to the scope's `discarded` hook).

        >>> Flux.just(1).publish().auto_connect().collect_list().block()
        [1]

        Reactor: Flux.publish
        """
        from labcore.reactive.operators.connectable import publishing

        check_positive("prefetch", prefetch)
        return publishing(self, prefetch)

    def share(self) -> "Flux[T]":
        """One run while anybody listens; it starts with the first subscriber, and nothing is replayed.

            --1--2--3--|
              share()
            --1--2--3--|  first
            -----2--3--|  who came later

        After its end a new subscriber runs the source anew. Its tasks are in a scope of their own;
        the last subscriber to leave waits for their clean-ups.

        >>> Flux.just(1, 2).share().collect_list().block()
        [1, 2]

        Reactor: Flux.share
        """
        return self.publish().ref_count(1)

    def replay(
        self, limit: int | None = None, *, ttl_s: float | None = None
    ) -> "ConnectableFlux[T]":
        """One run for many; who comes late sees the last `limit` values, at most `ttl_s` seconds old.

            --1--2--3--|
              replay(1)
            --1--2--3--|  first
            -----(2)3--|  who came after 2

        Each subscriber has its own pace; the source is asked for as much as the keenest wants.

        >>> Flux.just(1, 2).replay().auto_connect().collect_list().block()
        [1, 2]

        Reactor: Flux.replay
        """
        from labcore.reactive.operators.connectable import replaying

        if limit is not None:
            check_not_negative("limit", limit)
        if ttl_s is not None:
            check_positive("ttl_s", ttl_s)
        return replaying(self, limit, ttl_s)


class MonoShare(SharedShare[T]):
    """Sharing one run of a Mono."""

    __slots__ = ()

    def share(self) -> "Mono[T]":
        """One run for all subscribers that come before its end, its result for all after it.

            ----1|
              share()
            ----1|  to all

        >>> Mono.just(1).share().block()
        1

        Reactor: Mono.share
        """
        return lib.Mono(self.cache().feed)
