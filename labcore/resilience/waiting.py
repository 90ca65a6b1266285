"""How each kind of code waits for a policy: a task on its loop, a thread in its world."""

import asyncio
import math
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, Protocol

import anyio

from labcore.resilience.passage import Wake
from labcore.virtual import BlockingExecutor


class Blocking(Protocol):
    """What a policy needs of the world of a blocking call; `labcore.virtual.World` is one.

    Its `forks` make the latches a bulkhead's queue waits on, and run what a time limiter limits.
    """

    @property
    def sleep(self) -> Callable[[float], object]:
        """Wait for so many seconds."""
        ...

    @property
    def forks(self) -> BlockingExecutor:
        """Where work runs that the caller waits for."""
        ...

    def now_s(self) -> float:
        """Monotonic seconds."""
        ...


class TaskSignal:
    """A wait of a task: for time, or for a wake-up from any thread."""

    __slots__ = ("_future", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] | None = None

    def arm(self) -> Wake:
        """From now on it can be woken, by what is returned."""
        self._future = future = self._loop.create_future()

        def wake() -> None:
            self._loop.call_soon_threadsafe(_settle, future)

        return wake

    async def wait(self, seconds: float) -> None:
        """Until woken, or for so long."""
        if self._future is None:
            await anyio.sleep(seconds)
        else:
            await asyncio.wait([self._future], timeout=None if seconds == math.inf else seconds)


class ThreadSignal:
    """A wait of a thread, platform or virtual: for time, or for a wake-up from any thread."""

    __slots__ = ("_latch", "_world")

    def __init__(self, world: Blocking) -> None:
        self._world = world
        self._latch: Future[Any] | None = None

    def arm(self) -> Wake:
        """From now on it can be woken, by what is returned. Raises: UsageError on an event loop."""
        self._latch = latch = self._world.forks.latch()
        return partial(latch.set_result, None)

    def wait(self, seconds: float) -> None:
        """Until woken, or for so long."""
        if self._latch is None:
            self._world.sleep(seconds)
            return
        try:
            self._latch.result(None if seconds == math.inf else seconds)
        except TimeoutError:
            return


def _settle(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
