"""What a call within policies costs that nothing makes wait: CPU a call, in three styles of calling.

A call here does nothing, so the bare one is the style's own price: a coroutine, a function, a Mono whose
task runs a coroutine. Every policy says yes at once and nobody listens.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd

from labcore.reactive import Mono
from labcore.resilience import (
    Bulkhead,
    CircuitBreaker,
    Policies,
    RateLimiter,
    RateLimiterConfig,
    Retry,
    TimeLimiter,
)
from labcore.virtual import BlockingExecutor, PlatformThreadExecutor

SUMMARY = "resilience: CPU of a call bare, within each policy and within all, in three styles"

CALLS: Final = 3_000
REPEATS: Final = 9
BARE, ALL = "bare", "all five"
STYLES: Final = ("async", "platform thread", "Mono")
_EACH: Final[dict[str, Callable[[], Any]]] = {
    "retry": Retry,
    "circuit_breaker": CircuitBreaker,
    "rate_limiter": lambda: RateLimiter(RateLimiterConfig(limit_for_period=10**9)),
    "time_limiter": TimeLimiter,
    "bulkhead": Bulkhead,
}


@dataclass(frozen=True, slots=True)
class Threads:
    """The world of a thread that waits for nothing but its forks."""

    forks: BlockingExecutor
    sleep: Callable[[float], object] = time.sleep

    def now_s(self) -> float:
        """Monotonic seconds."""
        return time.monotonic()


def run(*, quick: bool) -> pd.DataFrame:
    """Microseconds of CPU a call, the least of interleaved repeats; one row a style and policy.

    `ratio` and `added_us` are over the bare call of the same style; bare, a coroutine or a function
    that does nothing costs next to nothing, so across styles `added_us` is what compares.
    """
    repeats, calls = (2, CALLS // 20) if quick else (REPEATS, CALLS)
    chosen = {BARE: (), **{name: (name,) for name in _EACH}, ALL: tuple(_EACH)}
    guards = {
        label: Policies(**{name: _EACH[name]() for name in names})
        for label, names in chosen.items()
    }
    least: dict[tuple[str, str], float] = {}
    forks = PlatformThreadExecutor(1, name="fork")
    try:
        for repeat in range(repeats):
            cells = [(style, label) for style in STYLES for label in guards]
            for style, label in cells if repeat % 2 == 0 else reversed(cells):
                guard = None if label == BARE else guards[label]
                spent_us = _measured(style, guard, calls=calls, world=Threads(forks))
                least[style, label] = min(spent_us, least.get((style, label), spent_us))
    finally:
        forks.shutdown()
    return pd.DataFrame(_row(least, style, label) for style in STYLES for label in guards)


def _row(least: dict[tuple[str, str], float], style: str, label: str) -> dict[str, Any]:
    spent_us, bare_us = least[style, label], least[style, BARE]
    return {
        "style": style,
        "policies": label,
        "cpu_us": round(spent_us, 2),
        "added_us": round(spent_us - bare_us, 2),
        "ratio": round(spent_us / bare_us, 2),
    }


def _measured(style: str, guard: Policies | None, *, calls: int, world: Threads) -> float:
    """CPU microseconds of one call, those of every thread together."""
    if style == "platform thread":
        return _threads(guard, calls=calls, world=world)
    kind = _tasks if style == "async" else _monos
    return asyncio.run(kind(guard, calls=calls))


def _threads(guard: Policies | None, *, calls: int, world: Threads) -> float:
    before_ns = time.process_time_ns()
    for _ in range(calls):
        if guard is None:
            _nothing()
        else:
            guard.call(_nothing, world)
    return _since_us(before_ns) / calls


async def _tasks(guard: Policies | None, *, calls: int) -> float:
    before_ns = time.process_time_ns()
    for _ in range(calls):
        if guard is None:
            await _nothing_async()
        else:
            await guard.call_async(_nothing_async)
    return _since_us(before_ns) / calls


async def _monos(guard: Policies | None, *, calls: int) -> float:
    operator = None if guard is None else guard.operator()
    before_ns = time.process_time_ns()
    for _ in range(calls):
        mono = Mono.from_callable(_nothing_async)
        await (mono if operator is None else operator(mono))
    return _since_us(before_ns) / calls


def _since_us(before_ns: int) -> float:
    return (time.process_time_ns() - before_ns) / 1e3


def _nothing() -> None:
    """The call of a thread."""


async def _nothing_async() -> None:
    """The call of a task, and of a Mono."""
