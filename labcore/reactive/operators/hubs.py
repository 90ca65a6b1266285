"""Hubs: one source, many subscribers; in lockstep (publish, share) or from a history (replay)."""

from collections import deque
from collections.abc import Callable
from typing import Any

from labcore.reactive.core import IDLE, Down
from labcore.reactive.hop import place_of
from labcore.reactive.scope import Scope
from labcore.reactive.spec import TURN, UNBOUNDED, Subscription, add_demand, low_tide


def apart(down: Down[Any]) -> Down[Any]:
    """The subscriber, or a queue before it: no hop of one may stand still in the delivery to all."""
    place = place_of(down)
    if place is None:
        return down
    from labcore.reactive.operators.threads import Boundary

    return Boundary(down, place.scheduler, 0)


class Member:
    """One subscriber of a `Lockstep`; `credit` is its total demand on the hub's count of sent values."""

    __slots__ = ("credit", "down", "hub", "live", "offer")

    def __init__(self, hub: "Lockstep", down: Down[Any]) -> None:
        self.hub = hub
        self.down = down
        self.offer: Callable[[Any], bool] = down.offer
        self.credit = hub.sent
        self.live = True
        down.scope.hold()

    def request(self, n: int) -> None:
        """More demand; the slowest decides."""
        if self.live:
            self.credit = add_demand(self.credit, n)
            if not self.hub.busy:
                self.hub.drain()

    def cancel(self) -> None:
        """Leave the hub, at once even in the middle of a delivery."""
        if self.live:
            self.live = False
            self.hub.leave(self)
            self.down.scope.release()


def swallow(_: Any) -> bool:
    """Stands in for a member that left while a value is being delivered."""
    return True


class Lockstep:
    """Delivers each value to all members, at the pace of the slowest.

    `taken(k)` is called after k values left the queue; `emptied(member)` when the last member left.
    With a scope to drop in, values that come while there is no member are thrown away; without one
    they wait for the next.
    """

    __slots__ = (
        *("busy", "drops_in", "emptied", "ended", "error", "members", "offers", "queue", "room"),
        *("sent", "taken"),
    )

    def __init__(self) -> None:
        self.queue: deque[Any] = deque()
        self.members: list[Member] = []
        self.offers: list[Callable[[Any], bool]] = []
        self.sent = 0
        self.room = 0  # values every member has asked for; recounted when used up
        self.busy = self.ended = False
        self.drops_in: Scope | None = None
        self.error: Exception | None = None
        self.taken: Callable[[int], None] | None = None
        self.emptied: Callable[[Member], None] | None = None

    def join(self, down: Down[Any]) -> Member:
        """A new member; it sees what is delivered from now on."""
        down = apart(down)
        member = Member(self, down)
        self.members = [*self.members, member]
        self.offers = [*self.offers, member.offer]
        self.room = 0
        down.start(member)
        return member

    def leave(self, member: Member) -> None:
        """One member less."""
        if member not in self.members:
            return
        position = self.members.index(member)
        self.offers[position] = swallow  # seen by a delivery that is under way
        self.members = [other for other in self.members if other is not member]
        self.offers = [other.offer for other in self.members]
        self.room = 0
        if not self.members and self.emptied is not None:
            self.emptied(member)
        if not self.busy:
            self.drain()

    def recount(self) -> int:
        """How many values may be delivered now."""
        if not self.members:
            self.room = 0 if self.drops_in is None else TURN
        else:
            self.room = max(0, min([member.credit for member in self.members]) - self.sent)
        return self.room

    def push(self, value: Any) -> bool:
        """Deliver at once when all have asked; queue otherwise."""
        if self.busy or self.queue or not (self.room or self.recount()):
            self.queue.append(value)
            if not self.busy:
                self.drain()
            return True
        self.busy = True
        self.deliver(value)
        self.busy = False
        if self.taken is not None:
            self.taken(1)
        if self.queue or self.ended:
            self.drain()
        return True

    def deliver(self, value: Any) -> None:
        """One value to every member."""
        self.room -= 1
        self.sent += 1
        members, offers = self.members, self.offers
        if self.drops_in is not None and not members:
            self.drops_in.discard(value)
        refused = None
        for offer in offers:
            if not offer(value):
                refused = refused or []
                refused.append(offer)
        if refused:
            for member in members:
                if member.offer in refused and member.credit < UNBOUNDED:
                    member.credit += 1

    def drain(self) -> None:
        """Deliver what is queued as far as all have asked."""
        self.busy = True
        turn = TURN
        while self.queue and (self.room or self.recount()):
            self.deliver(self.queue.popleft())
            if self.taken is not None:
                self.taken(1)
            turn -= 1
            scope = self.members[0].down.scope if self.members else self.drops_in
            if not turn and scope is not None:
                scope.soon(self.drain)
                return
        self.busy = False
        if self.ended and not self.queue:
            self.close()

    def finish(self, error: Exception | None = None) -> None:
        """The end, after what is queued."""
        if not self.ended:
            self.ended, self.error = True, error
            if not self.busy:
                self.drain()

    def close(self) -> None:
        """Tell every member; whom the hub told of values and leavers knows the hub."""
        self.taken = self.emptied = None
        members, self.members, self.offers = self.members, [], []
        for member in members:
            if member.live:
                member.live = False
                if self.error is None:
                    member.down.complete()
                else:
                    member.down.fail(self.error)
                member.down.scope.release()


class Node:
    """One value of a history, and the way to the next."""

    __slots__ = ("at_s", "next", "value")

    def __init__(self, at_s: float) -> None:
        self.at_s = at_s
        self.value: Any = None
        self.next: Node | None = None


class Reader:
    """One subscriber of a `History`, at its own pace."""

    __slots__ = ("busy", "demand", "down", "history", "live", "node")

    def __init__(self, history: "History", down: Down[Any], node: Node) -> None:
        self.history = history
        self.down = down
        self.node = node
        self.demand = 0
        self.busy = False
        self.live = True
        down.scope.hold()

    def request(self, n: int) -> None:
        """More demand."""
        if self.live:
            self.demand = add_demand(self.demand, n)
            self.drain()
            if self.live:
                self.history.wanted(self.demand)

    def cancel(self) -> None:
        """Leave."""
        if self.live:
            self.live = False
            self.history.leave(self)
            self.down.scope.release()

    def drain(self) -> None:
        """Deliver from where this reader stands."""
        if self.busy:
            return
        self.busy = True
        turn = TURN
        while self.live and self.demand and self.node.next is not None:
            value, self.node = self.node.value, self.node.next
            if self.down.offer(value) and self.demand < UNBOUNDED:
                self.demand -= 1
            turn -= 1
            if not turn:
                self.down.scope.soon(self.resume)
                return
        self.busy = False
        if self.live and self.history.ended and self.node.next is None:
            self.live = False
            self.history.leave(self)
            if self.history.error is None:
                self.down.complete()
            else:
                self.down.fail(self.history.error)
            self.down.scope.release()

    def resume(self) -> None:
        """Go on after a turn of the loop."""
        self.busy = False
        self.drain()


class History:
    """Keeps values for those who come late: at most `limit` of them, at most `ttl_s` old.

    A linked list: a reader that lags behind still reaches what is new, whatever was let go for
    newcomers. The source is asked for as much as its keenest reader.
    """

    __slots__ = (
        *("ended", "error", "first", "emptied", "last", "limit", "now_s", "outstanding", "readers"),
        *("size", "ttl_s", "up"),
    )

    def __init__(self, limit: float, ttl_s: float | None, now_s: Callable[[], float]) -> None:
        self.limit = limit
        self.ttl_s = ttl_s
        self.now_s = now_s
        self.first = self.last = Node(0.0)  # `last` is always an empty node to be filled
        self.size = 0
        self.readers: list[Reader] = []
        self.ended = False
        self.error: Exception | None = None
        self.up: Subscription = IDLE
        self.outstanding = 0
        self.emptied: Callable[[Reader], None] | None = None

    def join(self, down: Down[Any]) -> Reader:
        """A new reader, which begins with what is kept."""
        self.trim()
        down = apart(down)
        reader = Reader(self, down, self.first)
        self.readers = [*self.readers, reader]
        down.start(reader)
        if reader.live and self.ended:
            reader.drain()
        return reader

    def leave(self, reader: Reader) -> None:
        """One reader less."""
        self.readers = [other for other in self.readers if other is not reader]
        if not self.readers and self.emptied is not None:
            self.emptied(reader)

    def wanted(self, demand: int) -> None:
        """A reader has more demand than values: the source is asked for what is missing."""
        missing = demand - self.outstanding
        if missing > 0 and not self.ended:
            self.outstanding = add_demand(self.outstanding, missing)
            self.up.request(missing)

    def begin(self, subscription: Subscription) -> None:
        """The source's subscription; it is asked for what readers want already."""
        self.up = subscription
        self.outstanding = 0
        self.wanted(max([reader.demand for reader in self.readers], default=0))

    def push(self, value: Any) -> bool:
        """One value more, for everybody."""
        if self.outstanding < UNBOUNDED and self.outstanding:
            self.outstanding -= 1
        filled = self.last
        filled.value, filled.at_s = value, self.now_s()
        filled.next = self.last = Node(0.0)
        self.size += 1
        self.trim()
        for reader in self.readers:
            reader.drain()
        return True

    def trim(self) -> None:
        """Let go of what newcomers shall not see."""
        oldest_s = self.now_s() - self.ttl_s if self.ttl_s is not None else None
        while self.size and self.first.next is not None:
            stale = oldest_s is not None and self.first.at_s <= oldest_s
            if self.size <= self.limit and not stale:
                return
            self.first = self.first.next
            self.size -= 1

    def finish(self, error: Exception | None = None) -> None:
        """The end; late readers see the history and then this."""
        if not self.ended:
            self.ended, self.error = True, error
            for reader in self.readers:
                reader.drain()


def prefetched(hub: Lockstep, subscription: Subscription, prefetch: int) -> Callable[[int], None]:
    """Asks the source again when 75 % of the prefetch were delivered."""
    low, credit = low_tide(prefetch), 0

    def taken(count: int) -> None:
        nonlocal credit
        credit += count
        if credit >= low and not hub.ended:
            credit = 0
            subscription.request(low)

    return taken
