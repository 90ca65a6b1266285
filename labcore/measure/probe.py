"""Watching processes and the machine from outside, without asking them anything.

A process's CPU clock is read with one call (1.4 us, nanoseconds, threads that ended included), where
its `/proc` file ticks in hundredths of a second. What others use is what the machine used less what
we and our descendants did. Where Linux is missing, psutil answers, more coarsely.
"""

import math
import platform
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Final

import numpy as np
import psutil

from labcore.kernel import InterruptedRunError
from labcore.measure.placement import kept_to

LINUX: Final = platform.system() == "Linux"
PERIOD_S: Final = 0.1
WALK_EVERY: Final = 10  # readings between two walks over the descendants, at 5 ms each
QUIET_WINDOW_S: Final = 0.12
QUIET_LIMIT_MS: Final = 4.0
SPEED_TURNS: Final = (
    20_000  # some 1.5 ms: long against the clock, short against a scheduler's slice
)


@dataclass(frozen=True, slots=True)
class Reading:
    """The machine at one moment. Seconds are totals since some start; only differences mean anything."""

    at_ns: int
    busy_s: float  # all cores
    steal_s: float
    cores: int
    core_busy_s: tuple[float, ...]
    ours_s: float  # this process and its descendants, ended ones too
    server_s: float  # the server and its descendants; NaN for a server that is not ours


@dataclass(frozen=True, slots=True)
class Disturbance:
    """What others did to a window of time. Shares are 0..1, NaN where nothing was read."""

    foreign_cpu_share: float  # of the whole machine
    server_core_foreign_share: float  # of the server's core, used by anybody but the server


class Watch:
    """Takes a `Reading` ten times a second on a thread of its own, between `with` and its end.

    Args:
        server_pid: the server's process; None for one that somebody else runs.
    """

    def __init__(self, server_pid: int | None) -> None:
        self.readings: list[Reading] = []
        self._server_pid = server_pid
        self._spent_s: dict[int, float] = {}
        self._server_family: list[int] = []
        self._stopped = Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> "Watch":
        self._take(walk=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()
        self._take(walk=True)

    def _run(self) -> None:
        number = 1
        while not self._stopped.wait(PERIOD_S):
            self._take(walk=number % WALK_EVERY == 0)
            number += 1

    def _take(self, *, walk: bool) -> None:
        if walk:
            self._walk()
        for pid in self._spent_s:
            self._spent_s[pid] = max(self._spent_s[pid], process_cpu_s(pid, gone_s=0.0))
        cores = psutil.cpu_times(percpu=True)
        busy = tuple(_busy_s(core) for core in cores)
        self.readings.append(
            Reading(
                at_ns=time.monotonic_ns(),
                busy_s=sum(busy),
                steal_s=sum(getattr(core, "steal", 0.0) for core in cores),
                cores=len(cores),
                core_busy_s=busy,
                ours_s=sum(self._spent_s.values()),
                server_s=self._server_s(),
            )
        )

    def _server_s(self) -> float:
        if self._server_pid is None:
            return math.nan
        return sum(self._spent_s[pid] for pid in self._server_family)

    def _walk(self) -> None:
        """Learn of new descendants; those that ended keep what they had spent when last seen."""
        own = psutil.Process()
        for pid in (own.pid, *_descendants(own.pid)):
            self._spent_s.setdefault(pid, 0.0)
        if self._server_pid is not None:
            family = [self._server_pid, *_descendants(self._server_pid)]
            self._server_family += [pid for pid in family if pid not in self._server_family]
            for pid in family:
                self._spent_s.setdefault(pid, 0.0)


def disturbance(
    readings: Sequence[Reading], *, start_ns: int, finish_ns: int, server_core: int | None
) -> Disturbance:
    """What others did between two moments; readings in between are interpolated to them."""
    wall_s = (finish_ns - start_ns) / 1e9
    if len(readings) < 2 or wall_s <= 0:
        return Disturbance(math.nan, math.nan)

    def spent(values: Iterable[float]) -> float:
        return growth(readings, list(values), start_ns=start_ns, finish_ns=finish_ns)

    machine_s = wall_s * readings[0].cores
    foreign_s = spent(reading.busy_s - reading.ours_s for reading in readings)
    core_share = math.nan
    if server_core is not None and server_core < readings[0].cores:
        others = [reading.core_busy_s[server_core] - reading.server_s for reading in readings]
        core_share = max(0.0, spent(others) / wall_s)
    return Disturbance(
        foreign_cpu_share=max(0.0, foreign_s / machine_s),
        server_core_foreign_share=core_share,
    )


def growth(
    readings: Sequence[Reading], values: Sequence[float], *, start_ns: int, finish_ns: int
) -> float:
    """How much a total grew between two moments."""
    moments = [reading.at_ns for reading in readings]
    start, finish = np.interp([start_ns, finish_ns], moments, values)
    return float(finish - start)


def process_cpu_s(pid: int, *, gone_s: float = math.nan) -> float:
    """CPU seconds of a process since it began, all threads; `gone_s` for one that has ended.

    Source: clock_getcpuclockid(3); the identifier's layout is Linux's.
    """
    try:
        if LINUX:
            return time.clock_gettime(((~pid) << 3) | 2)
        used = psutil.Process(pid).cpu_times()
    except (OSError, psutil.Error):
        return gone_s
    return float(used.user + used.system)


def wait_quiet(pid: int, *, patience_s: float, cancelled: Event | None = None) -> float:
    """Wait until a process and its descendants rest; what they used in the last window, in ms.

    A server that is still busy with the requests of a warm-up or of the run before would be measured
    with them. Quiet is less than 4 ms in 120 ms; when patience ends the caller decides.

    Raises: InterruptedRunError when cancelled.
    """
    stop = cancelled or Event()
    deadline_s = time.monotonic() + patience_s
    while True:
        family = [pid, *_descendants(pid)]
        before_s = sum(process_cpu_s(member, gone_s=0.0) for member in family)
        if stop.wait(QUIET_WINDOW_S):
            raise InterruptedRunError("cancelled while waiting for the server to become quiet")
        moved_ms = (sum(process_cpu_s(member, gone_s=0.0) for member in family) - before_s) * 1e3
        if not moved_ms >= QUIET_LIMIT_MS or time.monotonic() > deadline_s:
            return moved_ms


def speed_ns(core: int | None = None) -> float:
    """CPU nanoseconds per turn of a fixed loop, on the given core if the platform can place us.

    It describes the core's present speed, which a neighbour on the host may change within a second.
    """
    with kept_to(None if core is None else {core}):
        before_ns = time.thread_time_ns()
        total = 0
        for turn in range(SPEED_TURNS):
            total += turn & 7
        return (time.thread_time_ns() - before_ns) / SPEED_TURNS


def listen_overflows() -> float:
    """Connections that full listen queues of this machine have dropped since boot; NaN if unknown."""
    path = Path("/proc/net/netstat")
    if not path.is_file():
        return math.nan
    lines = path.read_text(encoding="utf-8").splitlines()
    table = dict(zip(lines[0].split(), lines[1].split(), strict=False))
    return float(table.get("ListenOverflows", math.nan))


def _busy_s(core: object) -> float:
    """Seconds a core worked; time given to guests is part of `user` already."""
    names = ("user", "nice", "system", "irq", "softirq")
    return sum(float(getattr(core, name, 0.0)) for name in names)


def _descendants(pid: int) -> list[int]:
    try:
        return [child.pid for child in psutil.Process(pid).children(recursive=True)]
    except psutil.Error:  # it ended meanwhile
        return []
