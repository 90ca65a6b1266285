"""The time limiter: an end to waiting, and what it can and cannot end.

A task and a virtual thread are cancelled where they wait, and the limiter waits for their clean-up. An OS
thread cannot be interrupted: the caller goes on with `TimeLimitExceededError` and *the work goes on, too*,
on a thread of the world's forks; set socket timeouts, so that it ends. A computation ends for nobody.
Whatever was cancelled may have been done on the other side.

Source: Resilience4j, TimeLimiter.
"""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError, Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import anyio

from labcore.reactive import Mono
from labcore.resilience.errors import TimeLimitExceededError
from labcore.resilience.events import Event, EventKind, Listener, Listeners
from labcore.resilience.passage import check_positive
from labcore.resilience.stream import Operator, per_subscription
from labcore.resilience.waiting import Blocking
from labcore.virtual import VirtualFuture

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TimeLimiterConfig:
    """Resilience4j's names and defaults: 1 s, and what runs is cancelled.

    Without `cancel_running_future` a thread's call is left running, virtual threads included; tasks and
    streams are always cancelled, for nobody would own them.

    Raises: UsageError for a value out of range.
    """

    timeout_duration_s: float = 1.0
    cancel_running_future: bool = True

    def __post_init__(self) -> None:
        check_positive("timeout_duration_s", self.timeout_duration_s)


@dataclass(frozen=True, slots=True)
class TimeLimiterMetrics:
    """How many calls were too late."""

    timeouts: int


class TimeLimiter:
    """Gives up after so long. Resilience4j: TimeLimiter. Thread-safe."""

    def __init__(
        self, config: TimeLimiterConfig | None = None, *, name: str = "time limiter"
    ) -> None:
        self.config = config or TimeLimiterConfig()
        self.name = name
        self._listeners = Listeners()
        self._lock = threading.Lock()
        self._timeouts = 0

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Tell that listener of every call that is too late; what is returned ends it."""
        return self._listeners.add(listener)

    async def call_async(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Await `fn()`, at most so long; then it is cancelled and its clean-up awaited.

        Raises: TimeLimitExceededError, when it was too late; a TimeoutError of its own passes through.
        """
        with anyio.move_on_after(self.config.timeout_duration_s):
            return await fn()
        raise self._late(asyncio.get_running_loop().time())

    def call(self, fn: Callable[[], T], world: Blocking) -> T:
        """Run `fn()` on a thread of the world's forks and wait for it, at most so long.

        Raises: TimeLimitExceededError, when it was too late; a TimeoutError of its own passes through.
        """
        forks = world.forks.for_forks()
        try:
            future = forks.submit(fn)
            try:
                self._await(future)
            except TimeoutError:
                if self.config.cancel_running_future:
                    _cancel(future)
                raise self._late(world.now_s()) from None
            except BaseException:
                _cancel(future)
                raise
        finally:
            if forks is not world.forks:
                forks.shutdown(wait=False)
        return future.result()

    def operator(self) -> Operator:
        """A function from stream to stream: between two signals there may be so long, no more."""
        return per_subscription(self._subscribed)

    def metrics(self) -> TimeLimiterMetrics:
        """How many calls were too late."""
        return TimeLimiterMetrics(self._timeouts)

    def gauges(self) -> Mapping[str, float]:
        """For a sampler."""
        return {"time_limit_exceeded_total": self._timeouts}

    def _subscribed(self, source: Any) -> Any:
        now_s = asyncio.get_running_loop().time
        late = Mono.error(lambda: self._late(now_s()))
        return source.timeout(self.config.timeout_duration_s, fallback=late)

    def _await(self, future: "Future[T]") -> None:
        """Until it is done. Raises: TimeoutError, only when it is not."""
        try:
            future.exception(self.config.timeout_duration_s)
        except TimeoutError:
            if not future.done():
                raise

    def _late(self, now_s: float) -> TimeLimitExceededError:
        limit_s = self.config.timeout_duration_s
        with self._lock:
            self._timeouts += 1
        self._listeners.tell(Event(EventKind.TIME_LIMIT, self.name, now_s, duration_s=limit_s))
        return TimeLimitExceededError(
            f"time limiter {self.name!r}: no result within {limit_s:g} s; "
            "the other side may have done the work"
        )


def _cancel(future: "Future[Any]") -> None:
    """End it where that is possible; a virtual thread is waited for, so that none is orphaned."""
    if not isinstance(future, VirtualFuture):
        future.cancel()
        return
    future.interrupt()
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            with suppress(CancelledError):
                future.exception()
        except asyncio.CancelledError as exc:
            cancelled = exc
    if cancelled is not None:
        raise cancelled
