"""Scope: who owns the tasks, timers and clean-ups of one root subscription.

One anyio task group per root, made only when the first task is needed: a chain that ends
synchronously costs none. Leaving the scope waits for every pump, `finally` included. Time is the
event loop's, so a loop with a virtual clock governs timers and sleeps alike.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Protocol, TypeVar

import anyio
from anyio.abc import TaskGroup

from labcore.kernel import UsageError

T = TypeVar("T")
Pump = Callable[[], Awaitable[object]]

_log = logging.getLogger("labcore.reactive")


@dataclass(frozen=True, slots=True)
class Hooks:
    """Who is told of what leaves the stream unseen; None means nobody.

    `next_dropped`: a value after the end. `error_dropped`: an error after the end (logged when nobody
    asks). `discarded`: a queued or filtered value thrown away. Source: reactor.core.publisher.Hooks.
    """

    next_dropped: Callable[[Any], None] | None = None
    error_dropped: Callable[[BaseException], None] | None = None
    discarded: Callable[[Any], None] | None = None


class Scheduler(Protocol):
    """Where blocking work runs: a thread pool, or virtual threads."""

    def execute(self, task: Callable[[], None], /) -> object:
        """Run the task soon, on some thread; never on the caller's."""
        ...


class Timer(Protocol):
    """A pending call."""

    def cancel(self) -> None:
        """Forget it."""
        ...


class Scope:
    """Owns one root subscription: `async with Scope() as scope: flux.subscribe(s, scope=scope)`.

    Leaving the block waits for the tasks and timers of what was subscribed; `cancel()` ends them.

    Raises:
        BaseException: On leaving, what a subscriber raised, alone and not in a group.
    """

    __slots__ = (
        *("_calls", "_closed", "_crash", "_detached", "_group", "_host", "_leaving", "_loop"),
        *("_pending", "_rest", "hooks"),
    )

    def __init__(self, *, hooks: Hooks | None = None) -> None:
        self.hooks = hooks or Hooks()
        self._loop = asyncio.get_running_loop()
        self._group: TaskGroup | None = None
        self._pending: list[tuple[Pump, anyio.CancelScope]] = []
        self._crash: BaseException | None = None
        self._closed = False
        self._calls = 0  # timers and calls under way
        self._rest: asyncio.Future[None] | None = None
        self._leaving = False
        self._detached = False
        self._host: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Scope":
        self._group = anyio.create_task_group()
        await self._group.__aenter__()
        for pump, cancellation in self._pending:
            self._group.start_soon(self._run, pump, cancellation)
        self._pending.clear()
        if self._crash is not None:
            self._group.cancel_scope.cancel()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        assert self._group is not None
        if kind is None:
            self._leaving = True
            self._await_calls()
        try:
            handled = await self._group.__aexit__(kind, error, trace)
        except BaseExceptionGroup as group:
            if len(group.exceptions) == 1 and self._crash is None:
                raise group.exceptions[0] from None
            raise
        finally:
            del error, trace  # an error that goes on knows this frame by its traceback
            self._closed = True
        if self._crash is not None:
            raise self._crash
        return bool(handled)

    @property
    def crashed(self) -> BaseException | None:
        """What a subscriber raised, if it did."""
        return self._crash

    @property
    def has_pumps(self) -> bool:
        """Whether tasks wait for this scope to be entered."""
        return bool(self._pending)

    def hold(self) -> None:
        """A subscriber here depends on a source that runs elsewhere: leaving waits for `release`."""
        self._calls += 1
        self._await_calls()

    def release(self) -> None:
        """The end of what `hold` announced."""
        self._call_done()

    def now_s(self) -> float:
        """Seconds on the loop's clock, which may be virtual."""
        return self._loop.time()

    def soon(self, call: Callable[[], object]) -> None:
        """Run the call at the loop's next turn, after what is ready now."""
        self._calls += 1
        self._loop.call_soon(self._guarded, call)
        self._await_calls()

    def later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Run the call after that many seconds."""
        self._calls += 1
        timer = _Timer(self, call)
        timer.handle = self._loop.call_later(delay_s, timer.fire)
        self._await_calls()
        return timer

    def from_thread(self, call: Callable[[], None]) -> None:
        """Run the call on the loop; the one method that another thread may use."""
        self._loop.call_soon_threadsafe(self._from_thread, call)

    def future(self) -> "asyncio.Future[Any]":
        """Something a pump can wait on."""
        return self._loop.create_future()

    def spawn(self, pump: Pump) -> anyio.CancelScope:
        """Run an asynchronous source as a task of this scope; cancel it by what is returned."""
        cancellation = anyio.CancelScope()
        if self._group is not None:
            self._group.start_soon(self._run, pump, cancellation)
        else:
            self._pending.append((pump, cancellation))
            if self._detached and self._host is None:
                self._host = self._loop.create_task(self._be_host(), name="labcore shared source")
        return cancellation

    def offload(self, scheduler: Scheduler, work: Callable[[], T]) -> "asyncio.Future[T]":
        """Run blocking work on a scheduler; the loop counts it as work in hand."""
        return self._loop.run_in_executor(_AsExecutor(scheduler), work)  # type: ignore[arg-type]  # only submit() is used

    def cancel(self) -> None:
        """Cancel every task of this scope; leaving the block still waits for their clean-ups."""
        if self._group is not None:
            self._group.cancel_scope.cancel()

    def crash(self, error: BaseException) -> None:
        """A subscriber's own fault, or a cancellation nobody here asked for: end the scope with it."""
        if self._crash is None:
            self._crash = error
        self.cancel()

    def drop_value(self, value: Any) -> None:
        """Report a value that came after the end."""
        if self.hooks.next_dropped is not None:
            self.hooks.next_dropped(value)

    def refuse(self, value: Any) -> bool:
        """The offer of a stream that is over."""
        self.drop_value(value)
        return False

    def drop_error(self, error: BaseException) -> None:
        """Report an error that came after the end."""
        if self.hooks.error_dropped is not None:
            self.hooks.error_dropped(error)
        else:
            _log.error("an error came after the end of its stream", exc_info=error)

    def discard(self, value: Any) -> None:
        """Report a value thrown away before it was delivered."""
        if self.hooks.discarded is not None:
            self.hooks.discarded(value)

    def detached(self) -> "Scope":
        """A scope for a shared source, which outlives the subscriber that started it.

        Its host task is made when a pump is needed, and ends with the last pump.
        """
        scope = Scope(hooks=self.hooks)
        scope._detached = True
        return scope

    @property
    def hosted(self) -> bool:
        """Whether a detached scope has a host task now."""
        return self._host is not None

    async def finished(self) -> None:
        """Wait for the host task of a detached scope, whatever cancels the caller meanwhile."""
        if self._host is not None:
            with anyio.CancelScope(shield=True):
                await asyncio.wait([self._host])

    async def _be_host(self) -> None:
        async with self:
            pass
        self._group, self._host, self._closed, self._leaving = None, None, False, False

    def _guarded(self, call: Callable[[], object]) -> None:
        try:
            if not self._closed:
                call()
        except Exception as error:  # noqa: BLE001 - the supervisor: the door raises it
            self.crash(error)
        finally:
            self._call_done()

    def _from_thread(self, call: Callable[[], None]) -> None:
        self._calls += 1
        self._guarded(call)

    def _call_done(self) -> None:
        self._calls -= 1
        if not self._calls and self._rest is not None and not self._rest.done():
            self._rest.set_result(None)

    def _await_calls(self) -> None:
        """While the block is being left, a task waits for timers as others wait for their sources."""
        if self._leaving and self._calls and self._rest is None and self._group is not None:
            self._rest = self._loop.create_future()
            self._group.start_soon(self._wait_for_calls, self._rest)

    async def _wait_for_calls(self, rest: "asyncio.Future[None]") -> None:
        try:
            await rest
        finally:
            self._rest = None
        self._await_calls()

    async def _run(self, pump: Pump, cancellation: anyio.CancelScope) -> None:
        if cancellation.cancel_called:
            return
        with cancellation:
            try:
                await pump()
            except BaseException as error:
                self._judge(error, cancellation)
                raise

    def _judge(self, error: BaseException, cancellation: anyio.CancelScope) -> None:
        # A cancellation that neither the pump's owner nor the group asked for came from user code
        # (an awaited task somebody cancelled): without a word to the door the stream would hang.
        assert self._group is not None
        asked = cancellation.cancel_called or self._group.cancel_scope.cancel_called
        if isinstance(error, asyncio.CancelledError) and not asked:
            task = asyncio.current_task()
            if task is not None and not task.cancelling():
                self.crash(error)


class _Timer:
    """A call of a scope that is still to come."""

    __slots__ = ("_call", "_scope", "handle")

    def __init__(self, scope: Scope, call: Callable[[], object]) -> None:
        self._scope = scope
        self._call: Callable[[], object] | None = call
        self.handle: asyncio.TimerHandle | None = None

    def fire(self) -> None:
        """The time has come."""
        call, self._call, self.handle = self._call, None, None
        if call is not None:
            self._scope._guarded(call)  # noqa: SLF001 - two halves of one thing

    def cancel(self) -> None:
        """Forget it."""
        if self._call is not None and self.handle is not None:
            handle, self._call, self.handle = self.handle, None, None
            handle.cancel()
            self._scope._call_done()  # noqa: SLF001 - two halves of one thing


class _AsExecutor:
    """The one method of an executor that a loop calls."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    def submit(self, work: Callable[..., T], *args: Any) -> "Future[T]":
        future: Future[T] = Future()
        self._scheduler.execute(partial(_carry_out, future, work, args))
        return future


def _carry_out(future: "Future[T]", work: Callable[..., T], args: tuple[Any, ...]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        future.set_result(work(*args))
    except BaseException as error:  # noqa: BLE001 - a future carries whatever was raised
        future.set_exception(error)
    del future  # an error in it knows this frame by its traceback


def running_loop() -> asyncio.AbstractEventLoop:
    """The loop that runs here. Raises: UsageError without one."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError(
            "no event loop runs here; use block(), or await it in a coroutine"
        ) from None
