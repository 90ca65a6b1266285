"""Companions: streams that decide when a source is subscribed to again.

A companion is made once per subscriber from the stream of what happened (failures, or the counts of
completed runs). Each of its values starts the source again; its end ends the stream.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import IDLE, Down, Feed, Source, reject
from labcore.reactive.errors import blame
from labcore.reactive.hop import placed
from labcore.reactive.operators.create import as_source
from labcore.reactive.operators.relay import Relay
from labcore.reactive.operators.unicast import Unicast
from labcore.reactive.retry import RetrySignal
from labcore.reactive.spec import Publisher, Subscription

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux

RetryCompanion = Callable[["Flux[RetrySignal]"], Publisher[Any]]
RepeatCompanion = Callable[["Flux[int]"], Publisher[Any]]


class Accompanied(Relay):
    """Subscribes to its source anew at each value of a companion, which is asked for one at a time."""

    __slots__ = ("companion", "signals", "source", "waiting")

    def __init__(self, down: Down[Any], source: Source[Any], signals: Unicast) -> None:
        super().__init__(down)
        self.source = source
        self.signals: Unicast | None = signals
        self.companion: Subscription = IDLE
        self.waiting = False

    def run(self, companion: Source[Any]) -> None:
        """The companion first: it may end the stream before the source has begun."""
        self.down.start(self)
        scope, context = self.scope, self.context
        companion.feed(Down(self.accompany, self.go, self.give_up, self.stop, scope, context))
        if self.live:
            self.switch(self.source)

    def accompany(self, subscription: Subscription) -> None:
        """The companion's subscription."""
        if self.live:
            self.companion = subscription
        else:
            subscription.cancel()

    def consult(self, signal: object) -> None:
        """Tell the companion what happened, and ask it for one value."""
        self.up = IDLE
        self.waiting = True
        if self.signals is not None:
            self.signals.push(signal)
        self.companion.request(1)

    def go(self, _: Any) -> bool:
        """A value: once more.

        Through the loop: a source that always ends at once must not stop everybody else.
        """
        if self.live and self.waiting:
            self.waiting = False
            self.scope.soon(self.again)
        return True

    def again(self) -> None:
        """Once more, unless it was cancelled or given up meanwhile."""
        if self.live:
            self.switch(self.source)

    def give_up(self, error: Exception) -> None:
        """The companion failed."""
        if not self.live:
            self.scope.drop_error(error)
            return
        self.stop_source()
        super().fail(error)

    def stop(self) -> None:
        """The companion has ended."""
        if self.live:
            self.stop_source()
            super().complete()

    def stop_source(self) -> None:
        """Neither companion nor source is heard any more."""
        self.companion, self.signals = IDLE, None
        up, self.up = self.up, IDLE
        up.cancel()

    def leave(self) -> None:
        """The companion is not needed any more."""
        companion, self.companion, self.signals = self.companion, IDLE, None
        companion.cancel()

    def ended(self) -> None:
        """Cancelled."""
        self.leave()


class RetryingWith(Accompanied):
    """Consults its companion after each failure."""

    __slots__ = ("in_row", "total")

    def __init__(self, down: Down[Any], source: Source[Any], signals: Unicast) -> None:
        super().__init__(down, source, signals)
        self.total = self.in_row = 0

    def offer(self, value: Any) -> bool:
        """A value ends the row of failures."""
        self.in_row = 0
        return super().offer(value)

    def fail(self, error: Exception) -> None:
        """The source failed."""
        if not self.live:
            self.scope.drop_error(error)
            return
        signal = RetrySignal(self.total, self.in_row, error)
        self.total += 1
        self.in_row += 1
        self.consult(signal)

    def complete(self) -> None:
        """The source has ended well."""
        if self.live:
            self.leave()
            super().complete()


class RepeatingWith(Accompanied):
    """Consults its companion after each completion."""

    __slots__ = ("seen",)

    def __init__(self, down: Down[Any], source: Source[Any], signals: Unicast) -> None:
        super().__init__(down, source, signals)
        self.seen = 0

    def offer(self, value: Any) -> bool:
        """Count the values of this run."""
        self.seen += 1
        return super().offer(value)

    def complete(self) -> None:
        """The source has ended well."""
        if self.live:
            seen, self.seen = self.seen, 0
            self.consult(seen)

    def fail(self, error: Exception) -> None:
        """The source failed."""
        if not self.live:
            self.scope.drop_error(error)
            return
        self.leave()
        super().fail(error)


def accompanied(
    source: Source[Any],
    make: Callable[["Flux[Any]"], Publisher[Any]],
    kind: type[Accompanied],
) -> Feed:
    """The feed of retry_when and repeat_when with a companion."""
    name = "retry_when" if kind is RetryingWith else "repeat_when"

    def feed(down: Down[Any]) -> None:
        signals = Unicast()
        try:
            companion = as_source(placed(make, down)(lib.Flux(signals.feed)))
        except Exception as fault:  # noqa: BLE001 - the function's own error is the signal
            reject(down, blame(fault, name, make))
            return
        kind(down, source, signals).run(companion)

    return feed
