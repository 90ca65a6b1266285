"""Connections: how a shared source is run, counted and disconnected."""

import math
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.context import EMPTY
from labcore.reactive.core import Down, Source
from labcore.reactive.errors import DisconnectedError, check_not_negative, check_positive
from labcore.reactive.operators.hubs import History, Lockstep, prefetched
from labcore.reactive.scope import Scope, Timer
from labcore.reactive.spec import SMALL_BUFFER, Subscription

T = TypeVar("T")


class Hub(Protocol):
    """What a connection needs of a hub."""

    ended: bool
    emptied: Any

    def join(self, down: Down[Any]) -> Any:
        """A new subscriber."""
        ...

    def push(self, value: Any) -> bool:
        """A value."""
        ...

    def finish(self, error: Exception | None = None) -> None:
        """The end."""
        ...


class Connection:
    """One run of a shared source, in a scope of its own that outlives its first subscriber."""

    __slots__ = ("connected", "hub", "owned", "prefetch", "scope", "source", "up")

    def __init__(self, source: Source[Any], hub: Hub, prefetch: int) -> None:
        self.source = source
        self.hub = hub
        self.prefetch = prefetch
        self.connected = self.owned = False
        self.scope: Scope | None = None
        self.up: Subscription | None = None

    def connect(self, scope: Scope) -> None:
        """Subscribe to the source, its tasks in a scope detached from this one."""
        if self.connected:
            return
        self.connected = True
        self.scope = scope if self.owned else scope.detached()
        self.source.feed(Down(self.begin, self.hub.push, self.end, self.end, self.scope, EMPTY))

    def begin(self, subscription: Subscription) -> None:
        """The source's subscription."""
        self.up = subscription
        if isinstance(self.hub, Lockstep):
            self.hub.taken = prefetched(self.hub, subscription, self.prefetch)
            self.hub.drops_in = self.scope
            subscription.request(self.prefetch)
        elif isinstance(self.hub, History):
            self.hub.begin(subscription)

    def end(self, error: Exception | None = None) -> None:
        """The source has ended."""
        self.hub.finish(error)

    def disconnect(self, last: Scope | None) -> None:
        """Cancel the source; the last subscriber's scope waits for its clean-ups."""
        if self.up is None or self.hub.ended:
            return
        self.hub.finish(DisconnectedError("the shared source was disconnected; subscribe anew"))
        self.up.cancel()
        if last is not None and self.scope is not None and self.scope.hosted:
            last.spawn(self.scope.finished)


class ConnectableFlux(lib.Flux[T]):
    """A shared source that runs when it is connected. Reactor: ConnectableFlux."""

    __slots__ = ("_current", "_make_hub", "_prefetch", "_source")

    def __init__(
        self, source: Source[Any], make_hub: Callable[[Scope], Hub], prefetch: int
    ) -> None:
        super().__init__(self._join)
        self._source = source
        self._make_hub = make_hub
        self._prefetch = prefetch
        self._current: Connection | None = None

    def like(self, feed: Any = None, *, fusion: Any = None) -> Any:
        """Operators give a plain Flux."""
        return lib.Flux(feed, fusion=fusion)

    def connect(self, scope: Scope) -> Callable[[], None]:
        """Run the source in this scope; the returned call disconnects it.

            connect()
            --1--2--|  to every subscriber

        Subscribers that were there get a DisconnectedError when it is disconnected before its end.

        Reactor: ConnectableFlux.connect
        """
        connection = self._connection(scope)
        connection.owned = not connection.connected
        connection.connect(scope)
        return lambda: self._disconnect(connection, None)

    def auto_connect(self, subscribers: int = 1) -> lib.Flux[T]:
        """Connects when so many have subscribed, and never disconnects.

            subscribe
              auto_connect(1)
            --1--2--|

        >>> Flux.just(1, 2).publish().auto_connect().collect_list().block()
        [1, 2]

        Reactor: ConnectableFlux.autoConnect
        """
        check_positive("subscribers", subscribers)
        count = 0

        def feed(down: Down[Any]) -> None:
            nonlocal count
            count += 1
            connection = self._connection(down.scope)
            connection.hub.join(down)
            if count == subscribers:
                connection.connect(down.scope)

        return lib.Flux(feed)

    def ref_count(self, subscribers: int = 1, grace_s: float = 0.0) -> lib.Flux[T]:
        """Connects when so many are there; disconnects `grace_s` seconds after the last has left.

            subscribe, subscribe
              ref_count(2)
            --1--2--|

        A newcomer within the grace time keeps the connection. After a disconnection so many are
        needed again. The last subscriber to leave waits for the clean-ups of the source.

        >>> Flux.just(1, 2).publish().ref_count().collect_list().block()
        [1, 2]

        Reactor: ConnectableFlux.refCount
        """
        check_positive("subscribers", subscribers)
        check_not_negative("grace_s", grace_s)
        return lib.Flux(RefCount(self, subscribers, grace_s).feed)

    def _join(self, down: Down[Any]) -> None:
        self._connection(down.scope).hub.join(down)

    def _connection(self, scope: Scope) -> Connection:
        """The current run; a new one after a disconnection, or (in lockstep) after the source's end."""
        current = self._current
        over = current is not None and isinstance(current.hub, Lockstep) and current.hub.ended
        if current is None or over:
            current = Connection(self._source, self._make_hub(scope), self._prefetch)
            self._current = current
        return current

    def _disconnect(self, connection: Connection, last: Scope | None) -> None:
        if self._current is connection and not connection.hub.ended:
            self._current = None
        connection.disconnect(last)


class RefCount:
    """Counts subscribers, connects and disconnects."""

    __slots__ = ("count", "grace_s", "needed", "shared", "timer")

    def __init__(self, shared: ConnectableFlux[Any], needed: int, grace_s: float) -> None:
        self.shared = shared
        self.needed = needed
        self.grace_s = grace_s
        self.count = 0
        self.timer: Timer | None = None

    def feed(self, down: Down[Any]) -> None:
        """One more subscriber."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
        connection = self.shared._connection(down.scope)  # noqa: SLF001 - two halves of one operator
        if connection.hub.emptied is None:
            self.count = 0
            connection.hub.emptied = lambda member: self.empty(connection, member.down.scope)
        self.count += 1
        connection.hub.join(down)
        if self.count >= self.needed and not connection.connected:
            connection.connect(down.scope)

    def empty(self, connection: Connection, last: Scope) -> None:
        """The last one left."""
        if connection.hub.ended:
            return
        if not self.grace_s:
            self.count = 0
            self.shared._disconnect(connection, last)  # noqa: SLF001 - two halves of one operator
            return
        scope = connection.scope or last

        def give_up() -> None:
            self.timer = None
            self.count = 0
            self.shared._disconnect(connection, None)  # noqa: SLF001 - two halves of one operator

        self.timer = scope.later(self.grace_s, give_up)


def publishing(source: Source[T], prefetch: int) -> ConnectableFlux[T]:
    """What publish gives."""
    return ConnectableFlux(source, lambda _: Lockstep(), prefetch)


def replaying(source: Source[T], limit: int | None, ttl_s: float | None) -> ConnectableFlux[T]:
    """What replay gives."""
    kept = math.inf if limit is None else limit
    return ConnectableFlux(source, lambda scope: History(kept, ttl_s, scope.now_s), SMALL_BUFFER)
