"""Scope: who owns the tasks, timers and clean-ups of one root subscription.

A scope is entered only when a task is needed: a chain that ends synchronously costs nothing. Its
tasks are the loop's own, each in a cancel scope of anyio: a task group would cost three times as much. Leaving the scope waits for every pump, `finally` included. Time is the
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


NO_HOOKS = Hooks()


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
        *("_begun", "_block", "_calls", "_cancelled", "_closed", "_crash", "_detached", "_faults"),
        *("_host", "_leaving", "_loop", "_pending", "_pumps", "_rest", "hooks"),
    )

    def __init__(self, *, hooks: Hooks | None = None) -> None:
        self.hooks = hooks or NO_HOOKS
        self._loop = asyncio.get_running_loop()
        self._block: anyio.CancelScope | None = None  # around the body, once it is entered
        self._pending: list[tuple[Pump, anyio.CancelScope]] = []
        self._pumps: dict[anyio.CancelScope, asyncio.Task[None]] = {}
        self._begun: set[anyio.CancelScope] = set()
        self._faults: list[BaseException] = []
        self._crash: BaseException | None = None
        self._cancelled = self._closed = self._leaving = False
        self._calls = 0  # timers and calls under way
        self._rest: asyncio.Future[None] | None = None
        self._detached = False
        self._host: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Scope":
        self._block = anyio.CancelScope()
        self._block.__enter__()
        pending, self._pending = self._pending, []
        for pump, cancellation in pending:
            self._start(pump, cancellation)
        if self._crash is not None:
            self.cancel()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        assert self._block is not None
        try:
            if error is not None:
                self.cancel()
            self._leaving = True
            if self._busy:
                error = await self._wait(error)
            error = self._verdict(error)
            handled = self._block.__exit__(type(error) if error else None, error, None)
            self._closed = True
            if self._crash is not None:
                raise self._crash
            if error is None or handled:
                return handled
            if kind is not None and type(error) is kind:
                return False
            raise error
        finally:
            del error, trace  # an error that goes on knows this frame by its traceback

    @property
    def _busy(self) -> bool:
        """Whether leaving has to wait: for pumps always, for calls unless it is cancelled."""
        return bool(self._pumps) or (self._calls > 0 and not self._cancelled)

    async def _wait(self, error: BaseException | None) -> BaseException | None:
        """Wait for all, whatever cancels the caller meanwhile: the cancellation is what is given."""
        with anyio.CancelScope(shield=error is not None) as waiting:
            while self._busy:
                self._rest = self._loop.create_future()
                try:
                    await self._rest
                except asyncio.CancelledError as late:
                    waiting.shield = True
                    self.cancel()
                    error = late if error is None else error
                self._rest = None
        return error

    def _verdict(self, error: BaseException | None) -> BaseException | None:
        """What leaving raises: the one fault alone, several as a group, or what the body raised."""
        faults, self._faults = self._faults, []
        if error is not None and not isinstance(error, asyncio.CancelledError):
            faults.insert(0, error)
        if len(faults) > 1:
            return BaseExceptionGroup("several pumps of a stream failed", faults)
        return faults[0] if faults else error

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

    def later(self, delay_s: float, call: Callable[[], object]) -> Timer:
        """Run the call after that many seconds."""
        self._calls += 1
        timer = _Timer(self, call)
        timer.handle = self._loop.call_later(delay_s, timer.fire)
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
        if self._block is not None:
            self._start(pump, cancellation)
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
        if self._block is None or self._cancelled:
            return
        self._cancelled = True
        for cancellation in list(self._begun):
            cancellation.cancel()  # the others still run up to their first wait, as a clean-up must
        self._block.cancel()
        self._settle()

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
        self._block = self._host = None
        self._cancelled = self._closed = self._leaving = False

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
        self._settle()

    def _settle(self) -> None:
        """Let the leaver go on when there is nothing left to wait for."""
        if self._rest is not None and not self._busy and not self._rest.done():
            self._rest.set_result(None)

    def _start(self, pump: Pump, cancellation: anyio.CancelScope) -> None:
        if self._closed:
            raise UsageError("the scope of this stream has been left; nothing can be started in it")
        task = self._pumps[cancellation] = self._loop.create_task(self._run(pump, cancellation))
        task.add_done_callback(lambda _: self._never_began(cancellation))

    def _never_began(self, cancellation: anyio.CancelScope) -> None:
        """A task cancelled before its first step, by a loop that is shut down, has no `finally`."""
        if self._pumps.pop(cancellation, None) is not None:
            self._settle()

    async def _run(self, pump: Pump, cancellation: anyio.CancelScope) -> None:
        try:
            if not cancellation.cancel_called:
                with cancellation:
                    self._begun.add(cancellation)
                    if self._cancelled:
                        cancellation.cancel()
                    await pump()
        except asyncio.CancelledError as error:
            # Neither the pump's owner nor the scope asked for it: it came from user code (an awaited
            # task somebody cancelled), and without a word to the door the stream would hang; or the
            # loop is being shut down.
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                self.cancel()
                raise
            self.crash(error)
        except (KeyboardInterrupt, SystemExit):
            self.cancel()
            raise
        except BaseException as error:  # noqa: BLE001 - the supervisor: leaving raises it
            self._faults.append(error)
            self.cancel()
        finally:
            self._begun.discard(cancellation)
            del self._pumps[cancellation]
            self._settle()


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
