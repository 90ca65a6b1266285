"""Pumps: one task per asynchronous source, which pulls only what has been asked for."""

import asyncio
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Coroutine
from types import CoroutineType
from typing import Any

import anyio
import anyio.lowlevel

from labcore.reactive.core import Down, Feed, reject
from labcore.reactive.hop import placed
from labcore.reactive.spec import TURN, UNBOUNDED, add_demand


class Pump:
    """The subscription of an asynchronous iterable, and its task."""

    __slots__ = ("demand", "down", "idle", "live", "source", "task")

    def __init__(self, down: Down[Any], source: AsyncIterable[Any]) -> None:
        self.down = down
        self.source = source
        self.demand = 0
        self.live = True
        self.idle: asyncio.Future[None] | None = None
        self.task: anyio.CancelScope | None = None

    def request(self, n: int) -> None:
        """Demand from below; the first starts the task."""
        if not self.live:
            return
        self.demand = add_demand(self.demand, n)
        if self.task is None:
            self.task = self.down.scope.spawn(self.work)
        elif self.idle is not None and not self.idle.done():
            self.idle.set_result(None)

    def cancel(self) -> None:
        """End the task."""
        self.live = False
        task, self.task = self.task, None
        if task is not None:
            task.cancel()

    def end(self, error: Exception | None) -> None:
        """The source has ended, and is closed."""
        if self.live:
            self.live = False
            if error is None:
                self.down.complete()
            else:
                self.down.fail(error)
        elif error is not None:
            self.down.scope.drop_error(error)

    async def run(self) -> None:
        """Pull, a value at a time."""
        offer, turn = self.down.offer, TURN
        left, self.demand = self.demand, 0
        async for value in self.source:
            if not self.live:
                return
            if offer(value) and left < UNBOUNDED:
                left -= 1
            if not self.live:
                return  # type: ignore[unreachable]  # offer may have cancelled
            turn -= 1
            if not turn:
                turn = TURN
                await anyio.lowlevel.checkpoint()
            if not left:
                if not self.demand:
                    self.idle = self.down.scope.future()
                    await self.idle
                    self.idle = None
                left, self.demand = self.demand, 0

    async def work(self) -> None:
        """The task: pull, close, and only then tell."""
        try:
            await self.run()
        except Exception as error:  # noqa: BLE001 - the source's error is the signal
            await closed(self.source)
            self.end(error)
        except BaseException:
            await closed(self.source)
            raise
        else:
            await closed(self.source)
            self.end(None)


def pumping(open_source: Callable[[], AsyncIterable[Any]]) -> Feed:
    """The feed of an asynchronous iterable: `__anext__` is called only while there is demand.

    Cancelling ends the task; a generator is closed before the scope is left.
    """

    def feed(down: "Down[Any]") -> None:
        try:
            source = open_source()
        except Exception as error:  # noqa: BLE001 - a user's factory: its error is the signal
            reject(down, error)
            return
        down.start(Pump(down, source))

    return feed


async def closed(source: object) -> None:
    """Close a generator, shielded: its `finally` runs before anybody goes on."""
    close = getattr(source, "aclose", None)
    if close is not None:
        with anyio.CancelScope(shield=True):
            await close()


class Awaited:
    """The subscription of one awaitable result: a task, started by the first request."""

    __slots__ = ("began", "down", "live", "made", "task")

    def __init__(self, down: Down[Any], made: Awaitable[Any] | None) -> None:
        self.down = down
        self.made = made
        self.began = False
        self.live = True
        self.task: anyio.CancelScope | None = None

    def request(self, _: int) -> None:
        """Start the task, once; asking again while it gives its value starts nothing."""
        if self.live and not self.began and self.task is None:
            self.task = self.down.scope.spawn(self.work)

    def cancel(self) -> None:
        """End the task; a coroutine that nobody has begun to await is closed."""
        self.live = False
        task, self.task = self.task, None
        if task is not None:
            task.cancel()
        if not self.began and isinstance(self.made, Coroutine):
            self.made.close()

    def awaitable(self) -> Awaitable[Any]:
        """What is awaited."""
        assert self.made is not None
        return self.made

    async def work(self) -> None:
        """The task."""
        self.began = True
        try:
            value = await self.awaitable()
        except Exception as error:  # noqa: BLE001 - the call's error is the signal
            self.task = None  # nothing is left in it to cancel
            self.fail(error)
            return
        self.task = None
        self.give(value)

    def give(self, value: Any) -> None:
        """The value and the end, unless nobody wants them."""
        if self.live:
            self.down.offer(value)
        if self.live:
            self.live = False
            self.down.complete()

    def fail(self, error: Exception) -> None:
        """The end by failure."""
        if self.live:
            self.live = False
            self.down.fail(error)
        else:
            self.down.scope.drop_error(error)


class Calling(Awaited):
    """As `Awaited`, for a coroutine function: it is called in the task."""

    __slots__ = ("call",)

    def __init__(self, down: Down[Any], call: Callable[[], Awaitable[Any]]) -> None:
        super().__init__(down, None)
        self.call = call

    def awaitable(self) -> Awaitable[Any]:
        """The call's coroutine."""
        return self.call()


class Called(Awaited):
    """As `Awaited`, for any function: it is called on the first request."""

    __slots__ = ("asked", "call")

    def __init__(self, down: Down[Any], call: Callable[[], object]) -> None:
        super().__init__(down, None)
        self.call = call
        self.asked = False

    def request(self, n: int) -> None:
        """Call, once; an awaitable result becomes a task."""
        if self.asked or not self.live:
            return
        self.asked = True
        try:
            value = self.call()
        except Exception as error:  # noqa: BLE001 - the call's error is the signal
            if self.live:
                self.fail(error)
            return
        if type(value) is CoroutineType or inspect.isawaitable(value):
            self.made = value
            super().request(n)
        else:
            self.give(value)


def awaiting_one(awaitable: Awaitable[Any]) -> Feed:
    """The feed of one awaitable that is there already; left alone, a coroutine is closed."""

    def feed(down: "Down[Any]") -> None:
        down.start(Awaited(down, awaitable))

    return feed


def awaiting(call: Callable[[], Awaitable[Any]]) -> Feed:
    """The feed of a coroutine function."""

    def feed(down: "Down[Any]") -> None:
        down.start(Calling(down, call))

    return feed


def called(call: Callable[[], object]) -> Feed:
    """What a function returns, called on the first request; an awaitable result is awaited."""

    def feed(down: "Down[Any]") -> None:
        down.start(Called(down, placed(call, down)))

    return feed
