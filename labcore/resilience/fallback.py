"""Fallback: another answer in place of a failure, outside all other policies."""

import asyncio
import inspect
import threading
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar, cast

from labcore.reactive import Down, Mono
from labcore.resilience.events import Event, EventKind, Listener, Listeners
from labcore.resilience.stream import Operator
from labcore.resilience.waiting import Blocking

T = TypeVar("T")
Matching = type[Exception] | tuple[type[Exception], ...]


class Fallback:
    """What `recover(error)` gives, in place of a failure of the types in `only`. Thread-safe.

    `recover` returns a value; for tasks an awaitable of one is awaited, too. What it raises is raised.
    Resilience4j: Decorators.withFallback.
    """

    def __init__(
        self,
        recover: Callable[[Exception], Any],
        *,
        only: Matching = Exception,
        name: str = "fallback",
    ) -> None:
        self.recover = recover
        self.only = only
        self.name = name
        self._listeners = Listeners()
        self._lock = threading.Lock()
        self._used = 0

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Tell that listener of every failure answered; what is returned ends it."""
        return self._listeners.add(listener)

    async def call_async(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Await `fn()`, or else the other answer."""
        try:
            return await fn()
        except self.only as exc:
            answer = self._answer(exc, asyncio.get_running_loop().time())
            return cast("T", await answer if inspect.isawaitable(answer) else answer)

    def call(self, fn: Callable[[], T], world: Blocking) -> T:
        """Run `fn()`, or else the other answer."""
        try:
            return fn()
        except self.only as exc:
            return cast("T", self._answer(exc, world.now_s()))

    def operator(self) -> Operator:
        """A function from stream to stream; after a failure the other answer is the last value."""
        return self._around

    def gauges(self) -> Mapping[str, float]:
        """For a sampler."""
        return {"fallback_total": self._used}

    def _around(self, source: Any) -> Any:
        def feed(down: Down[Any]) -> None:
            other = partial(self._other, down.scope.now_s)
            source.on_error_resume(other, only=self.only).feed(down)

        return source.like(feed)

    def _other(self, now_s: Callable[[], float], error: Exception) -> Any:
        answer = self._answer(error, now_s())
        return answer if inspect.isawaitable(answer) else Mono.just(answer)

    def _answer(self, error: Exception, now_s: float) -> Any:
        with self._lock:
            self._used += 1
        self._listeners.tell(Event(EventKind.FALLBACK, self.name, now_s, error=error))
        return self.recover(error)
