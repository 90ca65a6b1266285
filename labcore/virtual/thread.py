"""Virtual threads: greenlets that park on an event loop, their carrier, instead of blocking it.

A virtual thread runs blocking-style code. Where that code would block, it *parks*: its greenlet
switches away, the carrier goes on with other work, and an event of the loop *mounts* it again. How it
parks depends on what it waits for, so that each wait costs no more than it must:

- A thread that was started waits for timers and futures by plain loop callbacks, without a task.
- The first coroutine it waits for needs a task; from then on that one task carries the thread and
  awaits everything for it. A cancellation then arrives inside the coroutine, as asyncio's own code expects.
- `carry(fn)` runs a thread that is carried from the beginning by the task that awaits it: a request
  handler pays no second task, and cancelling the task unwinds the thread.

A computation, or a blocking call that does not park, stalls everything else on its carrier: that is
*pinning*, and as true here as on the JVM.

Source: JEP 444, Virtual Threads (mount, park, carrier, pinning).
"""

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import count
from typing import Any, Literal, TypeVar, cast

import greenlet

from labcore.kernel import TRACING, UsageError
from labcore.virtual.carrier import running_loop
from labcore.virtual.pinning import WATCHING, both
from labcore.virtual.tracing import mounted

T = TypeVar("T")
OnEnd = Callable[[Any, BaseException | None], None]  # the value, or the error
_numbers = count(1)


class VirtualThread(greenlet.greenlet):
    """One virtual thread; it lives on one loop and so on one OS thread.

    Made by `start_virtual_thread`, `carry` and `VirtualThreadExecutor`; `current_thread` is the running
    one. An error that ends a started thread goes to the loop's exception handler.
    """

    # Class-wide until set: a hundred thousand parked threads need few of them.
    _task: "asyncio.Task[Any] | None" = None  # carries this thread, once there is one
    _future: "asyncio.Future[Any] | None" = None  # parked on it
    _timer: asyncio.Handle | None = None  # parked until it rings
    _interrupted = False
    _joining: "tuple[asyncio.Future[None], ...]" = ()
    starter: tuple[str, int] | None = None  # identity of the virtual thread that started this one
    parked_ns = 0  # since when, where it is traced

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        loop: asyncio.AbstractEventLoop,
        context: contextvars.Context | None,
        name: str = "virtual",
        on_end: "OnEnd | None" = None,
    ) -> None:
        # The greenlet runs `fn` itself: each call between would be copied at every switch.
        super().__init__(fn)
        self.loop = loop
        self.gr_context = context
        self._on_end = on_end
        self._named = (name, next(_numbers))

    @property
    def name(self) -> str:
        """The name given and a number of its own: `order-17`."""
        return f"{self._named[0]}-{self._named[1]}"

    @property
    def identity(self) -> tuple[str, int]:
        """The name given, and a number that no other thread has."""
        return self._named

    @property
    def waits(self) -> Literal["sleeping", "waiting", "awaiting"]:
        """How a parked thread waits: for a timer, for a future, or for what its task awaits."""
        if self._task is not None:
            return "awaiting"
        return "sleeping" if self._timer is not None else "waiting"

    def join(self, timeout_s: float | None = None) -> bool:
        """Park the current virtual thread until this one has ended; False when time ran out.

        Raises: UsageError outside a virtual thread of the same loop.
        """
        if self.dead:
            return True
        joiner = current_thread()
        if joiner is None or joiner.loop is not self.loop:
            raise UsageError(f"join {self.name} from a virtual thread on the same loop")
        ended: asyncio.Future[None] = self.loop.create_future()
        self._joining = (*self._joining, ended)
        joiner.wait_at_most(ended, timeout_s)
        return self.dead

    def wait_at_most(self, future: "asyncio.Future[None]", timeout_s: float | None) -> None:
        """Park until the signal is given, or for so long."""
        timer = None if timeout_s is None else self.loop.call_later(timeout_s, wake, future)
        try:
            self.wait_for(future)
        finally:
            if timer is not None:
                timer.cancel()

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        """Park until the awaitable is done; its value or its error. Only from within this thread."""
        if self._task is not None:
            return cast("T", self._unmount(awaitable))
        if asyncio.isfuture(awaitable):
            return cast("T", self._park_on(awaitable))
        return self._become_carried(awaitable)

    def sleep(self, seconds: float) -> None:
        """Park for a while. Raises: UsageError for a negative time, as `time.sleep` does."""
        if seconds < 0:
            raise UsageError(f"cannot sleep for {seconds} s; give 0 or more")
        if self._task is not None:
            self._unmount(asyncio.sleep(seconds))
            return
        self._raise_if_interrupted()
        self._timer = (
            self.loop.call_later(seconds, self.step) if seconds else self.loop.call_soon(self.step)
        )
        self._unmount()
        self._timer = None
        self._raise_if_interrupted()

    def interrupt(self) -> None:
        """Raise `asyncio.CancelledError` where the thread is parked, or at its next park.

        Only on the loop's own OS thread.
        """
        if self.dead:
            return
        if self._task is not None:
            self._task.cancel()
            return
        self._interrupted = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.loop.call_soon(self.step)
        elif self._future is not None:
            self._future.cancel()

    def carried_by(self, task: "asyncio.Task[Any] | None") -> None:
        """Let that task await whatever this thread waits for."""
        self._task = task
        if TRACING.on and task is not None:
            task.set_name(self.name)  # what it awaits is the thread's wait

    def mount(self, *arguments: Any) -> Any:
        """Run until the next park or the end, from whichever greenlet calls. Raises what ends it."""
        self.parent = greenlet.getcurrent()
        unmounted = self._observed() if TRACING.on or WATCHING.on else None
        try:
            return self.switch(*arguments)
        finally:
            if unmounted is not None:
                unmounted()
            if self._joining and self.dead:
                self._wake_joining()

    def mount_with(self, error: BaseException) -> Any:
        """As `mount`, raising the error inside."""
        self.parent = greenlet.getcurrent()
        unmounted = self._observed() if TRACING.on or WATCHING.on else None
        try:
            return self.throw(error)
        finally:
            if unmounted is not None:
                unmounted()
            if self._joining and self.dead:
                self._wake_joining()

    def step(self, *arguments: Any) -> None:
        """Mount from a callback of the loop; the end, if this is it, is told to `on_end`."""
        try:
            value = self.mount(*arguments)
        except BaseException as exc:  # noqa: BLE001 - told to whoever started the thread
            self._tell(None, exc)
        else:
            if self.dead:
                self._tell(value, None)

    def _observed(self) -> Callable[[], None] | None:
        return both(
            mounted(self) if TRACING.on else None,
            WATCHING.mounted(self) if WATCHING.on else None,
        )

    def _wake_joining(self) -> None:
        for joining in self._joining:
            wake(joining)

    def _park_on(self, future: "asyncio.Future[T]") -> T:
        if self._interrupted:
            future.cancel()
        elif not future.done():
            self._future = future
            future.add_done_callback(self._unpark)
            self._unmount()
            self._future = None
        self._raise_if_interrupted()
        return future.result()

    def _become_carried(self, awaitable: Awaitable[T]) -> T:
        if self._interrupted:
            _discard(awaitable)
            self._raise_if_interrupted()
        # The thread's very context, not a copy: the coroutine sees what the thread has set.
        task = self.loop.create_task(
            self._be_carried(awaitable), context=greenlet.getcurrent().gr_context
        )
        task.add_done_callback(partial(self._carrier_gone, awaitable))
        self.carried_by(task)
        value = self._unmount()
        self._raise_if_interrupted()
        return cast("T", value)

    async def _be_carried(self, awaitable: Awaitable[Any]) -> None:
        try:
            value = await _carry_on(self, awaitable)
        except BaseException as exc:  # noqa: BLE001 - told to whoever started the thread
            self._tell(None, exc)
        else:
            self._tell(value, None)

    def _carrier_gone(self, awaitable: Awaitable[Any], _task: "asyncio.Task[Any]") -> None:
        """A task cancelled before its first step has done nothing; the thread must still hear of it."""
        if not self.dead:
            self._task = None
            _discard(awaitable)
            self._interrupted = True
            self.step()

    def _tell(self, value: Any, error: BaseException | None) -> None:
        if self._on_end is not None:
            self._on_end(value, error)
        elif error is not None and not isinstance(error, asyncio.CancelledError):
            message = f"virtual thread {self.name} ended by an error"
            self.loop.call_exception_handler({"message": message, "exception": error})

    def _raise_if_interrupted(self) -> None:
        if self._interrupted:
            self._interrupted = False
            raise asyncio.CancelledError

    def _unmount(self, *handed: Any) -> Any:
        """Give the carrier back to whoever mounted this thread; returns when mounted again."""
        mounter = self.parent
        if mounter is None:
            raise RuntimeError("a virtual thread without a carrier cannot park")
        return mounter.switch(*handed)

    def _unpark(self, _future: "asyncio.Future[Any]") -> None:
        self.step()


def current_thread() -> VirtualThread | None:
    """The virtual thread that runs this code, or None on a platform thread or an event loop."""
    here = greenlet.getcurrent()
    return here if isinstance(here, VirtualThread) else None


def starter() -> tuple[str, int] | None:
    """The identity of the virtual thread that runs this code, for one that it starts."""
    here = greenlet.getcurrent()
    return here.identity if isinstance(here, VirtualThread) else None


def await_(awaitable: Awaitable[T]) -> T:
    """Park the current virtual thread until the awaitable is done.

    Raises:
        UsageError: called outside a virtual thread, where there is nothing to park.
    """
    thread = current_thread()
    if thread is None:
        _discard(awaitable)
        raise _outside("await_")
    return thread.wait_for(awaitable)


def sleep(seconds: float) -> None:
    """Park the current virtual thread for that long.

    Raises:
        UsageError: called outside a virtual thread, or with a negative time.
    """
    thread = current_thread()
    if thread is None:
        raise _outside("sleep")
    thread.sleep(seconds)


def start_virtual_thread(
    fn: Callable[..., object], *args: Any, name: str = "virtual"
) -> VirtualThread:
    """A thread of nobody's task on the running loop, from its next turn on; the cheapest there is.

    It inherits the caller's context variables. Interrupted, it ends quietly.

    Raises:
        UsageError: no event loop runs here to carry it.
    """
    loop = running_loop()
    if loop is None:
        raise UsageError(
            "a virtual thread needs a running event loop; without one use VirtualThreadExecutor"
        )
    thread = VirtualThread(fn, loop=loop, context=contextvars.copy_context(), name=name)
    here = starter()
    if here is not None:
        thread.starter = here
    loop.call_soon(thread.step, *args)
    return thread


async def carry(fn: Callable[..., T], *args: Any, name: str = "virtual") -> T:
    """Run blocking-style code as a virtual thread carried by the calling task, in its context.

    Cancelling the task raises `asyncio.CancelledError` where the code is parked.
    """
    thread = VirtualThread(
        fn,
        loop=asyncio.get_running_loop(),
        context=greenlet.getcurrent().gr_context,
        name=name,
    )
    thread.carried_by(asyncio.current_task())
    outcome = thread.mount(*args)
    return cast("T", outcome if thread.dead else await _carry_on(thread, outcome))


async def _carry_on(thread: VirtualThread, outcome: Any) -> Any:
    """Await what the thread hands over, mount it with the outcome, and so on to its end."""
    while not thread.dead:
        try:
            value = await outcome
        except BaseException as exc:  # noqa: BLE001 - every error belongs to the code inside
            outcome = thread.mount_with(exc)
        else:
            outcome = thread.mount(value)
    return outcome


def wake(future: "asyncio.Future[None]") -> None:
    """Give a signal, if nobody has yet. On the future's loop."""
    if not future.done():
        future.set_result(None)


def _discard(awaitable: Awaitable[Any]) -> None:
    """A coroutine that nobody will await warns of it, unless it is closed."""
    if asyncio.iscoroutine(awaitable):
        awaitable.close()


def _outside(operation: str) -> UsageError:
    return UsageError(
        f"{operation} parks a virtual thread and was called outside one; "
        "run the code through VirtualThreadExecutor"
    )
