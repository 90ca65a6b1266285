"""Virtual threads: greenlets that park on an event loop, their carrier, instead of blocking it.

A virtual thread runs blocking-style code. Where that code would block, it *parks*: its greenlet
switches away, the carrier goes on with other work, and an event of the loop *mounts* it again. Two
ways of being carried, one class:

- `carry(fn)` runs a virtual thread as part of the asyncio task that awaits it: its waits are awaited by
  that very task, so a request handler pays no second task, and cancelling the task unwinds the thread.
- `start(fn, loop)` runs one that belongs to nobody's task: it parks by plain loop callbacks.

A computation, or a blocking call that does not park, stalls everything else on its carrier: that is
*pinning*, and as true here as on the JVM.

Source: JEP 444, Virtual Threads (mount, park, carrier, pinning).
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Any, TypeVar, cast

import greenlet

from labcore.kernel import UsageError

T = TypeVar("T")
_numbers = count(1)


class VirtualThread(greenlet.greenlet):
    """One virtual thread. Make it by `carry` or `start`; it lives on one loop, on one OS thread."""

    def __init__(
        self,
        run: Callable[[], Any],
        *,
        loop: asyncio.AbstractEventLoop,
        carried: bool,
        name: str = "",
    ) -> None:
        super().__init__(run)
        self.name = name or f"virtual-{next(_numbers)}"
        self.loop = loop
        self._carried = carried
        self._parked_on: asyncio.Future[Any] | None = None
        self._interrupted = False
        self.gr_context = contextvars.copy_context()

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Park until the awaitable is done; its value or its error. Only from within this thread."""
        if self._carried:
            return cast("T", self._unmount(awaitable))
        return self._park(asyncio.ensure_future(awaitable, loop=self.loop))

    def sleep(self, seconds: float) -> None:
        """Park for a while; one timer of the loop, no task."""
        if self._carried:
            self._unmount(asyncio.sleep(seconds))
            return
        woken: asyncio.Future[None] = self.loop.create_future()
        timer = self.loop.call_later(seconds, _wake, woken)
        try:
            self._park(woken)
        finally:
            timer.cancel()

    def interrupt(self) -> None:
        """Raise `asyncio.CancelledError` where the thread is parked, or at its next park.

        Only for threads made by `start`, and only on their loop's own OS thread; a carried thread is
        interrupted by cancelling the task that carries it.
        """
        self._interrupted = True
        if self._parked_on is not None:
            self._parked_on.cancel()

    def mount(self, *arguments: Any) -> Any:
        """Run until the next park or the end, from whichever greenlet calls."""
        self.parent = greenlet.getcurrent()
        return self.switch(*arguments)

    def mount_with(self, error: BaseException) -> Any:
        """As `mount`, raising the error inside."""
        self.parent = greenlet.getcurrent()
        return self.throw(error)

    def _park(self, future: "asyncio.Future[T]") -> T:
        if self._interrupted:
            future.cancel()
            self._interrupted = False
            raise asyncio.CancelledError
        if not future.done():
            self._parked_on = future
            future.add_done_callback(self._unpark)
            self._unmount()
            self._parked_on = None
        if future.cancelled():
            self._interrupted = False
        return future.result()

    def _unmount(self, *handed: Any) -> Any:
        """Give the carrier back to whoever mounted this thread; returns when mounted again."""
        mounter = self.parent
        if mounter is None:
            raise RuntimeError("a virtual thread without a carrier cannot park")
        return mounter.switch(*handed)

    def _unpark(self, _future: "asyncio.Future[Any]") -> None:
        self.mount()


def current_thread() -> VirtualThread | None:
    """The virtual thread that runs this code, or None on a platform thread or an event loop."""
    here = greenlet.getcurrent()
    return here if isinstance(here, VirtualThread) else None


def await_(awaitable: Awaitable[T]) -> T:
    """Park the current virtual thread until the awaitable is done.

    Raises:
        UsageError: called outside a virtual thread, where there is nothing to park.
    """
    return _required("await_").wait_for(awaitable)


def sleep(seconds: float) -> None:
    """Park the current virtual thread for that long. Raises: UsageError outside one."""
    _required("sleep").sleep(seconds)


async def carry(fn: Callable[..., T], *args: Any, name: str = "") -> T:
    """Run blocking-style code as a virtual thread carried by the calling task.

    Cancelling the task raises `asyncio.CancelledError` where the code is parked.
    """
    thread = VirtualThread(
        lambda: fn(*args), loop=asyncio.get_running_loop(), carried=True, name=name
    )
    outcome = thread.mount()
    while not thread.dead:
        try:
            value = await outcome
        except BaseException as exc:  # noqa: BLE001 - every error belongs to the code inside
            outcome = thread.mount_with(exc)
        else:
            outcome = thread.mount(value)
    return cast("T", outcome)


def start(
    run: Callable[[], object], loop: asyncio.AbstractEventLoop, *, name: str = ""
) -> VirtualThread:
    """A virtual thread of its own on that loop, from the loop's next turn on.

    Call it on the loop's OS thread. `run` must not raise: whoever starts a thread keeps its outcome.
    """
    thread = VirtualThread(run, loop=loop, carried=False, name=name)
    loop.call_soon(thread.mount)
    return thread


def _required(operation: str) -> VirtualThread:
    thread = current_thread()
    if thread is None:
        raise UsageError(
            f"{operation} parks a virtual thread and was called outside one; "
            "run the code through VirtualThreadExecutor"
        )
    return thread


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
