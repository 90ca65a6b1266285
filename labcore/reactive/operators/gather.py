"""Gathering several sources: the machinery of zip, combine_latest and first_with_signal."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from labcore.reactive.core import IDLE, MISSING, Down, Feed, Source
from labcore.reactive.hop import placed
from labcore.reactive.operators.flatten import FlatMap, Inner
from labcore.reactive.spec import TURN, UNBOUNDED, Subscription, add_demand, low_tide


class Lane(Down[Any]):
    """One source of a `Zip`, with its queue."""

    __slots__ = ("done", "hub", "queue", "up")

    def __init__(self, hub: "Zip") -> None:  # the calls of `Down` are methods here
        self.hub = hub
        self.scope = hub.scope
        self.context = hub.context
        self.queue: deque[Any] = deque()
        self.done = False
        self.up: Subscription = IDLE

    def start(self, subscription: Subscription) -> None:
        """The source's subscription; it is asked when all are there."""
        self.up = subscription

    def offer(self, value: Any) -> bool:
        """Queue; a full row is delivered."""
        hub = self.hub
        self.queue.append(value)
        if all(hub.queues) and hub.demand and not hub.busy:
            hub.drain()
        return True

    def fail(self, error: Exception) -> None:
        """An error beats the rows that wait."""
        self.up = IDLE
        self.hub.fail(error)

    def cancel(self) -> None:
        """Nobody wants it; what is queued is discarded."""
        up, self.up = self.up, IDLE
        up.cancel()
        for value in self.queue:
            self.scope.discard(value)
        self.queue.clear()

    def complete(self) -> None:
        """Over; the rows end when the queue is empty."""
        self.up = IDLE
        self.done = self.hub.ending = True
        self.hub.check()


class Zip:
    """Rows of one value from each source; ends with the first source that runs out."""

    __slots__ = (
        *("busy", "combine", "context", "credit", "demand", "down", "ending", "lanes", "live"),
        *("low", "prefetch", "queues", "scope"),
    )

    def __init__(
        self,
        down: Down[Any],
        width: int,
        combine: Callable[..., Any] | None,
        prefetch: int,
    ) -> None:
        self.down = down
        self.scope = down.scope
        self.context = down.context
        self.combine = combine and placed(combine, down)
        self.prefetch = prefetch
        self.low = low_tide(prefetch)
        self.credit = 0
        self.lanes = [Lane(self) for _ in range(width)]
        self.queues = [lane.queue for lane in self.lanes]
        self.demand = 0
        self.live = True
        self.busy = self.ending = False

    def run(self, sources: Sequence[Source[Any]]) -> None:
        """Subscribe to all, then ask all."""
        self.down.start(self)
        lanes = self.lanes
        for lane, source in zip(lanes, sources, strict=False):  # none, when cancelled already
            if not self.live:
                return
            source.feed(lane)
        for lane in lanes:
            if self.live and not lane.done:
                lane.up.request(self.prefetch)

    def request(self, n: int) -> None:
        """Demand from below."""
        if self.live:
            self.demand = add_demand(self.demand, n)
            if not self.busy:
                self.drain()

    def cancel(self) -> None:
        """Cancel every source, discard what is queued."""
        if self.live:
            self.live = False
            lanes, self.lanes = self.lanes, []
            for lane in lanes:
                lane.cancel()

    def fail(self, error: Exception) -> None:
        """An error beats the rows that wait."""
        if not self.live:
            self.down.scope.drop_error(error)
            return
        self.cancel()
        self.down.fail(error)

    def drain(self) -> None:
        """Deliver the rows that are full."""
        self.busy = True
        combine = self.combine
        sent = 0
        queues, offer = self.queues, self.down.offer
        while self.live and self.demand and all(queues):
            row = tuple([queue.popleft() for queue in queues])
            try:
                made = row if combine is None else combine(*row)
            except Exception as error:  # noqa: BLE001 - the combiner's error is the signal
                self.fail(error)
                return
            if offer(made) and self.demand < UNBOUNDED:
                self.demand -= 1
            self.credit += 1
            if self.credit >= self.low:
                self.replenish()
            sent += 1
            if sent == TURN:  # endless sources refill the lanes at once: the loop needs its turn
                self.down.scope.soon(self.drain)
                return
        self.busy = False
        if self.ending:
            self.check()

    def replenish(self) -> None:
        """Ask again for 75 % when so many rows were taken."""
        self.credit = 0
        for lane in self.lanes:
            if not lane.done and self.live:
                lane.up.request(self.low)

    def check(self) -> None:
        """Complete when a source is done and has nothing queued."""
        if self.busy or not self.live:
            return
        if any(lane.done and not lane.queue for lane in self.lanes):
            self.cancel()
            self.down.complete()


def zipping(
    sources: Sequence[Source[Any]], combine: Callable[..., Any] | None, prefetch: int
) -> Feed:
    """The feed of zip."""

    def feed(down: "Down[Any]") -> None:
        Zip(down, len(sources), combine, prefetch).run(sources)

    return feed


class Latest(Inner):
    """One source of combine_latest: its newest value makes a row with those of the others."""

    __slots__ = ("latest", "position", "seen")

    def __init__(self, hub: FlatMap, prefetch: int, position: int, latest: list[Any]) -> None:
        super().__init__(hub, prefetch)
        self.position = position
        self.latest = latest
        self.seen = False

    def offer(self, value: Any) -> bool:
        """A row when every source has given a value; otherwise no demand is used up."""
        self.latest[self.position] = value
        self.seen = True
        if MISSING in self.latest:
            return False
        return super().offer(tuple(self.latest))

    def complete(self) -> None:
        """Over; without any value there can be no row at all."""
        if not self.seen and self.hub.live:
            self.up = IDLE
            self.hub.stop()
            self.hub.down.complete()
        else:
            super().complete()


def latest_of(sources: Sequence[Source[Any]], prefetch: int) -> Feed:
    """The feed of combine_latest."""

    def feed(down: "Down[Any]") -> None:
        hub = FlatMap(down, as_is, len(sources), prefetch)
        latest: list[Any] = [MISSING] * len(sources)
        inners = [Latest(hub, prefetch, position, latest) for position in range(len(sources))]
        hub.active.update(inners)
        down.start(hub)
        for inner, source in zip(inners, sources, strict=True):
            if hub.live:
                source.feed(inner)
        hub.complete()

    return feed


def as_is(value: Any) -> Any:
    """The value itself."""
    return value


class Race:
    """The first source that signals wins; the others are cancelled."""

    __slots__ = ("demand", "down", "live", "ups", "winner")

    def __init__(self, down: Down[Any], count: int) -> None:
        self.down = down
        self.demand = 0
        self.live = True
        self.winner = -1
        self.ups: list[Subscription] = [IDLE] * count

    def run(self, sources: Sequence[Source[Any]]) -> None:
        """Subscribe to all until one has won."""
        self.down.start(self)
        for position, source in enumerate(sources):
            if self.live and self.winner < 0:
                source.feed(Runner(self, position))

    def win(self, position: int) -> None:
        """Cancel the others, once."""
        if self.winner < 0:
            self.winner = position
            for other, up in enumerate(self.ups):
                if other != position:
                    self.ups[other] = IDLE
                    up.cancel()

    def request(self, n: int) -> None:
        """Demand from below: for all before there is a winner."""
        if not self.live:
            return
        if self.winner >= 0:
            self.ups[self.winner].request(n)
            return
        self.demand = add_demand(self.demand, n)
        for position, up in enumerate(list(self.ups)):
            if self.winner in {-1, position}:
                up.request(n)

    def cancel(self) -> None:
        """Cancel whoever still runs."""
        if self.live:
            self.live = False
            ups, self.ups = self.ups, [IDLE] * len(self.ups)
            for up in ups:
                up.cancel()


class Runner(Down[Any]):
    """The subscriber of one source of a `Race`."""

    __slots__ = ("position", "race")

    def __init__(self, race: Race, position: int) -> None:  # the calls of `Down` are methods here
        self.race = race
        self.position = position
        self.scope = race.down.scope
        self.context = race.down.context

    def start(self, subscription: Subscription) -> None:
        """The source's subscription; it is asked for what was asked of the race."""
        self.race.ups[self.position] = subscription
        if self.race.demand:
            subscription.request(self.race.demand)

    def offer(self, value: Any) -> bool:
        """Who is first has won."""
        self.race.win(self.position)
        return self.race.down.offer(value)

    def fail(self, error: Exception) -> None:
        """A failure wins, too."""
        self.race.win(self.position)
        self.race.ups[self.position] = IDLE
        self.race.down.fail(error)

    def complete(self) -> None:
        """As does an end."""
        self.race.win(self.position)
        self.race.ups[self.position] = IDLE
        self.race.down.complete()


def racing(sources: Sequence[Source[Any]]) -> Feed:
    """The feed of first_with_signal."""

    def feed(down: "Down[Any]") -> None:
        Race(down, len(sources)).run(sources)

    return feed
