"""Relay: one subscriber, several sources in turn; demand that was not met moves on to the next."""

from collections.abc import Callable
from typing import Any

from labcore.reactive.core import Down, Source
from labcore.reactive.spec import UNBOUNDED, Subscription, add_demand


class Relay:
    """The subscription of an operator that changes its source: concat, retry, fallbacks.

    Switching from inside a source's end is trampolined: a thousand sources that end at once do not
    recurse.
    """

    __slots__ = ("_next", "_running", "demand", "down", "ended", "live", "up")

    def __init__(self, down: Down[Any]) -> None:
        self.down = down
        self.demand = 0
        self.live = True
        self.up: Subscription | None = None
        self._next: Callable[[], None] | None = None
        self._running = False
        self.ended: Callable[[], None] | None = None  # also to be stopped on cancel

    def begin(
        self,
        source: Source[Any],
        *,
        offer: Callable[[Any], bool] | None = None,
        fail: Callable[[Exception], None] | None = None,
        complete: Callable[[], None] | None = None,
    ) -> None:
        """Hand the subscription down, then run the first source."""
        self.down.start(self)
        self.switch(source, offer=offer, fail=fail, complete=complete)

    def switch(
        self,
        source: Source[Any],
        *,
        offer: Callable[[Any], bool] | None = None,
        fail: Callable[[Exception], None] | None = None,
        complete: Callable[[], None] | None = None,
    ) -> None:
        """Run the next source; the one before has ended or was cancelled."""
        self.up = None

        def run() -> None:
            source.feed(
                self.down.above(
                    start=self.start,
                    offer=offer or self.offer,
                    fail=fail or self.fail,
                    complete=complete or self.complete,
                )
            )

        self._next = run
        if self._running:
            return
        self._running = True
        while self._next is not None and self.live:
            run_now, self._next = self._next, None
            run_now()
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
            if self.up is not None:
                self.up.request(n)

    def cancel(self) -> None:
        """Stop the source that runs."""
        if self.live:
            self.live = False
            self._next = None
            if self.ended is not None:
                self.ended()
            if self.up is not None:
                self.up.cancel()

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
            self.down.fail(error)

    def complete(self) -> None:
        """The end by success."""
        if self.live:
            self.live = False
            self.down.complete()
