"""Circuit breaker, bulkhead and rate limiter: a pure machine, a lock around it, and three faces.

The lock is held while the machine decides and never while a call runs, a listener hears or a predicate
of the caller's is asked. One gate may serve all three faces at once: tasks, threads and streams then
share its places, its rate and its verdict. Their clocks must be one; loops and `World`s both read the
machine's monotonic clock.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar

from labcore.resilience.breaker import (
    BreakerMachine,
    CircuitBreakerConfig,
    CircuitBreakerMetrics,
    State,
)
from labcore.resilience.bulkhead import BulkheadConfig, BulkheadMachine, BulkheadMetrics
from labcore.resilience.events import Event, Listener, Listeners
from labcore.resilience.limiter import LimiterMachine, RateLimiterConfig, RateLimiterMetrics
from labcore.resilience.passage import Arm, Machine, Outcome, Passage, Wake
from labcore.resilience.stream import Guarding, Operator, guarded
from labcore.resilience.waiting import Blocking, TaskSignal, ThreadSignal

T = TypeVar("T")
M = TypeVar("M", bound=Machine)


class Gate(Generic[M]):
    """What calls must pass; thread-safe. The base of the three."""

    def __init__(self, machine: M) -> None:
        self._machine = machine
        self._lock = threading.Lock()
        self._listeners = Listeners()

    @property
    def name(self) -> str:
        """Who it is, in events and messages."""
        return self._machine.name

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Tell that listener of every decision; what is returned ends it."""
        self._machine.heard = True
        return self._listeners.add(listener)

    async def call_async(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Await `fn()` once it may pass; cancelled, it gives its permit back and counts neither way.

        Raises: RefusedError when the policy says no; else what `fn` raises.
        """
        loop = asyncio.get_running_loop()
        passage = self._machine.passage()
        await self._enter_task(passage, loop)
        if not self._machine.ends_matter:
            return await fn()
        try:
            value = await fn()
        except BaseException as exc:
            self.failed(passage, loop.time(), exc)
            raise
        self.succeeded(passage, loop.time(), value)
        return value

    def call(self, fn: Callable[[], T], world: Blocking) -> T:
        """Run `fn()` once it may pass, on this platform or virtual thread.

        Raises: RefusedError when the policy says no; else what `fn` raises.
        """
        passage = self._machine.passage()
        self._enter_thread(passage, world)
        if not self._machine.ends_matter:
            return fn()
        try:
            value = fn()
        except BaseException as exc:
            self.failed(passage, world.now_s(), exc)
            raise
        self.succeeded(passage, world.now_s(), value)
        return value

    @asynccontextmanager
    async def entered_async(self) -> AsyncIterator[None]:
        """`async with gate.entered_async(): …`: the block is the call, as in `call_async`."""
        loop = asyncio.get_running_loop()
        passage = self._machine.passage()
        await self._enter_task(passage, loop)
        try:
            yield
        except BaseException as exc:
            self.failed(passage, loop.time(), exc)
            raise
        self.succeeded(passage, loop.time(), None)

    @contextmanager
    def entered(self, world: Blocking) -> Iterator[None]:
        """`with gate.entered(world): …`: the block is the call, as in `call`."""
        passage = self._machine.passage()
        self._enter_thread(passage, world)
        try:
            yield
        except BaseException as exc:
            self.failed(passage, world.now_s(), exc)
            raise
        self.succeeded(passage, world.now_s(), None)

    def operator(self) -> Operator:
        """A function from stream to stream: each subscription of what it gives is one call.

        A Mono has succeeded with its value (or by ending without one), a Flux when it completes. A
        cancelled stream counts neither way.
        """
        return guarded((self,))

    def begin(self, run: Guarding, now_s: float) -> Passage:
        """For the operator: an attempt may pass, or waits. Raises: RefusedError."""
        passage = self._machine.passage()
        wait_s = self._enter(passage, now_s, run.arm)
        if wait_s:
            loop = asyncio.get_running_loop()
            run.wait(lambda signal: self._wait_in_task(passage, loop, signal, wait_s))
        return passage

    def succeeded(self, held: Passage, now_s: float, value: object) -> None:
        """It has succeeded. Raises: what a predicate of the caller's raises; it counts neither way then."""
        if not self._machine.ends_matter:
            return
        outcome = Outcome.CANCELLED
        try:
            outcome = self._machine.judge(value, None)
        finally:
            self._end(held, now_s, outcome)

    def failed(self, held: Passage, now_s: float, error: BaseException) -> None:
        """It has failed, or was cancelled. Raises: as `succeeded`."""
        if not self._machine.ends_matter:
            return
        if not isinstance(error, Exception):
            self._end(held, now_s, Outcome.CANCELLED)
            return
        outcome = Outcome.CANCELLED
        try:
            outcome = self._machine.judge(None, error)
        finally:
            self._end(held, now_s, outcome, error)

    def cancelled(self, held: Passage, now_s: float) -> None:
        """Nobody wants it any more: its permit goes back."""
        self._end(held, now_s, Outcome.CANCELLED)

    async def _enter_task(self, passage: Passage, loop: asyncio.AbstractEventLoop) -> None:
        signal = TaskSignal(loop)
        wait_s = self._enter(passage, loop.time(), signal.arm)
        if wait_s:
            await self._wait_in_task(passage, loop, signal, wait_s)

    async def _wait_in_task(
        self,
        passage: Passage,
        loop: asyncio.AbstractEventLoop,
        signal: TaskSignal,
        wait_s: float,
    ) -> None:
        try:
            while wait_s:
                await signal.wait(wait_s)
                wait_s = self._enter(passage, loop.time(), signal.arm)
        except BaseException:
            self._end(passage, loop.time(), Outcome.CANCELLED)
            raise

    def _enter_thread(self, passage: Passage, world: Blocking) -> None:
        signal = ThreadSignal(world)
        try:
            while wait_s := self._enter(passage, world.now_s(), signal.arm):
                signal.wait(wait_s)
        except BaseException:
            self._end(passage, world.now_s(), Outcome.CANCELLED)
            raise

    def _enter(self, passage: Passage, now_s: float, arm: Arm) -> float:
        machine, pending = self._machine, None
        try:
            with self._lock:
                try:
                    return passage.enter(now_s, arm)
                finally:
                    if machine.told or machine.woken:
                        pending = machine.drain()
        finally:
            if pending is not None:
                self._deliver(*pending)

    def _end(
        self, passage: Passage, now_s: float, outcome: Outcome, error: Exception | None = None
    ) -> None:
        machine = self._machine
        with self._lock:
            passage.end(now_s, outcome, error)
            pending = machine.drain() if machine.told or machine.woken else None
        if pending is not None:
            self._deliver(*pending)

    def _locked(self, act: Callable[[], T]) -> T:
        pending: tuple[list[Event], list[Wake]] | None = None
        try:
            with self._lock:
                try:
                    return act()
                finally:
                    pending = self._machine.drain()
        finally:
            if pending is not None:
                self._deliver(*pending)

    def _deliver(self, told: list[Event], woken: list[Wake]) -> None:
        for wake in woken:
            wake()
        for event in told:
            self._listeners.tell(event)


class CircuitBreaker(Gate[BreakerMachine]):
    """Stops calling what keeps failing. Resilience4j: CircuitBreaker."""

    def __init__(
        self, config: CircuitBreakerConfig | None = None, *, name: str = "breaker"
    ) -> None:
        super().__init__(BreakerMachine(config or CircuitBreakerConfig(), name=name))

    @property
    def config(self) -> CircuitBreakerConfig:
        """As configured."""
        return self._machine.config

    @property
    def state(self) -> State:
        """As of the last call or look."""
        return self._machine.state

    def look(self, now_s: float) -> State:
        """The state at that moment: what time alone brings about has happened."""
        return self._locked(lambda: self._machine.look(now_s))

    def transition_to(self, state: State, *, now_s: float) -> None:
        """Move by hand, to any state; it begins with empty windows."""
        self._locked(lambda: self._machine.transition_to(state, now_s))

    def metrics(self, now_s: float | None = None) -> CircuitBreakerMetrics:
        """What it knows at that moment; without one, as of the last call."""
        return self._locked(lambda: self._machine.metrics(now_s))

    def gauges(self) -> Mapping[str, float]:
        """For a sampler; state 0 is closed, 1 open, 2 half-open. Rates are percent, -1 undefined."""
        metrics = self.metrics()
        return {
            "breaker_state": metrics.state.value,
            "breaker_failure_rate": metrics.failure_rate,
            "breaker_slow_call_rate": metrics.slow_call_rate,
            "breaker_refused_total": metrics.not_permitted_calls,
        }


class Bulkhead(Gate[BulkheadMachine]):
    """So many calls at once, the others in a queue or refused. Resilience4j: Bulkhead."""

    def __init__(self, config: BulkheadConfig | None = None, *, name: str = "bulkhead") -> None:
        super().__init__(BulkheadMachine(config or BulkheadConfig(), name=name))

    @property
    def config(self) -> BulkheadConfig:
        """As configured."""
        return self._machine.config

    def metrics(self) -> BulkheadMetrics:
        """How full it is."""
        return self._locked(self._machine.metrics)

    def gauges(self) -> Mapping[str, float]:
        """For a sampler."""
        metrics = self.metrics()
        return {
            "bulkhead_in_use": metrics.in_use,
            "bulkhead_waiting": metrics.waiting,
            "bulkhead_refused_total": metrics.refused,
        }


class RateLimiter(Gate[LimiterMachine]):
    """So many starts in any period, the others wait in order or are refused. Resilience4j: RateLimiter."""

    def __init__(
        self, config: RateLimiterConfig | None = None, *, name: str = "rate limiter"
    ) -> None:
        super().__init__(LimiterMachine(config or RateLimiterConfig(), name=name))

    @property
    def config(self) -> RateLimiterConfig:
        """As configured."""
        return self._machine.config

    def metrics(self, now_s: float) -> RateLimiterMetrics:
        """How much of the rate is used at that moment."""
        return self._locked(lambda: self._machine.metrics(now_s))

    def gauges(self) -> Mapping[str, float]:
        """For a sampler."""
        machine = self._machine
        return {"limiter_waiting": machine.waiting, "limiter_refused_total": machine.refused}
