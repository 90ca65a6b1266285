"""Calls: flat_map of a coroutine function over an iterator, the commonest case and the leanest.

Workers take their next value from the iterator themselves, so that between two calls nothing is
requested, offered or queued. A worker whose result nobody has asked for leaves it and goes home; its
place is taken again when the result has been delivered, so run-ahead stays within the places.
"""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from inspect import iscoroutinefunction
from operator import length_hint
from typing import Any

import anyio
import anyio.lowlevel

from labcore.reactive.core import Down, Feed, Fusion, Source, reject
from labcore.reactive.errors import blame
from labcore.reactive.hop import place_of
from labcore.reactive.operators.lenient import lenience
from labcore.reactive.spec import TURN, UNBOUNDED, add_demand

Call = Callable[[Any], Awaitable[Any]]


class Calls:
    """The subscription: at most `concurrency` calls run or wait with their result."""

    __slots__ = (
        *("busy", "call", "concurrency", "demand", "down", "exhausted", "live", "queue"),
        *("running", "tasks", "values"),
    )

    def __init__(self, down: Down[Any], values: Iterator[Any], call: Call, places: int) -> None:
        self.down = down
        self.values = values
        self.call = call
        self.concurrency = places
        self.queue: deque[Any] = deque()
        self.tasks: set[anyio.CancelScope] = set()
        self.demand = self.running = 0
        self.live = True
        self.busy = self.exhausted = False

    def start(self) -> None:
        """Hand the subscription down, then fill the places."""
        self.down.start(self)
        self.employ(min(self.concurrency, length_hint(self.values, self.concurrency)))
        self.settle()

    @property
    def stopped(self) -> bool:
        """Whether it was cancelled or failed meanwhile."""
        return not self.live

    def employ(self, count: int) -> None:
        """So many workers more."""
        for _ in range(count if self.live and not self.exhausted else 0):
            self.running += 1
            self.tasks.add(self.down.scope.spawn(self.work))

    async def work(self) -> None:
        """One worker: a call after the other, as long as results find takers."""
        call, offer, turn = self.call, self.down.offer, TURN
        try:
            for value in self.values:
                result = await call(value)
                if not self.live:
                    break
                if not self.demand or self.busy or self.queue:
                    self.queue.append(result)
                    if self.demand and not self.busy:
                        self.down.scope.soon(self.drain)
                    break
                self.busy = True
                if offer(result) and self.demand < UNBOUNDED:
                    self.demand -= 1
                self.busy = False
                turn -= 1
                if not turn:  # calls that never wait must not keep the loop to themselves
                    turn = TURN
                    await anyio.lowlevel.checkpoint()
                if self.stopped:
                    break
            else:
                self.exhausted = True
        except Exception as error:  # noqa: BLE001 - the call's error is the signal
            self.fail(blame(error, "flat_map", self.call))
        finally:
            self.running -= 1
        self.settle()

    def request(self, n: int) -> None:
        """Demand from below."""
        if self.live:
            self.demand = add_demand(self.demand, n)
            if self.queue and not self.busy:
                self.drain()

    def drain(self) -> None:
        """Deliver the results that wait; each frees a place."""
        if self.busy:
            return
        self.busy = True
        while self.queue and self.demand and self.live:
            if self.down.offer(self.queue.popleft()) and self.demand < UNBOUNDED:
                self.demand -= 1
            self.employ(1)
        self.busy = False
        self.settle()

    def settle(self) -> None:
        """Complete when nothing runs and nothing waits."""
        over = self.exhausted or not length_hint(self.values, 1)
        if self.live and over and not self.running and not self.queue and not self.busy:
            self.live = False
            self.down.complete()

    def fail(self, error: Exception) -> None:
        """The first error ends everything."""
        if not self.live:
            self.down.scope.drop_error(error)
            return
        self.cancel()
        self.down.fail(error)

    def cancel(self) -> None:
        """Cancel the calls, discard their results."""
        if not self.live:
            return
        self.live = False
        for task in self.tasks:
            task.cancel()
        close = getattr(self.values, "close", None)
        if close is not None:
            self.down.scope.soon(close)
        for result in self.queue:
            self.down.scope.discard(result)
        self.queue.clear()


def calls_over(source: Source[Any], mapper: Callable[[Any], Any]) -> Fusion | None:
    """The iterator that workers may take from, when source and mapper allow it.

    Stages would run inside the workers' turn, a filter perhaps for long: those are pushed instead.
    """
    plain = source.fusion is not None and not source.fusion.stages
    return source.fusion if plain and iscoroutinefunction(mapper) else None


def calling(fusion: Fusion, call: Callable[[Any], Any], concurrency: int, *, pushed: Feed) -> Feed:
    """The feed of flat_map of a coroutine function over an iterator.

    `pushed` is the same by way of requests, for an iterator that is pulled on a thread and for calls
    that may fail without an end (on_error_continue).
    """

    def feed(down: Down[Any]) -> None:
        if lenience(down) is not None or place_of(down) is not None:
            pushed(down)
            return
        try:
            values = fusion.base()
        except Exception as error:  # noqa: BLE001 - a user's iterable: its error is the signal
            reject(down, error)
            return
        Calls(down, values, call, concurrency).start()

    return feed
