"""Iterators that may block, pulled on a scheduler's threads, one value at a time as asked for."""

from collections.abc import Callable, Iterator
from operator import length_hint
from typing import Any

import anyio

from labcore.reactive.core import EXACT, MISSING, Down, Feed, Fusion, reject
from labcore.reactive.hop import Hop, hopping, placed
from labcore.reactive.scope import Scheduler
from labcore.reactive.spec import UNBOUNDED, add_demand


class Pulled:
    """The subscription; it hops by itself when it is asked from elsewhere."""

    __slots__ = ("base", "busy", "demand", "down", "exact", "live", "pull", "scheduler")

    def __init__(
        self, down: Down[Any], base: Iterator[Any], values: Iterator[Any], scheduler: Scheduler
    ) -> None:
        self.down = down
        self.base: Iterator[Any] | None = base
        self.exact = isinstance(base, EXACT)
        self.scheduler = scheduler
        self.pull: Callable[[], Any] = placed(lambda: next(values, MISSING), down)
        self.demand = 0
        self.live = True
        self.busy = False

    def begin(self) -> None:
        """Hand the subscription down; an empty collection ends without being asked."""
        self.down.start(self)
        if not self.busy:
            self.settle()

    def settle(self) -> None:
        """Complete when the end is known."""
        if self.live and self.exact and self.base is not None and not length_hint(self.base):
            self.live, self.base = False, None
            self.down.complete()

    def request(self, n: int) -> None:
        """Demand from below."""
        if not self.live:
            return
        self.demand = add_demand(self.demand, n)
        if self.busy:
            return
        self.busy = True
        if hopping():
            self.drain()
        else:
            Hop(self.down.scope, self.scheduler, self.drain, self.close_if_over).begin()

    def cancel(self) -> None:
        """Stop; a value that is being pulled is waited for, and thrown away."""
        self.live = False
        if not self.busy:
            self.close_if_over()

    def drain(self) -> None:
        """In a hop: pull and deliver what was asked for."""
        try:
            while self.live and self.demand:
                self.step()
        finally:  # a hop nobody wants any more is left by an exception
            self.busy = False
            self.close_if_over()

    def step(self) -> None:
        """One value."""
        try:
            value = self.pull()
        except Exception as error:  # noqa: BLE001 - the iterator's error is the signal
            if self.live:
                self.live = False
                self.down.fail(error)
            return
        if not self.live:
            return
        if value is MISSING:
            self.live, self.base = False, None
            self.down.complete()
            return
        if self.down.offer(value) and self.demand < UNBOUNDED:
            self.demand -= 1
        self.settle()

    def close_if_over(self) -> None:
        """A generator's clean-up may block as well; leaving the scope waits for it."""
        if self.live:
            return
        base, self.base, self.pull = self.base, None, _nothing
        close = getattr(base, "close", None)
        if close is None:
            return
        scope, scheduler = self.down.scope, self.scheduler

        async def closing() -> None:
            with anyio.CancelScope(shield=True):
                try:
                    await scope.offload(scheduler, close)
                except Exception as error:  # noqa: BLE001 - the stream is over: nobody else is told
                    scope.drop_error(error)

        scope.spawn(closing)


def _nothing() -> Any:
    return MISSING


def pulling(fusion: Fusion, scheduler: Scheduler) -> Feed:
    """The feed of an iterator with its fused stages: one trip to a thread per value."""

    def feed(down: Down[Any]) -> None:
        try:
            base = placed(fusion.base, down)()
        except Exception as error:  # noqa: BLE001 - a user's iterable: its error is the signal
            reject(down, error)
            return
        Pulled(down, base, fusion.compose(base, down.scope), scheduler).begin()

    return feed
