"""Retry on its three faces: the pure rule of `retry.py`, and who waits how."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import TypeVar

import anyio

from labcore.resilience.budget import TokenBucket
from labcore.resilience.events import Listener, Listeners
from labcore.resilience.retry import RetryCall, RetryConfig, RetryMetrics
from labcore.resilience.stream import Operator, guarded
from labcore.resilience.waiting import Blocking

T = TypeVar("T")


class RetryBudget:
    """A bucket of retries, thread-safe; give one to every `Retry` of the same peer.

    Args:
        retry_share: of a retry, paid in by each call; 0.2 is a fifth more load at worst.
        min_retries_per_s: paid in by time, so that a rare caller may retry, too.
        capacity: retries saved up at most, and there to begin with.

    Raises: UsageError for a value out of range.
    """

    def __init__(
        self,
        *,
        retry_share: float = 0.2,
        min_retries_per_s: float = 1.0,
        capacity: float = 10.0,
    ) -> None:
        self._bucket = TokenBucket(
            retry_share=retry_share, min_retries_per_s=min_retries_per_s, capacity=capacity
        )
        self._lock = threading.Lock()

    def deposit(self, now_s: float) -> None:
        """A call begins."""
        with self._lock:
            self._bucket.deposit(now_s)

    def withdraw(self, now_s: float) -> bool:
        """Whether one more retry may be."""
        with self._lock:
            return self._bucket.withdraw(now_s)

    @property
    def balance(self) -> float:
        """Retries left, as of the last call."""
        return self._bucket.tokens


class Retry:
    """Tries again what failed, as its configuration and its budget allow. Resilience4j: Retry.

    Not `labcore.reactive.Retry`, which is Reactor's rule for `retry_when` and knows streams alone; this one
    serves tasks, threads and streams, and counts. Thread-safe. Cancelled while it waits, it ends at once.
    """

    def __init__(
        self,
        config: RetryConfig | None = None,
        *,
        budget: RetryBudget | None = None,
        name: str = "retry",
    ) -> None:
        self.config = config or RetryConfig()
        self.budget = budget
        self.name = name
        self._backoff = self.config.backoff()
        self._listeners = Listeners()
        self._lock = threading.Lock()
        self._counts: dict[str, int] = asdict(RetryMetrics())

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Tell that listener of every decision; what is returned ends it."""
        return self._listeners.add(listener)

    async def call_async(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Await `fn()`, and again as the rule says. Raises: what the last attempt raised."""
        now_s = asyncio.get_running_loop().time
        call = self.begin(now_s())
        while True:
            try:
                value = await fn()
            except Exception as exc:
                wait_s = self.failed(call, exc, now_s())
                if wait_s is None:
                    raise
            else:
                wait_s = self._returned(call, value, now_s())
                if wait_s is None:
                    return value
            await anyio.sleep(wait_s)

    def call(self, fn: Callable[[], T], world: Blocking) -> T:
        """Run `fn()`, and again as the rule says. Raises: what the last attempt raised."""
        call = self.begin(world.now_s())
        while True:
            try:
                value = fn()
            except Exception as exc:
                wait_s = self.failed(call, exc, world.now_s())
                if wait_s is None:
                    raise
            else:
                wait_s = self._returned(call, value, world.now_s())
                if wait_s is None:
                    return value
            world.sleep(wait_s)

    def operator(self) -> Operator:
        """A function from stream to stream, which subscribes again as the rule says.

        In a Flux each value is looked at, and one to retry begins the whole stream again.
        """
        return guarded((), self)

    def metrics(self) -> RetryMetrics:
        """How calls have ended."""
        with self._lock:
            return RetryMetrics(**self._counts)

    def gauges(self) -> Mapping[str, float]:
        """For a sampler."""
        metrics = self.metrics()
        return {
            "retries_total": metrics.retries,
            "retry_budget_refused_total": metrics.budget_refusals,
        }

    @property
    def looks(self) -> bool:
        """Whether results may be ones to retry."""
        return self.config.retry_on_result is not None

    def begin(self, now_s: float) -> RetryCall:
        """A call begins: it pays into the budget."""
        call = RetryCall(
            self.config,
            backoff=self._backoff,
            budget=self.budget,
            name=self.name,
            tell=self._listeners.tell if self._listeners else None,
        )
        call.begin(now_s)
        return call

    def _returned(self, call: RetryCall, value: object, now_s: float) -> float | None:
        wait_s = self.judge(call, value, now_s)
        if wait_s is None:
            self.count(call, failed=False)
        return wait_s

    def judge(self, call: RetryCall, value: object, now_s: float) -> float | None:
        """Seconds to wait before another attempt, None when the value is the answer.

        Raises: MaxRetriesExceededError, as the configuration says, and what its predicate raises.
        """
        try:
            wait_s = call.after_result(value, now_s)
        except Exception:
            self.count(call, failed=True)
            raise
        if wait_s is not None:
            self._add("retries")
        return wait_s

    def failed(self, call: RetryCall, error: Exception, now_s: float) -> float | None:
        """Seconds to wait before another attempt, None when the error is the answer."""
        wait_s = call.after_error(error, now_s)
        if wait_s is None:
            self.count(call, failed=True)
        else:
            self._add("retries")
        return wait_s

    def count(self, call: RetryCall, *, failed: bool) -> None:
        """The call has ended so."""
        end = "failed" if failed else "successful"
        self._add(f"{end}_{'with' if call.attempts > 1 else 'without'}_retry")
        if call.budget_refused:
            self._add("budget_refusals")

    def _add(self, what: str) -> None:
        with self._lock:
            self._counts[what] += 1
