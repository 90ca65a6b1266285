"""The future of a virtual thread, and how each kind of thread waits for it."""

import asyncio
from concurrent.futures import Future
from typing import Any, TypeVar

from labcore.kernel import UsageError
from labcore.virtual.carrier import running_loop
from labcore.virtual.thread import VirtualThread, current_thread, wake

T = TypeVar("T")


class VirtualFuture(Future[T]):
    """A future whose `result` parks a virtual thread instead of blocking its carrier.

    An OS thread that asks blocks, as with any future. `concurrent.futures.wait` and `as_completed` know
    nothing of parking: in a virtual thread use a `StructuredTaskScope` instead.

    Args:
        loop: carries the thread whose outcome this is; None for a mere signal.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        super().__init__()
        self.loop = loop
        self._thread: VirtualThread | None = None
        self._interrupted = False

    def result(self, timeout: float | None = None) -> T:
        """As `concurrent.futures.Future.result`.

        Raises: UsageError where waiting would block an event loop.
        """
        return super().result(self._wait(timeout))

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """As `concurrent.futures.Future.exception`.

        Raises: UsageError where waiting would block an event loop.
        """
        return super().exception(self._wait(timeout))

    def interrupt(self) -> None:
        """Cancel what has not begun; interrupt what runs where it is parked. From any thread."""
        if not self.cancel() and not self.done() and self.loop is not None:
            self.loop.call_soon_threadsafe(self._interrupt)

    def begun(self, thread: VirtualThread) -> None:
        """Learn the thread, on its loop; an interrupt that came first reaches it now."""
        self._thread = thread
        if self._interrupted:
            thread.interrupt()

    def ended(self) -> None:
        """Forget the thread, which keeps this future: a cycle would keep both from being freed."""
        self._thread = None

    def _interrupt(self) -> None:
        self._interrupted = True
        if self._thread is not None:
            self._thread.interrupt()

    def _wait(self, timeout: float | None) -> float | None:
        """Wait as the caller's kind of thread does; how long it may still block."""
        if self.done() or timeout == 0:
            return 0
        thread = current_thread()
        if thread is not None:
            self._park(thread, timeout)
            return 0
        refuse_on_an_event_loop("waiting for a virtual thread")
        return timeout

    def _park(self, thread: VirtualThread, timeout: float | None) -> None:
        loop = thread.loop
        woken: asyncio.Future[None] = loop.create_future()

        def tell(_done: Future[Any]) -> None:
            if running_loop() is loop:
                wake(woken)
            else:
                loop.call_soon_threadsafe(wake, woken)

        self.add_done_callback(tell)
        thread.wait_at_most(woken, timeout)


def refuse_on_an_event_loop(what: str) -> None:
    """Raise: UsageError on a thread whose event loop would stand still, outside a virtual thread."""
    if running_loop() is not None and current_thread() is None:
        raise UsageError(
            f"{what} here would block the event loop; "
            "do it in a virtual thread: await executor.call(function)"
        )
