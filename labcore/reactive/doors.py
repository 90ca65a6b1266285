"""The doors out of a stream: await it, iterate it, or block a thread that has no loop."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, TypeVar

import anyio

from labcore.kernel import UsageError
from labcore.reactive.context import EMPTY
from labcore.reactive.core import IDLE, MISSING, Down, Source
from labcore.reactive.errors import check_positive
from labcore.reactive.scope import Scope
from labcore.reactive.spec import UNBOUNDED, Subscription, low_tide

T = TypeVar("T")


class _Last(Down[Any]):
    """A subscriber that wants everything and keeps the last value."""

    __slots__ = ("done", "error", "up", "value", "waiter")

    def __init__(self, scope: Scope) -> None:  # the calls of `Down` are methods here
        self.scope = scope
        self.context = EMPTY
        self.value: Any = MISSING
        self.error: Exception | None = None
        self.done = False
        self.waiter: asyncio.Future[None] | None = None
        self.up: Subscription = IDLE

    def start(self, subscription: Subscription) -> None:
        self.up = subscription
        subscription.request(UNBOUNDED)

    def offer(self, value: Any) -> bool:
        self.value = value
        return True

    def fail(self, error: Exception) -> None:
        self.error = error
        self.complete()

    def complete(self) -> None:
        self.done = True
        self.up = IDLE
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    async def wait(self) -> None:
        if not self.done:
            self.waiter = self.scope.future()
            await self.waiter

    def cancel(self) -> None:
        up, self.up = self.up, IDLE
        up.cancel()


async def last_value(source: Source[T], *, default: Any = MISSING) -> Any:
    """The last value, or `default` when there is none; the stream has ended when this returns.

    Cancelling the caller cancels the stream and waits for its clean-ups.
    """
    scope = Scope()
    end = _Last(scope)
    source.feed(end)
    if not end.done or scope.has_pumps:
        async with scope:
            try:
                await end.wait()
            finally:
                end.cancel()
    if scope.crashed is not None:
        raise scope.crashed
    error, end.error = end.error, None  # its traceback may know `end`: a cycle, if `end` knew it
    if error is not None:
        try:
            raise error
        finally:
            del error, source  # for the traceback knows this frame
    return default if end.value is MISSING else end.value


def block(wait: Callable[[], Awaitable[T]], *, timeout_s: float | None) -> T:
    """Run a door on a loop of its own.

    Raises:
        UsageError: When this thread already runs a loop (a notebook, a handler): await instead.
        TimeoutError: When it takes longer than `timeout_s`.
    """
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise UsageError("block() would stop the event loop that runs here; use `await` instead")

    async def bounded() -> T:
        with anyio.fail_after(timeout_s):
            return await wait()

    return anyio.run(bounded)


@asynccontextmanager
async def streaming(source: Source[T], *, window: int) -> AsyncIterator[AsyncIterator[T]]:
    """`async with` a stream, `async for` its values; at most `window` of them wait."""
    check_positive("window", window)
    scope = Scope()
    reader = _Reader(window, scope)
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(scope)
        source.feed(reader)
        stack.callback(reader.cancel)
        values = reader.values()
        stack.push_async_callback(values.aclose)
        yield values


class _Reader(Down[Any]):
    """A window between a pushing stream and a pulling reader."""

    __slots__ = ("ended", "error", "low", "queue", "up", "waiter", "window")

    def __init__(self, window: int, scope: Scope) -> None:
        self.window = window
        self.low = low_tide(window)
        self.scope = scope
        self.context = EMPTY
        self.queue: deque[Any] = deque()
        self.error: Exception | None = None
        self.ended = False
        self.up: Subscription = IDLE
        self.waiter: asyncio.Future[None] | None = None

    def start(self, subscription: Subscription) -> None:
        self.up = subscription
        subscription.request(self.window)

    def offer(self, value: Any) -> bool:
        self.queue.append(value)
        if self.waiter is not None:
            self.wake()
        return True

    def wake(self) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_result(None)

    def fail(self, error: Exception) -> None:
        self.error = error
        self.complete()

    def complete(self) -> None:
        self.ended = True
        self.up = IDLE
        self.wake()

    def cancel(self) -> None:
        up, self.up = self.up, IDLE
        if not self.ended:
            self.ended = True
            up.cancel()
        for value in self.queue:
            self.scope.discard(value)
        self.queue.clear()

    async def values(self) -> "Any":
        """An async generator without a task group inside: the scope is around it (PEP 789)."""
        queue, taken, low = self.queue, 0, self.low
        while True:
            while queue:
                yield queue.popleft()
                taken += 1
                if taken >= low:
                    taken = 0
                    self.up.request(low)
            if self.ended:
                error, self.error = self.error, None
                if error is not None:
                    try:
                        raise error
                    finally:
                        del error  # as in `last_value`
                return
            self.waiter = self.scope.future()
            await self.waiter
            self.waiter = None
