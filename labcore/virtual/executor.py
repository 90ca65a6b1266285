"""Two executors with one face: platform threads from a bounded pool, and virtual threads.

Both are `concurrent.futures.Executor`s whose work inherits the caller's context variables, and both
have `call`, by which an event-loop server hands a blocking handler over and awaits its outcome.
"""

import asyncio
import atexit
import contextvars
import threading
import weakref
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError, Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple, Protocol, TypeVar

import anyio

from labcore.kernel import FOR_A_WORKER, TRACING, UsageError
from labcore.virtual.carrier import Carrier, running_loop
from labcore.virtual.future import VirtualFuture, refuse_on_an_event_loop
from labcore.virtual.thread import VirtualThread, carry, starter
from labcore.virtual.tracing import TracedFuture, awaited, queued

T = TypeVar("T")
# The bounded executors whose threads may be waiting for the code that runs, however indirectly.
_begun_by: contextvars.ContextVar[frozenset[Executor]] = contextvars.ContextVar(
    "begun_by", default=frozenset()
)
_AFTER_SHUTDOWN = "cannot schedule new futures after shutdown"  # the standard library's words


class BlockingExecutor(Protocol):
    """What a lane's server and a scope need of an executor."""

    async def call(self, fn: Callable[..., T], *args: Any) -> T:
        """Run blocking-style code and await its outcome."""
        ...

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Start blocking-style code; its future."""
        ...

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept nothing more."""
        ...

    def latch(self) -> "Future[Any]":
        """A one-shot signal whose `result()` waits the way this executor's work waits."""
        ...

    def for_forks(self) -> "BlockingExecutor":
        """Where work may run that the calling thread will wait for."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """How full it is."""
        ...


class PlatformThreadExecutor(ThreadPoolExecutor):
    """A bounded pool of OS threads with an unbounded first-in-first-out queue."""

    def __init__(self, max_workers: int, *, name: str) -> None:
        if max_workers < 1:
            raise UsageError(f"max_workers={max_workers} must be at least 1")
        super().__init__(max_workers, thread_name_prefix=name)
        self.name = name
        self.max_workers = max_workers
        self._counter = threading.Lock()
        self._busy = 0
        self._outstanding = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Queue work; it sees the caller's context variables."""
        context = contextvars.copy_context()
        if TRACING.on:
            fn = queued(fn, what=f"{self.name} pool", runs_on_thread=True)
        future = super().submit(context.run, self._count_busy, fn, args, kwargs)
        with self._counter:
            self._outstanding += 1
        future.add_done_callback(self._finished)
        return future

    async def call(self, fn: Callable[..., T], *args: Any) -> T:
        """Run on a pool thread.

        Cancelled while queued, the code never runs. Cancelled while running, an OS thread cannot be
        interrupted: the caller waits for it to end, drops its outcome and is then cancelled.
        """
        future = self.submit(fn, *args)
        outcome: Awaitable[T] = asyncio.wrap_future(future)
        if TRACING.on:
            outcome = awaited(FOR_A_WORKER, outcome)
        try:
            return await outcome
        except asyncio.CancelledError:
            await _until_done(future)
            raise

    def latch(self) -> "Future[Any]":
        """A future that blocks the OS thread waiting for it."""
        return TracedFuture() if TRACING.on else Future()

    def for_forks(self) -> "PlatformThreadExecutor":
        """This pool, or a new one of its size for work that this pool's work began.

        Pool threads that wait for work queued behind themselves would lock the pool up for good.
        """
        if self in _begun_by.get():
            return PlatformThreadExecutor(self.max_workers, name=f"{self.name}-nested")
        return self

    def gauges(self) -> Mapping[str, float]:
        """Size, busy and queued, as the charts name them."""
        with self._counter:
            busy, outstanding = self._busy, self._outstanding
        return {
            "worker_pool_size": self.max_workers,
            "worker_pool_busy": busy,
            "worker_pool_queued": max(0, outstanding - busy),
        }

    def _count_busy(
        self, fn: Callable[..., T], args: tuple[Any, ...], kwargs: Mapping[str, Any]
    ) -> T:
        with self._counter:
            self._busy += 1
        _begun_by.set(_begun_by.get() | {self})
        try:
            return fn(*args, **kwargs)
        finally:
            with self._counter:
                self._busy -= 1

    def _finished(self, _future: "Future[Any]") -> None:
        with self._counter:
            self._outstanding -= 1


class _Work(NamedTuple):
    """What one virtual thread is to do, where its outcome goes, and where it runs."""

    future: VirtualFuture[Any]
    fn: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    context: contextvars.Context
    loop: asyncio.AbstractEventLoop
    starter: tuple[str, int] | None  # the virtual thread that submitted it


class VirtualThreadExecutor(Executor):
    """A virtual thread for each piece of work, all at once unless `max_concurrency` bounds them.

    Work runs on the event loop of the caller, if it has one, else on a carrier of the executor's own,
    started with the first use. What is parked on a caller's loop when that loop ends is abandoned.
    """

    def __init__(self, *, name: str, max_concurrency: int | None = None) -> None:
        if max_concurrency is not None and max_concurrency < 1:
            raise UsageError(f"max_concurrency={max_concurrency} must be at least 1, or None")
        self.name = name
        self._limit = max_concurrency
        self._idle = threading.Condition()
        self._active = 0  # hold a slot
        self._carried = 0  # run as part of a caller's task
        self._unfinished = 0  # submitted, outcome not yet told
        self._waiting: deque[_Work] = deque()
        self._carrier: Carrier | None = None
        self._closed = False

    async def call(self, fn: Callable[..., T], *args: Any) -> T:
        """Run as part of the calling task: its waits are awaited by that task, no task is added.

        Where `max_concurrency` bounds the executor, it waits for its turn among all submitted work, as
        a thread of its own. Cancelling raises `asyncio.CancelledError` at the park point.
        """
        if self._limit is not None:
            return await self._call_in_turn(fn, *args)
        if self._closed:
            raise RuntimeError(_AFTER_SHUTDOWN)
        self._carried += 1
        try:
            return await carry(fn, *args, name=self.name)
        finally:
            self._carried -= 1

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "VirtualFuture[T]":
        """Start a virtual thread; it sees the caller's context variables."""
        running = running_loop()
        context = contextvars.copy_context()
        if TRACING.on:
            fn = queued(fn, what=f"{self.name} carrier", runs_on_thread=False)
        if self._limit is not None:
            context.run(_begun_by.set, _begun_by.get() | {self})
        with self._idle:
            if self._closed:
                raise RuntimeError(_AFTER_SHUTDOWN)
            loop = self._own_loop() if running is None else running
            future: VirtualFuture[T] = VirtualFuture(loop)
            work = _Work(future, fn, args, kwargs, context, loop, starter())
            self._unfinished += 1
            if self._limit is not None and self._active >= self._limit:
                self._waiting.append(work)
                return future
            self._active += 1
        self._dispatch(work)
        return future

    def latch(self) -> "VirtualFuture[Any]":
        """A future that parks the virtual thread waiting for it.

        Raises: UsageError where waiting would block an event loop.
        """
        refuse_on_an_event_loop("waiting for virtual threads")
        return VirtualFuture()

    def for_forks(self) -> "VirtualThreadExecutor":
        """This executor, or a new one of its bound for work that this one's work began.

        Threads that hold a slot and wait for work without one would lock the executor up for good.
        """
        if self not in _begun_by.get():
            return self
        return VirtualThreadExecutor(name=f"{self.name}-nested", max_concurrency=self._limit)

    def gauges(self) -> Mapping[str, float]:
        """How many virtual threads there are."""
        return {"virtual_threads": self._active + self._carried}

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As the standard library's executors; what `call` runs belongs to its tasks, not to us.

        Raises:
            UsageError: asked to wait for unfinished work on a thread that runs an event loop.
        """
        if wait and self._unfinished and running_loop() is not None:
            raise UsageError(
                f"shutdown(wait=True) would block the event loop on {self._unfinished} unfinished "
                "virtual threads; await their futures first: asyncio.wrap_future(future)"
            )
        with self._idle:
            self._closed = True
            dropped = [work.future for work in self._waiting] if cancel_futures else []
            carrier = self._carrier
        for future in dropped:
            future.cancel()
        if wait:
            with self._idle:
                self._idle.wait_for(lambda: not self._unfinished)
        self._stop_if_done()
        if wait and carrier is not None:
            carrier.join()

    async def _call_in_turn(self, fn: Callable[..., T], *args: Any) -> T:
        future = self.submit(fn, *args)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            future.interrupt()
            await _until_done(future)
            raise

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        if self._carrier is None:
            self._carrier = Carrier(f"{self.name}-carrier")
            _with_carrier.add(self)
            weakref.finalize(self, self._carrier.stop).atexit = False
        return self._carrier.loop

    def _dispatch(self, work: _Work) -> None:
        """Let the work begin on its loop, which must be the one to find out if it was cancelled."""
        if work.loop is running_loop():
            work.loop.call_soon(self._begin, work)
        elif self._carrier is not None and work.loop is self._carrier.loop:
            self._carrier.call(self._begin, work)
        else:
            work.loop.call_soon_threadsafe(self._begin, work)

    def _begin(self, work: _Work) -> None:
        if not work.future.set_running_or_notify_cancel():
            self._give_up_slot()
            self._told()
            return
        fn = partial(work.fn, **work.kwargs) if work.kwargs else work.fn
        told = partial(self._tell, work.future)
        thread = VirtualThread(
            fn, loop=work.loop, context=work.context, name=self.name, on_end=told
        )
        if work.starter is not None:  # one attribute less for most of a hundred thousand
            thread.starter = work.starter
        work.future.begun(thread)
        thread.step(*work.args)

    def _tell(self, future: VirtualFuture[Any], value: Any, error: BaseException | None) -> None:
        """The outcome of a virtual thread goes into its future, whatever it is."""
        self._give_up_slot()
        if error is None:
            future.set_result(value)
        else:
            future.set_exception(_as_outcome(error))
        future.ended()
        self._told()

    def _give_up_slot(self) -> None:
        with self._idle:
            if self._waiting:
                work = self._waiting.popleft()
            else:
                self._active -= 1
                return
        self._dispatch(work)

    def _told(self) -> None:
        with self._idle:
            self._unfinished -= 1
            if not self._unfinished:
                self._idle.notify_all()
        if self._closed:
            self._stop_if_done()

    def _stop_if_done(self) -> None:
        with self._idle:
            if self._unfinished or self._carrier is None:
                return
            carrier = self._carrier
        carrier.stop()


_with_carrier: "weakref.WeakSet[VirtualThreadExecutor]" = weakref.WeakSet()


@atexit.register
def _finish_work() -> None:
    """An interpreter that ends first waits for submitted work, as it does for pool threads."""
    for executor in list(_with_carrier):
        executor.shutdown(wait=True)


def _as_outcome(error: BaseException) -> BaseException:
    # Asyncio's own would look like a cancellation of whoever asks for the result.
    return CancelledError() if isinstance(error, asyncio.CancelledError) else error


async def _until_done(future: "Future[Any]") -> None:
    """Wait for the end of something that cannot be cancelled, however often we are."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
    while not done.is_set():
        with anyio.CancelScope(shield=True), suppress(asyncio.CancelledError):
            await done.wait()
