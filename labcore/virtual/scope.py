"""Structured concurrency for blocking code: what is forked in a scope has ended when it is left.

The same scope serves platform and virtual threads; the executor given to it decides what a fork is and
how joining waits.

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
from labcore.virtual.executor import BlockingExecutor
from labcore.virtual.future import VirtualFuture

T = TypeVar("T")
_Outcome = Future[Any]


class Policy(Enum):
    """When a scope ends early."""

    SHUTDOWN_ON_FAILURE = auto()  # the first failure cancels the rest, and `join` raises it
    SHUTDOWN_ON_SUCCESS = auto()  # the first success cancels the rest


class StructuredTaskScope:
    """Fork, join, read results. Leaving the block waits for every fork, whatever happened.

    Forks that have not begun are cancelled for good; a running virtual thread is interrupted at its park
    point; a running platform thread cannot be, so leaving waits for it to finish. A fork that was
    cancelled or interrupted raises `concurrent.futures.CancelledError` from its `result`.

    Args:
        executor: runs the forks; a scope opened on one of its bounded threads gets threads of its own,
            so that no nesting of scopes can lock up.
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
        if deadline_s is not None and deadline_s <= 0:
            raise UsageError(f"deadline_s={deadline_s} must be above 0, or None for no deadline")
        self._given = executor
        self._executor = executor.for_forks()
        self._limit = limit
        self._deadline_s = None if deadline_s is None else time.monotonic() + deadline_s
        self._policy = policy
        self._lock = threading.RLock()
        self._waiting: deque[tuple[_Outcome, Callable[[], Any]]] = deque()
        self._running: dict[_Outcome, Future[Any]] = {}
        self._settled = executor.latch()  # the scope has its answer
        self._empty = executor.latch()  # nothing runs any more
        self._first_failure: BaseException | None = None
        self._winner: _Outcome | None = None
        self._open = False
        self._forked = False
        self._joined = False
        self._shut = False

    def fork(self, fn: Callable[..., T], *args: Any) -> "Future[T]":
        """Start `fn(*args)` beside the caller; read its result after `join`.

        In a scope that is over already, it never starts.

        Raises: UsageError outside the block or after `join`.
        """
        if not self._open or self._joined:
            raise UsageError("fork inside the scope's block and before its join")
        self._forked = True
        outcome = cast("Future[T]", self._given.latch())
        with self._lock:
            if self._shut:
                outcome.cancel()
                return outcome
            self._waiting.append((outcome, partial(fn, *args)))
        self._go_on()
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
        self._go_on()
        left_s = None if self._deadline_s is None else self._deadline_s - time.monotonic()
        try:
            self._settled.result(None if left_s is None else max(0.0, left_s))
        except TimeoutError as exc:
            raise TimeLimitExceededError("the scope's deadline passed before its join") from exc
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
            if self._shut:
                return
            self._shut = True
            dropped = list(self._waiting)
            self._waiting.clear()
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
        self._open = False
        self.shutdown()
        self._drain()
        if self._executor is not self._given:
            self._executor.shutdown()
        if self._forked and not self._joined and error is None:
            raise UsageError("the scope was left without a join; its forks were cancelled")

    def _drain(self) -> None:
        with self._lock:
            if not self._running:
                return
        cancelled: asyncio.CancelledError | None = None
        while True:
            try:
                self._empty.result()
            except asyncio.CancelledError as exc:  # no orphan, even when the owner is cancelled now
                cancelled = exc
            else:
                break
        if cancelled is not None:
            raise cancelled

    def _go_on(self) -> None:
        """Start forks up to the limit; with none left to wait for, the join has its answer."""
        while True:
            with self._lock:
                if self._joined and not self._running and not self._waiting:
                    _set(self._settled)
                full = self._limit is not None and len(self._running) >= self._limit
                if full or not self._waiting:
                    return
                outcome, run = self._waiting.popleft()
                if not outcome.set_running_or_notify_cancel():
                    continue
                # Submitting under the lock keeps `shutdown` from missing a fork that just began.
                self._running[outcome] = future = self._submit(run)
            future.add_done_callback(partial(self._finished, outcome))

    def _submit(self, run: Callable[[], Any]) -> "Future[Any]":
        try:
            return self._executor.submit(run)
        except RuntimeError as exc:  # the executor is shut down: a fork that failed
            failed: Future[Any] = Future()
            failed.set_exception(exc)
            return failed

    def _finished(self, outcome: _Outcome, done: "Future[Any]") -> None:
        error = _error_of(done)
        if error is None:
            outcome.set_result(done.result())
        else:
            outcome.set_exception(error)
        with self._lock:
            del self._running[outcome]
            over = self._note(outcome, error)
        if over:
            self.shutdown()
        self._go_on()
        with self._lock:
            if not self._open and not self._running:
                _set(self._empty)

    def _note(self, outcome: _Outcome, error: BaseException | None) -> bool:
        """Remember a first failure or success; whether it gives the scope its answer.

        What ends after the shutdown was told to, and is no answer.
        """
        if self._shut:
            return False
        if error is None:
            if self._policy is Policy.SHUTDOWN_ON_SUCCESS:
                self._winner = outcome
            return self._policy is Policy.SHUTDOWN_ON_SUCCESS
        if self._first_failure is None:
            self._first_failure = error
        return self._policy is Policy.SHUTDOWN_ON_FAILURE


def _error_of(done: "Future[Any]") -> BaseException | None:
    try:
        return done.exception(0)
    except CancelledError as exc:
        return exc


def _set(latch: "Future[None]") -> None:
    if not latch.done():
        latch.set_result(None)


def _interrupt(future: "Future[Any]") -> None:
    if isinstance(future, VirtualFuture):
        future.interrupt()
    else:
        future.cancel()
