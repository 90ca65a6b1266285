"""Two executors with one face: platform threads from a bounded pool, and virtual threads.

Both are `concurrent.futures.Executor`s whose work inherits the caller's context variables, and both
have `call`, by which an event-loop server hands a blocking handler over and awaits its outcome.
"""

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Protocol, TypeVar

import anyio

from labcore.kernel import UsageError
from labcore.virtual.carrier import Carrier
from labcore.virtual.thread import VirtualThread, await_, carry, current_thread, start

T = TypeVar("T")


class BlockingExecutor(Protocol):
    """What a lane's server needs of an executor."""

    async def call(self, fn: Callable[..., T], *args: Any) -> T:
        """Run blocking-style code and await its outcome."""
        ...

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Start blocking-style code; its future."""
        ...

    def latch(self) -> "Future[None]":
        """A one-shot signal whose `result()` waits the way this executor's work waits."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """How full it is."""
        ...


class PlatformThreadExecutor(ThreadPoolExecutor):
    """A bounded pool of OS threads with an unbounded first-in-first-out queue."""

    def __init__(self, max_workers: int, *, name: str) -> None:
        if max_workers < 1:
            raise UsageError(f"max_workers={max_workers} must be at least 1")
        super().__init__(max_workers=max_workers, thread_name_prefix=name)
        self.max_workers = max_workers
        self._counter = threading.Lock()
        self._busy = 0
        self._outstanding = 0

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "Future[T]":
        """Queue work; it sees the caller's context variables."""
        context = contextvars.copy_context()
        future = super().submit(context.run, self._count_busy, fn, args, kwargs)
        with self._counter:
            self._outstanding += 1
        future.add_done_callback(self._finished)
        return future

    async def call(self, fn: Callable[..., T], *args: Any) -> T:
        """Run on a pool thread.

        Cancelled while queued, the code never runs. Cancelled while running, an OS thread cannot be
        interrupted: the caller waits for it to end and is then cancelled.
        """
        future = self.submit(fn, *args)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            await _until_done(future)
            raise

    def latch(self) -> "Future[None]":
        """A future that blocks the OS thread waiting for it."""
        return Future()

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
        try:
            return fn(*args, **kwargs)
        finally:
            with self._counter:
                self._busy -= 1

    def _finished(self, _future: "Future[Any]") -> None:
        with self._counter:
            self._outstanding -= 1


class VirtualFuture(Future[T]):
    """A future whose `result` parks a virtual thread instead of blocking its carrier."""

    thread: VirtualThread | None = None

    def result(self, timeout: float | None = None) -> T:
        """As `concurrent.futures.Future.result`."""
        self._park(timeout)
        return super().result(0 if current_thread() is not None else timeout)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `concurrent.futures.Future.exception`."""
        self._park(timeout)
        return super().exception(0 if current_thread() is not None else timeout)

    def _park(self, timeout: float | None) -> None:
        if self.done() or current_thread() is None:
            return
        await_(asyncio.wait([asyncio.wrap_future(self)], timeout=timeout))


_Entry = tuple[VirtualFuture[Any], Callable[[], Any], asyncio.AbstractEventLoop | None]


class VirtualThreadExecutor(Executor):
    """A virtual thread for each piece of work, unbounded unless `max_concurrency` says otherwise.

    Work runs on the event loop of the caller, if it has one, else on a carrier of the executor's own,
    started with the first use.
    """

    def __init__(self, *, name: str, max_concurrency: int | None = None) -> None:
        if max_concurrency is not None and max_concurrency < 1:
            raise UsageError(f"max_concurrency={max_concurrency} must be at least 1, or None")
        self._name = name
        self._limit = max_concurrency
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        self._active = 0
        self._carried = 0
        self._pending: deque[_Entry] = deque()
        self._carrier: Carrier | None = None
        self._closed = False

    async def call(self, fn: Callable[..., T], *args: Any) -> T:
        """Run as part of the calling task: its waits are awaited by that task, no task is added.

        Cancelling the task raises `asyncio.CancelledError` at the park point.
        """
        self._carried += 1
        try:
            return await carry(fn, *args, name=self._name)
        finally:
            self._carried -= 1

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> "VirtualFuture[T]":
        """Start a virtual thread; it sees the caller's context variables."""
        future: VirtualFuture[T] = VirtualFuture()
        context = contextvars.copy_context()
        loop = _running_loop()
        with self._lock:
            if self._closed:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if loop is None and self._carrier is None:
                self._carrier = Carrier(f"{self._name}-carrier")
            self._pending.append((future, lambda: context.run(fn, *args, **kwargs), loop))
        self._start_more()
        return future

    def latch(self) -> "Future[None]":
        """A future that parks the virtual thread waiting for it."""
        return VirtualFuture()

    def gauges(self) -> Mapping[str, float]:
        """How many virtual threads there are."""
        return {"virtual_threads": self._active + self._carried}

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As the standard library's executors.

        Raises:
            UsageError: asked to wait on the very loop that carries unfinished work.
        """
        with self._lock:
            self._closed = True
            dropped = [entry[0] for entry in self._pending] if cancel_futures else []
            if cancel_futures:
                self._pending.clear()
            unfinished = bool(self._active or self._pending)
        for future in dropped:
            future.cancel()
        if not wait:
            return
        if unfinished and _running_loop() is not None and self._carrier is None:
            raise UsageError("shutdown(wait=True) would block the carrier of unfinished work")
        with self._idle:
            self._idle.wait_for(lambda: not self._active and not self._pending)
            carrier, self._carrier = self._carrier, None
        if carrier is not None:
            carrier.close()

    def _start_more(self) -> None:
        while True:
            with self._lock:
                full = self._limit is not None and self._active >= self._limit
                if full or not self._pending:
                    return
                future, run, loop = self._pending.popleft()
                self._active += 1
            if not future.set_running_or_notify_cancel():
                self._ended()
                continue
            target = self._own_loop() if loop is None else loop
            if target is _running_loop():
                self._launch(future, run, target)
            else:
                target.call_soon_threadsafe(self._launch, future, run, target)

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        carrier = self._carrier
        if carrier is None:
            raise RuntimeError("the executor's own carrier has ended")
        return carrier.loop

    def _launch(
        self, future: VirtualFuture[Any], run: Callable[[], Any], loop: asyncio.AbstractEventLoop
    ) -> None:
        def body() -> None:
            try:
                value = run()
            except BaseException as exc:  # noqa: BLE001 - the future carries it to whoever asks
                self._ended()
                future.set_exception(exc)
            else:
                self._ended()
                future.set_result(value)

        future.thread = start(body, loop, name=self._name)

    def _ended(self) -> None:
        with self._idle:
            self._active -= 1
            self._idle.notify_all()
        self._start_more()


async def _until_done(future: "Future[Any]") -> None:
    """Wait for the end of something that cannot be cancelled, however often we are."""
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    future.add_done_callback(lambda _: loop.call_soon_threadsafe(done.set))
    while not done.is_set():
        with anyio.CancelScope(shield=True), suppress(asyncio.CancelledError):
            await done.wait()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
