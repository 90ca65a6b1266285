"""What the driver's process testifies about itself: the evidence by which a run is valid or void.

Run-queue delay is the telling one. With strangers on 0.7 to 0.9 of a core and a delay of 1 to 3 %
the figures of a run were right; at 10 to 29 % throughput read 30 to 70 % low, whatever the load average
said.
"""

import gc
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from labcore.kernel import UsageError

NS_PER_S: Final = 1_000_000_000
NOT_MEASURED: Final = float("nan")  # where there is no /proc
_BUSY_FIELDS: Final = (
    0,
    1,
    2,
    5,
    6,
)  # user, nice, system, irq, softirq of /proc/stat; guest is in user
_STEAL_FIELD: Final = 7


@dataclass(frozen=True, slots=True)
class Testimony:
    """Figures of one window. Shares are 0..1; NaN where the platform cannot say."""

    wall_s: float
    cpu_s: float  # of this process
    cpu_share: float  # of one core
    run_delay_share: float  # its threads runnable but not running, over wall time
    others_cpu_share: float  # used by all other processes, the server too, of the whole machine
    steal_share: float  # taken by the hypervisor, of the whole machine
    gc_pause_ms: float  # sum over the window
    gc_pause_max_ms: float
    gc_collections: int


class Witness:
    """Observes its own process during one window; one thread."""

    def __init__(self) -> None:
        self._pauses_ns: list[int] = []
        self._pause_from_ns = 0
        self._before: _Reading | None = None
        self._testimony: Testimony | None = None

    def begin(self) -> None:
        """Begin the window, or begin it again: what was seen before is forgotten."""
        if self._before is None:
            gc.callbacks.append(self._on_collection)
        self._pauses_ns.clear()
        self._before = _reading()

    def end(self) -> Testimony:
        """End the window and testify; asked again, the same testimony.

        Raises: UsageError when the window was never begun.
        """
        if self._testimony is None:
            if self._before is None:
                raise UsageError("a witness that saw nothing: begin() the window before end()")
            gc.callbacks.remove(self._on_collection)
            self._testimony = _testify(self._before, _reading(), self._pauses_ns)
        return self._testimony

    def _on_collection(self, phase: str, _info: dict[str, Any]) -> None:
        if phase == "start":
            self._pause_from_ns = time.monotonic_ns()
        elif self._pause_from_ns:
            self._pauses_ns.append(time.monotonic_ns() - self._pause_from_ns)


def _testify(before: "_Reading", after: "_Reading", pauses_ns: list[int]) -> Testimony:
    wall_s = (after.at_ns - before.at_ns) / NS_PER_S
    cpu_s = after.cpu_s - before.cpu_s
    machine_s = wall_s * (os.cpu_count() or 1)
    return Testimony(
        wall_s=wall_s,
        cpu_s=cpu_s,
        cpu_share=cpu_s / wall_s,
        run_delay_share=_waited_s(before.delays_s, after.delays_s) / wall_s,
        others_cpu_share=(after.busy_s - before.busy_s - cpu_s) / machine_s,
        steal_share=(after.steal_s - before.steal_s) / machine_s,
        gc_pause_ms=sum(pauses_ns) / 1e6,
        gc_pause_max_ms=max(pauses_ns, default=0) / 1e6,
        gc_collections=len(pauses_ns),
    )


@dataclass(frozen=True, slots=True)
class _Reading:
    at_ns: int
    cpu_s: float
    delays_s: Mapping[str, float] | None  # by thread
    busy_s: float
    steal_s: float


def _reading() -> _Reading:
    busy_s, steal_s = _machine_s()
    return _Reading(time.monotonic_ns(), time.process_time(), _run_delays_s(), busy_s, steal_s)


def _run_delays_s() -> dict[str, float] | None:
    """How long each living thread of this process has waited for a core; None where nobody counts.

    Source: sched-stats.rst, Linux.
    """
    tasks = Path("/proc/self/task")
    if not (tasks / str(os.getpid()) / "schedstat").exists():
        return None
    return {
        task.name: int((task / "schedstat").read_text().split()[1]) / NS_PER_S
        for task in tasks.iterdir()
    }


def _waited_s(before: Mapping[str, float] | None, after: Mapping[str, float] | None) -> float:
    # Thread by thread: a sum over all would fall when a thread ends and takes its count with it.
    if before is None or after is None:
        return NOT_MEASURED
    return sum(delay_s - before.get(thread, 0.0) for thread, delay_s in after.items())


def _machine_s() -> tuple[float, float]:
    """Busy and stolen seconds, summed over all cores. Source: proc_stat(5)."""
    stat = Path("/proc/stat")
    if not stat.exists():
        return NOT_MEASURED, NOT_MEASURED
    ticks = [int(field) for field in stat.read_text().splitlines()[0].split()[1:]]
    per_s = os.sysconf("SC_CLK_TCK")
    return sum(ticks[field] for field in _BUSY_FIELDS) / per_s, ticks[_STEAL_FIELD] / per_s
