"""Relay: one subscriber, several sources in turn; demand that was not met moves on to the next."""

from typing import Any

from labcore.reactive.core import IDLE, Down, Source, Step
from labcore.reactive.spec import UNBOUNDED, Subscription, add_demand


class Relay(Step[Any]):
    """The subscription of an operator that changes its source: concat, retry, fallbacks.

    An operator overrides the signals at which it changes over, and `ended` for what else a cancel
    has to stop. Switching from inside a source's end is trampolined: a thousand sources that end at
    once do not recurse.
    """

    __slots__ = ("_next", "_running", "demand", "live")

    def __init__(self, down: Down[Any]) -> None:
        super().__init__(down)
        self.demand = 0
        self.live = True
        self._next: Source[Any] | None = None
        self._running = False

    def begin(self, source: Source[Any]) -> None:
        """Hand the subscription down, then run the first source."""
        self.down.start(self)
        self.switch(source)

    def switch(self, source: Source[Any]) -> None:
        """Run the next source; the one before has ended or was cancelled."""
        self.up = IDLE
        self._next = source
        if self._running:
            return
        self._running = True
        while self._next is not None and self.live:
            source, self._next = self._next, None
            source.feed(self)
        self._running = False

    def start(self, subscription: Subscription) -> None:
        """The new source's subscription."""
        if not self.live:
            subscription.cancel()
            return
        self.up = subscription
        if self.demand:
            subscription.request(self.demand)

    def request(self, n: int) -> None:
        """Demand from below."""
        if self.live:
            self.demand = add_demand(self.demand, n)
            self.up.request(n)

    def cancel(self) -> None:
        """Stop the source that runs."""
        if self.live:
            self.live = False
            self._next = None
            self.ended()
            up, self.up = self.up, IDLE
            up.cancel()

    def ended(self) -> None:
        """The subscriber has cancelled."""

    def offer(self, value: Any) -> bool:
        """Pass a value on and count it."""
        used = self.down.offer(value)
        if used and self.demand < UNBOUNDED:
            self.demand -= 1
        return used

    def fail(self, error: Exception) -> None:
        """The end by failure."""
        if self.live:
            self.live = False
            self.up = IDLE
            self.down.fail(error)

    def complete(self) -> None:
        """The end by success."""
        if self.live:
            self.live = False
            self.up = IDLE
            self.down.complete()
