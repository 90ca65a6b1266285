"""What a server process says about itself ten times a second, from the inside.

It runs on the event loop's own thread. A sampling thread was measured first: every file it reads gives
up the interpreter lock, and winning it back from a busy loop took 8 % of the loop's throughput at
10 Hz. What needs a walk over all threads (run-queue delay) is therefore read from outside, by
`RunDelay` in the parent.

`getrusage` counts every thread, ended ones too, where the status file's context switches are the
main thread's alone; the peak comes from the status file, because `ru_maxrss` starts at the parent's
size.
"""

import asyncio
import gc
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

import psutil

PERIOD_S = 0.1
LAG_TIMER_S = 0.04  # sees every stall longer than this; an idle server pays for each time it wakes
COUNT_EVERY = 10  # samples between two counts of the tasks, at 0.3 us a task

Sample = dict[str, float]

_STATUS = Path("/proc/self/status")
_STATUS_BYTES = 8192


class Sampler:
    """Samples this process from its event loop and hands each sample to `emit`.

    A sample holds `at_ns` (monotonic), `cpu_s`, `rss_mb`, `rss_peak_mb`, `threads`,
    `voluntary_switches`, `involuntary_switches` (totals of the process), `loop_lag_ms` (worst
    lateness of a 40 ms timer since the sample before; uvloop rounds to milliseconds, so an idle loop
    shows up to 1), `gc_pause_ms` (sum of the pauses since the sample before), `tasks` of the loop
    (counted once a second), and what `gauges` returns. A stalled loop sends no sample; the first one
    after it carries the stall as its lag.
    """

    def __init__(
        self, gauges: Callable[[], Mapping[str, float]], *, emit: Callable[[Sample], object]
    ) -> None:
        self._gauges = gauges
        self._emit = emit
        self._pauses = CollectorPauses()
        self._memory = ProcessStatus()
        self._worst_lag_s = 0.0
        self._due_s = 0.0
        self._sample_due_s = 0.0
        self._until_count = 0
        self._tasks = 0
        self._timer: asyncio.TimerHandle | None = None
        self.latest: Sample = {}

    def start(self) -> None:
        """Begin on the running loop."""
        self._pauses.start()
        self._due_s = self._sample_due_s = time.monotonic()
        self._turn(asyncio.get_running_loop())

    def stop(self) -> None:
        """End with a last sample. Call on the loop's thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self.take()
            self._pauses.stop()
        self._memory.close()

    def take(self) -> None:
        """Take a sample now and hand it on. Call on the loop's thread."""
        self.latest = self._measure()
        self._emit(self.latest)

    def _measure(self) -> Sample:
        used = getrusage(RUSAGE_SELF)
        lag_s, self._worst_lag_s = self._worst_lag_s, 0.0
        return {
            "at_ns": time.monotonic_ns(),
            "cpu_s": used.ru_utime + used.ru_stime,
            **self._memory.read(),
            "voluntary_switches": used.ru_nvcsw,
            "involuntary_switches": used.ru_nivcsw,
            "loop_lag_ms": lag_s * 1e3,
            "gc_pause_ms": self._pauses.take_ms(),
            "tasks": self._tasks,
            **self._gauges(),
        }

    def _turn(self, loop: asyncio.AbstractEventLoop) -> None:
        # Our own clock: uvloop's stands still within a turn of the loop and counts milliseconds.
        now_s = time.monotonic()
        self._worst_lag_s = max(self._worst_lag_s, now_s - self._due_s)
        if now_s >= self._sample_due_s:
            self._sample_due_s = max(self._sample_due_s + PERIOD_S, now_s)  # no catching up
            self._count_tasks(loop)
            self.take()
        self._due_s = time.monotonic() + LAG_TIMER_S
        self._timer = loop.call_later(LAG_TIMER_S, self._turn, loop)

    def _count_tasks(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._until_count == 0:
            self._tasks = len(asyncio.all_tasks(loop))
            self._until_count = COUNT_EVERY
        self._until_count -= 1


class CollectorPauses:
    """Time spent in the garbage collector."""

    def __init__(self) -> None:
        self._began_ns = 0
        self._total_ns = 0
        self._taken_ns = 0

    def start(self) -> None:
        """Listen to the collector."""
        gc.callbacks.append(self._on_phase)

    def stop(self) -> None:
        """Stop listening."""
        gc.callbacks.remove(self._on_phase)

    def take_ms(self) -> float:
        """Milliseconds since the last call."""
        total_ns = self._total_ns
        pause_ns, self._taken_ns = total_ns - self._taken_ns, total_ns
        return pause_ns / 1e6

    def _on_phase(self, phase: str, info: Mapping[str, int]) -> None:  # noqa: ARG002 - gc's shape
        if phase == "start":
            self._began_ns = time.perf_counter_ns()
        else:
            self._total_ns += time.perf_counter_ns() - self._began_ns


class ProcessStatus:
    """Memory and threads of this process, from one open file: one system call a reading."""

    def __init__(self) -> None:
        self._fd = os.open(_STATUS, os.O_RDONLY | os.O_CLOEXEC) if _STATUS.exists() else None

    def read(self) -> Sample:
        """`rss_mb`, `rss_peak_mb` and `threads`; without /proc the peak is the present size."""
        if self._fd is None:
            process = psutil.Process()
            rss_mb = process.memory_info().rss / 2**20
            return {"rss_mb": rss_mb, "rss_peak_mb": rss_mb, "threads": process.num_threads()}
        text = os.pread(self._fd, _STATUS_BYTES, 0)
        return {
            "rss_mb": _field(text, b"\nVmRSS:") / 1024,
            "rss_peak_mb": _field(text, b"\nVmHWM:") / 1024,
            "threads": _field(text, b"\nThreads:"),
        }

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class RunDelay:
    """Time that the threads of a process were runnable but waited for a core, seen from outside.

    Linux only. Ended threads keep what they had at the last reading.
    """

    def __init__(self, pid: int) -> None:
        self._tasks = Path(f"/proc/{pid}/task")
        self._by_thread: dict[str, int] = {}
        self._ended_ns = 0

    def read_s(self) -> float:
        """The total in seconds, by a walk over all threads (13 us each); NaN where unknown."""
        if not Path("/proc/self/schedstat").exists():
            return float("nan")
        now: dict[str, int] = {}
        try:
            for task in self._tasks.iterdir():
                try:
                    now[task.name] = int((task / "schedstat").read_text().split()[1])
                except (FileNotFoundError, ProcessLookupError):  # this thread ended meanwhile
                    continue
        except FileNotFoundError:  # the whole process did: its last reading stands
            now = self._by_thread
        ended = self._by_thread.keys() - now.keys()
        self._ended_ns += sum(self._by_thread[name] for name in ended)
        self._by_thread = now
        return (self._ended_ns + sum(now.values())) / 1e9


def _field(text: bytes, name: bytes) -> float:
    start = text.index(name) + len(name)
    return float(text[start : text.index(b"\n", start)].split()[0])
