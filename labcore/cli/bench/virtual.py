"""`labcore bench virtual`: what a waiting unit of each kind costs to make, to switch and to keep.

Each measurement has a process of its own, so that nobody inherits another's heap; the contestants of a
case run in turn, round after round. All event loops are uvloop's, as the servers' are.
"""

import asyncio
import resource
import statistics
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

import pandas as pd
import uvloop

from labcore.lanes import Child, ChildContext
from labcore.virtual import (
    PlatformThreadExecutor,
    VirtualThreadExecutor,
    carry,
    sleep,
    start_virtual_thread,
)

SUMMARY = (
    "virtual threads beside asyncio tasks, gevent and OS threads: create and join, hop, memory"
)

TARGET: Final = f"{__name__}:run_one"
HOPPING = 100  # units that take turns
WAIT_S = 0.1
LONG_WAIT_S = 3.0  # longer than the making of all, so that all are there at once
KIB_PER_MAXRSS = 1 / 1024 if sys.platform == "darwin" else 1.0

Contestant = Callable[[int, float], None]  # how many units, and how long each waits


@dataclass(frozen=True, slots=True)
class Case:
    """One row group. `peer` is who the others are divided by."""

    title: str
    n: int
    wait_s: float
    peer: str
    contestants: dict[str, Contestant]


def run(*, quick: bool) -> pd.DataFrame:
    """Medians over interleaved rounds; one row per case and kind of unit.

    `wall_s` is for all `n` units; `cpu_us` per unit, hop or call; `kib` the growth of the process's peak
    memory per unit; `over_peer` the wall time of one, over that of the case's peer. OS threads are a
    tenth as many.
    """
    rows: list[dict[str, Any]] = []
    for name, case in cases(quick=quick).items():
        results: dict[str, list[dict[str, float]]] = {unit: [] for unit in case.contestants}
        for _ in range(1 if quick else 3):
            for unit, measured in results.items():
                measured.append(_measure(name, unit, quick=quick))
        rows += _rows(case, results)
    return pd.DataFrame(rows)


def cases(*, quick: bool) -> dict[str, Case]:
    """What is compared; `quick` makes a tenth of the units, but not where few would fit in old memory."""
    n = 10_000 if quick else 100_000
    return {
        "wait": Case("create and join, each waits 100 ms", n, WAIT_S, "gevent", _WAITING),
        "hop": Case("one hop to the loop and back", 10 * n, 0.0, "gevent", _HOPPING),
        "call": Case("one call of nothing from a coroutine", n, 0.0, "platform threads", _CALLING),
        "memory": Case("all waiting at once", 10_000, LONG_WAIT_S, "gevent", _WAITING),
    }


def _rows(case: Case, results: dict[str, list[dict[str, float]]]) -> list[dict[str, Any]]:
    def median(unit: str, value: str) -> float:
        return statistics.median(measured[value] for measured in results[unit])

    def wall_us(unit: str) -> float:
        return median(unit, "wall_s") / median(unit, "n") * 1e6

    timed = case.wait_s < LONG_WAIT_S  # where all wait for long, the time is that wait
    return [
        {
            "case": case.title,
            "unit": unit,
            "n": int(median(unit, "n")),
            "wall_s": round(median(unit, "wall_s"), 2),
            "cpu_us": round(median(unit, "cpu_s") / median(unit, "n") * 1e6, 2),
            "kib": round(median(unit, "kib"), 1) if not timed else None,
            "over_peer": round(wall_us(unit) / wall_us(case.peer), 2) if timed else None,
        }
        for unit in results
    ]


def _measure(case: str, unit: str, *, quick: bool) -> dict[str, float]:
    setting = {"case": case, "unit": unit, "quick": quick}
    with Child(TARGET, setting, name=f"{case}-{unit.replace(' ', '-')}") as child:
        return dict(child.wait_ready(120))


def run_one(context: ChildContext) -> None:
    """Inside a child: one contestant, once; ready with what it took."""
    case = cases(quick=context.setting["quick"])[context.setting["case"]]
    unit = context.setting["unit"]
    contestant = case.contestants[unit]
    n = case.n // 10 if unit == OS_THREADS else case.n
    contestant(HOPPING, 0.0)  # imports and first uses are not what is measured
    before, wall_s, cpu_s = _peak_kib(), time.perf_counter(), time.process_time()
    contestant(n, case.wait_s)
    context.ready(
        n=n,
        wall_s=time.perf_counter() - wall_s,
        cpu_s=time.process_time() - cpu_s,
        kib=(_peak_kib() - before) / n,
    )


def _peak_kib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * KIB_PER_MAXRSS


# Create and join.


def _wait_in_tasks(n: int, wait_s: float) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(asyncio.sleep(wait_s)) for _ in range(n)]
        for task in tasks:
            await task

    _on_uvloop(main())


def _wait_in_virtual_threads(n: int, wait_s: float) -> None:
    def owner() -> None:
        threads = [start_virtual_thread(sleep, wait_s) for _ in range(n)]
        for thread in threads:
            thread.join()

    _on_uvloop(carry(owner))


def _wait_in_carried_threads(n: int, wait_s: float) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(carry(sleep, wait_s)) for _ in range(n)]
        for task in tasks:
            await task

    _on_uvloop(main())


def _wait_in_executor(n: int, wait_s: float) -> None:
    with VirtualThreadExecutor(name="bench") as executor:
        futures = [executor.submit(sleep, wait_s) for _ in range(n)]
        for future in futures:
            future.result()


def _wait_in_gevent(n: int, wait_s: float) -> None:
    import gevent

    greenlets = [gevent.spawn(gevent.sleep, wait_s) for _ in range(n)]
    for greenlet in greenlets:
        greenlet.join()


def _wait_in_os_threads(n: int, wait_s: float) -> None:
    threads = [threading.Thread(target=time.sleep, args=(wait_s,)) for _ in range(n)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


# Hops: a hundred units take turns.


def _hop_in_tasks(n: int, _wait_s: float) -> None:
    async def unit() -> None:
        for _ in range(n // HOPPING):
            await asyncio.sleep(0)

    async def main() -> None:
        await asyncio.gather(*(unit() for _ in range(HOPPING)))

    _on_uvloop(main())


def _hop_in_virtual_threads(n: int, _wait_s: float) -> None:
    def unit() -> None:
        for _ in range(n // HOPPING):
            sleep(0)

    def owner() -> None:
        for thread in [start_virtual_thread(unit) for _ in range(HOPPING)]:
            thread.join()

    _on_uvloop(carry(owner))


def _hop_in_carried_threads(n: int, _wait_s: float) -> None:
    def unit() -> None:
        for _ in range(n // HOPPING):
            sleep(0)

    async def main() -> None:
        await asyncio.gather(*(carry(unit) for _ in range(HOPPING)))

    _on_uvloop(main())


def _hop_in_gevent(n: int, _wait_s: float) -> None:
    import gevent

    def unit() -> None:
        for _ in range(n // HOPPING):
            gevent.sleep(0)

    gevent.joinall([gevent.spawn(unit) for _ in range(HOPPING)])


# Calls: what handing a handler over costs a server.


def _call_directly(n: int, _wait_s: float) -> None:
    async def nothing() -> None: ...

    async def main() -> None:
        for _ in range(n):
            await nothing()

    _on_uvloop(main())


def _call_on_virtual_threads(n: int, _wait_s: float) -> None:
    async def main() -> None:
        executor = VirtualThreadExecutor(name="bench")
        for _ in range(n):
            await executor.call(_nothing)

    _on_uvloop(main())


def _call_on_platform_threads(n: int, _wait_s: float) -> None:
    async def main() -> None:
        for _ in range(n):
            await executor.call(_nothing)

    with PlatformThreadExecutor(1, name="bench") as executor:
        _on_uvloop(main())


def _nothing() -> None: ...


def _on_uvloop(main: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


OS_THREADS: Final = "OS threads"
_WAITING: Final[dict[str, Contestant]] = {
    "asyncio tasks": _wait_in_tasks,
    "virtual threads": _wait_in_virtual_threads,
    "virtual, carried by a task": _wait_in_carried_threads,
    "virtual, by an executor": _wait_in_executor,
    "gevent": _wait_in_gevent,
    OS_THREADS: _wait_in_os_threads,
}
_HOPPING: Final[dict[str, Contestant]] = {
    "asyncio tasks": _hop_in_tasks,
    "virtual threads": _hop_in_virtual_threads,
    "virtual, carried by a task": _hop_in_carried_threads,
    "gevent": _hop_in_gevent,
}
_CALLING: Final[dict[str, Contestant]] = {
    "await": _call_directly,
    "virtual threads": _call_on_virtual_threads,
    "platform threads": _call_on_platform_threads,
}
