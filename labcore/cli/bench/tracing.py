"""What tracing costs a virtual thread that parks: switched off, allowed but not asked for, asked for."""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any, Final

import pandas as pd

from labcore.kernel import TRACING, Trace, traced
from labcore.virtual import VirtualThreadExecutor, await_, sleep

SUMMARY = "tracing: a park of a virtual thread with tracing off, allowed, and on"

PARKS: Final = 20_000
REPEATS: Final = 15
OFF, ALLOWED, ON = "off", "allowed, not asked for", "on"


def run(*, quick: bool) -> pd.DataFrame:
    """Microseconds of CPU a park, the modes interleaved, one row a kind of park and mode.

    `ratio` is over the same park with tracing off; *off, once more* is the control: what the two
    differ by is noise. `hook_ns` is the question each hook asks where tracing is off.
    """
    repeats, parks = (3, PARKS // 10) if quick else (REPEATS, PARKS)
    kinds: dict[str, Callable[[int], None]] = {"timer": _sleeps, "coroutine": _awaits}
    times: dict[tuple[str, str], list[float]] = {}
    for repeat in range(repeats):
        modes = [OFF, ALLOWED, ON, "off, once more"]
        for mode in modes if repeat % 2 == 0 else reversed(modes):
            for kind, fn in kinds.items():
                spent_us = asyncio.run(_measured(fn, parks=parks, mode=mode))
                times.setdefault((kind, mode), []).append(spent_us)
    hook_ns = _hook_ns(parks)
    rows: list[dict[str, Any]] = []
    for (kind, mode), spent in times.items():
        ratio = statistics.median(
            one / base for one, base in zip(spent, times[kind, OFF], strict=True)
        )
        rows.append(
            {
                "park": kind,
                "tracing": mode,
                "us_a_park": round(statistics.median(spent), 3),
                "ratio": round(ratio, 3),
                "hook_ns": round(hook_ns, 1) if mode == OFF else float("nan"),
            }
        )
    return pd.DataFrame(rows).sort_values("park", kind="stable", ignore_index=True)


async def _measured(fn: Callable[[int], None], *, parks: int, mode: str) -> float:
    """CPU microseconds of one park."""
    executor = VirtualThreadExecutor(name="bench")
    TRACING.on = mode in {ALLOWED, ON}
    before_ns = time.process_time_ns()
    try:
        if mode == ON:
            with traced(Trace("bench", most=4 * parks)):
                await asyncio.wrap_future(executor.submit(fn, parks))
        else:
            await asyncio.wrap_future(executor.submit(fn, parks))
    finally:
        TRACING.on = False
    return (time.process_time_ns() - before_ns) / 1e3 / parks


def _sleeps(count: int) -> None:
    """Parks on nothing but the loop's next turn."""
    for _ in range(count):
        sleep(0)


def _awaits(count: int) -> None:
    for _ in range(count):
        await_(asyncio.sleep(0))


def _hook_ns(turns: int) -> float:
    """Nanoseconds of asking the switch, less those of the loop around it."""
    switch, asked, empty = TRACING, [], []
    for _ in range(REPEATS):
        before_ns = time.process_time_ns()
        for _turn in range(turns):
            _ = 0 if switch.on else None
        asked.append(time.process_time_ns() - before_ns)
        before_ns = time.process_time_ns()
        for _turn in range(turns):
            _ = None
        empty.append(time.process_time_ns() - before_ns)
    return (min(asked) - min(empty)) / turns
