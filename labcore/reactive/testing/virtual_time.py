"""Event loops that know when everything is at rest, and one whose clock is a number.

A loop is *at rest* when no callback is ready and no worker thread is out: then nothing happens until
the next timer, and without a timer nothing ever will. asyncio knows that moment, for it is where it
would block in `select`; these loops say so. `VirtualTimeLoop` moves its clock there instead of
waiting, so that an hour of timers costs milliseconds, and nothing is global: each loop has its own
time, which `anyio.sleep`, deadlines and `loop.call_later` follow.

What holds the clock still: work given to `anyio.to_thread` (under its default limiter) or to
`run_in_executor`, and whatever is done inside `hold()`. Sockets do not: their answers take real time,
so timers pass before them.
"""

import asyncio
import contextvars
import math
import selectors
import time
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from enum import Enum
from typing import Any, Protocol, TypeVar

import anyio
from anyio import CapacityLimiter
from anyio.to_thread import current_default_thread_limiter

from labcore.kernel import LabError, UsageError

T = TypeVar("T")
Ready = list[tuple[selectors.SelectorKey, int]]

SAME_MOMENT_S = (
    1e-6  # timers closer than this fire together: sums of floats differ in the last digits
)
_OWN_PIPE = 1  # a loop always watches its own wake-up pipe


class StalledError(LabError):
    """Everything is at rest, no timer is set, and yet somebody still waits."""


class OverdueError(LabError, TimeoutError):
    """The run took more real time than its limit."""


class Rest(Enum):
    """What to do with a loop at rest."""

    GO_ON = "something was made ready: run it at this very moment"
    NEXT_TIMER = "let time pass to the next timer"
    WAIT = "somebody outside will send something: wait for it, the virtual clock held still"


class Watcher(Protocol):
    """Who wants to know that a loop came to rest."""

    def at_rest(self, next_in_s: float | None) -> Rest:
        """Nothing is ready; the next timer is due in that many seconds (None: there is none)."""
        ...


class RestLoop(asyncio.SelectorEventLoop):
    """asyncio's loop on the real clock, plus: it tells when it is at rest, and never hangs.

    Without timers, threads and sockets a run raises `StalledError`; with `allow(seconds)` it raises
    `OverdueError` after that much real time.
    """

    def __init__(self) -> None:
        self._gate = _Gate(self._idle, self._check_deadline)
        super().__init__(self._gate)
        self._deadline_s = self._allowed_s = math.inf
        self.watcher: Watcher | None = None
        self._holds = 0
        self._limiters: list[CapacityLimiter] = []

    def allow(self, seconds: float) -> None:
        """Give the run that much real time from now on."""
        self._allowed_s = seconds
        self._deadline_s = time.monotonic() + seconds

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Say that work goes on outside the loop: until then it is not at rest."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1

    def hold_while_borrowed(self, limiter: CapacityLimiter) -> None:
        """Count the loop as busy while somebody holds a token of that limiter."""
        self._limiters.append(limiter)

    def run_in_executor(  # type: ignore[override]  # typeshed spells the callable's arguments otherwise
        self, executor: Any, func: Callable[..., T], *args: Any
    ) -> "asyncio.Future[T]":
        """As asyncio's; the loop is not at rest until the call has returned."""
        future: asyncio.Future[T] = super().run_in_executor(executor, func, *args)
        self._holds += 1
        future.add_done_callback(self._release)
        return future

    async def shutdown_default_executor(self, *args: Any) -> None:
        """As asyncio's; joining the threads is work outside the loop."""
        with self.hold():
            await super().shutdown_default_executor(*args)

    @property
    def busy_outside(self) -> bool:
        """Whether worker threads are out."""
        return self._holds > 0 or any(one.borrowed_tokens for one in self._limiters)

    def _release(self, _: "asyncio.Future[Any]") -> None:
        self._holds -= 1

    def _check_deadline(self) -> None:
        if time.monotonic() > self._deadline_s:
            self._deadline_s = math.inf  # leaving the run must be possible
            raise OverdueError(f"none within {self._allowed_s:g} s of real time")

    def _idle(self, next_in_s: float | None) -> Ready:
        if self.busy_outside:
            return self._wait_outside(next_in_s)
        verdict = Rest.NEXT_TIMER if self.watcher is None else self.watcher.at_rest(next_in_s)
        if verdict is Rest.GO_ON:
            return []
        return (
            self._pass_time(next_in_s)
            if verdict is Rest.NEXT_TIMER
            else self._wait_outside(next_in_s)
        )

    def _wait_outside(self, next_in_s: float | None) -> Ready:
        return self._wait(next_in_s)

    def _pass_time(self, next_in_s: float | None) -> Ready:
        if next_in_s is None and not self.listens:
            raise StalledError(
                "everything is at rest and no timer is set, so what is awaited never comes: "
                "look for a value, a request or an event that nobody sends"
            )
        return self._wait(next_in_s)

    @property
    def listens(self) -> bool:
        """Whether sockets or pipes are watched: something may still come from outside."""
        return len(self._gate.get_map()) > _OWN_PIPE

    def _wait(self, timeout_s: float | None) -> Ready:
        left_s = max(0.0, self._deadline_s - time.monotonic())
        bounds = [bound for bound in (timeout_s, left_s) if bound is not None and bound < math.inf]
        return self._gate.wait(min(bounds, default=None))


class VirtualTimeLoop(RestLoop):
    """A loop whose clock starts at 0 s and moves only at rest, straight to the next timer.

    Made for `anyio.run(..., backend_options={"loop_factory": VirtualTimeLoop})` and for the
    `anyio_backend` fixture of pytest: `("asyncio", {"loop_factory": VirtualTimeLoop})`.
    """

    def __init__(self) -> None:
        self._now_s = 0.0
        super().__init__()
        self._clock_resolution = SAME_MOMENT_S

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._now_s

    def advance(self, seconds: float) -> None:
        """Move the clock; timers passed over fire at the loop's next turn."""
        self._now_s += seconds

    def _wait_outside(self, _: float | None) -> Ready:
        return self._wait(None)

    def _pass_time(self, next_in_s: float | None) -> Ready:
        if next_in_s is None:
            return super()._pass_time(None)
        self.advance(next_in_s)
        return []


class VirtualTime:
    """Runs a coroutine function on a virtual clock: `VirtualTime.run(main)`."""

    @staticmethod
    def run(main: Callable[[], Coroutine[Any, Any, T]], *, timeout_s: float = 10.0) -> T:
        """What `main()` returns, its sleeps and deadlines passed in no time.

        Works from inside a running loop (a notebook cell), too: then a thread of its own carries
        the virtual loop, with the caller's context variables. Inside, `anyio.current_time()` is the
        virtual clock and starts at 0 s.

        Raises:
            StalledError: When `main` waits for something that can never come.
            OverdueError: When it takes more than `timeout_s` of real time.
        """
        return run_on(VirtualTimeLoop, main, timeout_s=timeout_s)

    @staticmethod
    async def sleep(seconds: float) -> None:
        """Let virtual time pass, and never real time.

        Raises:
            UsageError: On a loop that is not virtual.
        """
        if not isinstance(asyncio.get_running_loop(), VirtualTimeLoop):
            raise UsageError(f"sleep({seconds:g}) would take real time: this loop is not virtual")
        await anyio.sleep(seconds)


def run_on(
    loop_factory: Callable[[], RestLoop],
    main: Callable[[], Coroutine[Any, Any, T]],
    *,
    timeout_s: float,
) -> T:
    """Run `main` on a loop of that kind, in a thread of its own when this one has a running loop."""
    if timeout_s <= 0:
        raise UsageError(f"timeout_s is {timeout_s}; give real seconds > 0")

    async def bounded() -> T:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, RestLoop)
        loop.hold_while_borrowed(current_default_thread_limiter())
        loop.allow(timeout_s)
        return await main()

    def here() -> T:
        return anyio.run(bounded, backend_options={"loop_factory": loop_factory})

    return _in_thread(here) if _loop_runs_here() else here()


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _in_thread(call: Callable[[], T]) -> T:
    with ThreadPoolExecutor(1, thread_name_prefix="labcore-verifier") as pool:
        return pool.submit(contextvars.copy_context().run, call).result()


class _Gate(selectors.DefaultSelector):
    """The selector asyncio polls: looks without waiting, then asks the loop what to do."""

    def __init__(self, idle: Callable[[float | None], Ready], check: Callable[[], None]) -> None:
        super().__init__()
        self._idle = idle
        self._check = check

    def select(self, timeout: float | None = None) -> Ready:
        """Ready file objects, or, at rest, whatever the loop decides to do with the time."""
        self._check()
        ready = super().select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        return self._idle(timeout)

    def wait(self, timeout_s: float | None) -> Ready:
        """Really wait for file objects."""
        return super().select(timeout_s)
