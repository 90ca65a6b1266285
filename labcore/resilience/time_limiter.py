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

from labcore.resilience.errors import TimeLimitExceededError
from labcore.resilience.events import Event, EventKind, Listener, Listeners
from labcore.resilience.passage import check_positive
from labcore.resilience.stream import Guarding, Operator, guarded
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
        raise self.late(asyncio.get_running_loop().time())

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
                raise self.late(world.now_s()) from None
            except BaseException:
                _cancel(future)
                raise
        finally:
            if forks is not world.forks:
                forks.shutdown(wait=False)
        return future.result()

    def operator(self) -> Operator:
        """A function from stream to stream: between two signals there may be so long, no more."""
        return guarded((self,))

    def begin(self, run: Guarding, now_s: float) -> "Silence":
        """For the operator: the clock of an attempt starts."""
        return Silence(self, run, now_s)

    def succeeded(self, held: "Silence", now_s: float, value: object) -> None:  # noqa: ARG002 - in time is in time
        """It was in time."""
        held.over()

    def failed(self, held: "Silence", now_s: float, error: Exception) -> None:  # noqa: ARG002 - in time is in time
        """It failed in time."""
        held.over()

    def cancelled(self, held: "Silence", now_s: float) -> None:  # noqa: ARG002 - nobody waits any more
        """Nobody waits for it any more."""
        held.over()

    def metrics(self) -> TimeLimiterMetrics:
        """How many calls were too late."""
        return TimeLimiterMetrics(self._timeouts)

    def gauges(self) -> Mapping[str, float]:
        """For a sampler."""
        return {"time_limit_exceeded_total": self._timeouts}

    def _await(self, future: "Future[T]") -> None:
        """Until it is done. Raises: TimeoutError, only when it is not."""
        try:
            future.exception(self.config.timeout_duration_s)
        except TimeoutError:
            if not future.done():
                raise

    def late(self, now_s: float) -> TimeLimitExceededError:
        """Count and tell of a call that is too late; its error."""
        limit_s = self.config.timeout_duration_s
        with self._lock:
            self._timeouts += 1
        self._listeners.tell(Event(EventKind.TIME_LIMIT, self.name, now_s, duration_s=limit_s))
        return TimeLimitExceededError(
            f"time limiter {self.name!r}: no result within {limit_s:g} s; "
            "the other side may have done the work"
        )


class Silence:
    """The time between two signals of one attempt: a value only notes it, the timer re-arms itself."""

    __slots__ = ("_due_s", "_limiter", "_run", "_timer")

    def __init__(self, limiter: TimeLimiter, run: Guarding, now_s: float) -> None:
        limit_s = limiter.config.timeout_duration_s
        self._limiter = limiter
        self._run: Guarding | None = run
        self._due_s = now_s + limit_s
        self._timer = run.scope.later(limit_s, self._look)
        run.limit = self

    def note(self, now_s: float) -> None:
        """A value has been delivered."""
        self._due_s = now_s + self._limiter.config.timeout_duration_s

    def over(self) -> None:
        """No more looking."""
        run, self._run = self._run, None
        if run is not None:
            run.limit = None
            self._timer.cancel()

    def _look(self) -> None:
        """The timer rang: too late, or not yet."""
        run = self._run
        assert run is not None
        left_s = self._due_s - run.scope.now_s()
        if left_s > 0:
            self._timer = run.scope.later(left_s, self._look)
            return
        self.over()
        run.late(self, self._limiter.late)


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
