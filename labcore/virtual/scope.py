"""Structured concurrency for blocking code: what is forked in a scope has ended when it is left.

The same scope serves platform and virtual threads; the executor given to it decides what a fork is and
how joining waits. With platform threads the executor must be another than the one whose thread opens
the scope, or nested waits could use up the pool; a `World` sees to that.

Source: JEP 453 and JEP 505, Structured Concurrency (`StructuredTaskScope`).
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError, Future
from enum import Enum, auto
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar, cast

from labcore.kernel import UsageError
from labcore.virtual.errors import TimeLimitExceededError
from labcore.virtual.executor import BlockingExecutor, VirtualFuture

T = TypeVar("T")


class Policy(Enum):
    """When a scope ends early."""

    SHUTDOWN_ON_FAILURE = auto()  # the first failure cancels the rest, and `join` raises it
    SHUTDOWN_ON_SUCCESS = auto()  # the first success cancels the rest


class StructuredTaskScope:
    """Fork, join, read results. Leaving the block waits for every fork, whatever happened.

    Forks that have not begun are cancelled for good; a running virtual thread is interrupted at its park
    point; a running platform thread cannot be, so leaving waits for it to finish.

    Args:
        executor: runs the forks.
        limit: how many forks run at once; the others wait their turn in order. None: all.
        deadline_s: seconds from the opening after which `join` gives up.
        policy: what ends the scope early.
    """

    def __init__(
        self,
        executor: BlockingExecutor,
        *,
        limit: int | None = None,
        deadline_s: float | None = None,
        policy: Policy = Policy.SHUTDOWN_ON_FAILURE,
    ) -> None:
        if limit is not None and limit < 1:
            raise UsageError(f"limit={limit} must be at least 1, or None for no limit")
        self._executor = executor
        self._limit = limit
        self._deadline_s = None if deadline_s is None else time.monotonic() + deadline_s
        self._policy = policy
        self._lock = threading.RLock()
        self._forks: list[Future[Any]] = []
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()
        self._running: dict[Future[Any], Future[Any]] = {}
        self._unfinished = 0
        self._settled = executor.latch()  # the scope has its answer
        self._empty = executor.latch()  # nothing runs any more
        self._first_failure: BaseException | None = None
        self._winner: Future[Any] | None = None
        self._open = False
        self._joined = False

    def fork(self, fn: Callable[..., T], *args: Any) -> "Future[T]":
        """Start `fn(*args)` beside the caller; read its result after `join`.

        Raises: UsageError outside the block or after `join`.
        """
        if not self._open or self._joined:
            raise UsageError("fork inside the scope's block and before its join")
        outcome = cast("Future[T]", self._executor.latch())
        with self._lock:
            self._forks.append(outcome)
            if self._is_over():
                outcome.cancel()
                return outcome
            self._unfinished += 1
            self._waiting.append((outcome, lambda: fn(*args)))
        self._start_more()
        return outcome

    def join(self) -> Self:
        """Wait until the scope has its answer.

        Raises:
            BaseException: under SHUTDOWN_ON_FAILURE, the first failure of a fork; under
                SHUTDOWN_ON_SUCCESS, the first failure when no fork succeeded.
            TimeLimitExceededError: the deadline passed first.
        """
        if not self._open:
            raise UsageError("join inside the scope's block")
        self._joined = True
        with self._lock:
            if self._unfinished == 0:
                _set(self._settled)
        self._await_settled()
        if self._winner is None and self._first_failure is not None:
            raise self._first_failure
        return self

    def result(self) -> Any:
        """The first success, under SHUTDOWN_ON_SUCCESS. Raises: UsageError when there is none."""
        if self._winner is None:
            raise UsageError("no fork has succeeded; call join first, under SHUTDOWN_ON_SUCCESS")
        return self._winner.result()

    def shutdown(self) -> None:
        """Cancel what has not begun and interrupt what runs; return at once."""
        with self._lock:
            dropped = list(self._waiting)
            self._waiting.clear()
            self._unfinished -= len(dropped)
            running = list(self._running.values())
            _set(self._settled)
        for outcome, _ in dropped:
            outcome.cancel()
        for future in running:
            _interrupt(future)

    def __enter__(self) -> Self:
        self._open = True
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        unjoined = bool(self._forks) and not self._joined
        self._open = False
        self.shutdown()
        self._drain()
        if unjoined and error is None:
            raise UsageError("the scope was left without a join; its forks were cancelled")

    def _await_settled(self) -> None:
        left_s = None if self._deadline_s is None else self._deadline_s - time.monotonic()
        try:
            self._settled.result(None if left_s is None else max(0.0, left_s))
        except TimeoutError as exc:
            raise TimeLimitExceededError("the scope's deadline passed before its join") from exc

    def _drain(self) -> None:
        with self._lock:
            if not self._running:
                _set(self._empty)
        interrupted = False
        while True:
            try:
                self._empty.result()
            except asyncio.CancelledError:  # no orphan, even when the owner is cancelled meanwhile
                interrupted = True
            else:
                break
        if interrupted:
            raise asyncio.CancelledError

    def _start_more(self) -> None:
        while True:
            with self._lock:
                full = self._limit is not None and len(self._running) >= self._limit
                if full or not self._waiting:
                    return
                outcome, run = self._waiting.popleft()
                if not outcome.set_running_or_notify_cancel():
                    self._unfinished -= 1
                    continue
                # Submitting under the lock keeps `shutdown` from missing a fork that just began.
                future = self._executor.submit(run)
                self._running[outcome] = future
            future.add_done_callback(partial(self._finished, outcome))

    def _finished(self, outcome: "Future[Any]", done: "Future[Any]") -> None:
        error = _error_of(done)
        if error is None:
            outcome.set_result(done.result())
        else:
            outcome.set_exception(error)
        with self._lock:
            del self._running[outcome]
            self._unfinished -= 1
            over = self._note(outcome, error)
            if self._joined and self._unfinished == 0:
                over = True
            if over:
                _set(self._settled)
            if not self._open and not self._running:
                _set(self._empty)
        if self._is_over():
            self.shutdown()
        else:
            self._start_more()

    def _note(self, outcome: "Future[Any]", error: BaseException | None) -> bool:
        """Remember a first failure or success; whether it gives the scope its answer."""
        if error is not None:
            if self._first_failure is None:
                self._first_failure = error
            return self._policy is Policy.SHUTDOWN_ON_FAILURE
        if self._policy is Policy.SHUTDOWN_ON_SUCCESS and self._winner is None:
            self._winner = outcome
            return True
        return False

    def _is_over(self) -> bool:
        if self._policy is Policy.SHUTDOWN_ON_FAILURE:
            return self._first_failure is not None
        return self._winner is not None


def _error_of(done: "Future[Any]") -> BaseException | None:
    try:
        return done.exception(0)
    except CancelledError as exc:
        return exc


def _set(latch: "Future[None]") -> None:
    if not latch.done():
        latch.set_result(None)


def _interrupt(future: "Future[Any]") -> None:
    if isinstance(future, VirtualFuture) and future.thread is not None:
        future.thread.loop.call_soon_threadsafe(future.thread.interrupt)
    else:
        future.cancel()
