"""What of a machine decides whether it can measure: readings, without judgement.

Everything the kernel publishes is read below one root directory, so that a test can hand in a machine
that is not there. What cannot be read is None, never a comfortable default. Precision of timers, free
disk and the interpreter are properties of the living process and are taken from it.
"""

import os
import shutil
import sys
import sysconfig
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np

from labcore.kernel import runs_dir
from labcore.measure.environment import usable_cores
from labcore.measure.pacing import best_pacer, new_event_loop

PROBE_PERIOD_NS: Final = 2_000_000
PROBE_WAKES: Final = 400  # 0.8 s: p99 then rests on four wakes
REAL_ROOT: Final = Path("/")
_IDLE_FIELDS: Final = (3, 4)  # idle and iowait of /proc/stat
_STEAL_FIELD: Final = 7
_COUNTED_FIELDS: Final = 8  # guest time is part of user time already


@dataclass(frozen=True, slots=True)
class Vitals:
    """One machine as it was during one second. None: could not be read here."""

    cores: int | None = None  # that this process may use: affinity and cpuset
    machine_cores: int | None = None
    shared_core_pairs: int | None = None  # usable hardware threads that share a core with another
    cpu_limit_cores: float | None = None  # the container's quota; infinite where there is none
    throttled_periods: int | None = None  # while we looked
    governors: tuple[str, ...] | None = None
    turbo: bool | None = None
    runnable: float | None = None  # mean of threads that ran or wanted to, ours excluded
    busiest: tuple[tuple[str, float], ...] = ()  # other processes: name and cores used
    foreign_cores: float | None = None  # CPU of the machine that is not ours, in cores
    steal_share: float | None = None
    timer_late_p50_us: float | None = None
    timer_late_p99_us: float | None = None
    clock_source: str | None = None
    swap_used_mb: float | None = None
    swapped_pages: int | None = None  # in and out, while we looked
    open_files: float | None = None  # soft limit; infinite where there is none
    somaxconn: int | None = None
    ephemeral_ports: int | None = None
    waiting_ports: int | None = None  # in TIME_WAIT
    huge_pages: str | None = None  # always, madvise or never
    disk_free_mb: float | None = None
    hypervisor: bool | None = None
    python_faults: tuple[str, ...] = field(default=())  # each slows what is measured
    free_threaded: bool = False
    gil: bool = True


def take_vitals(root: Path = REAL_ROOT, *, runs: Path | None = None) -> Vitals:
    """Read the machine for about a second, probing the timer meanwhile.

    Args:
        root: directory that holds `proc` and `sys`.
        runs: where recordings go; the free disk there is what counts. Default `runs/`.
    """
    files = _Files(root)
    before = _Moment.of(files)
    late_us, runnable = _probe(files)
    after = _Moment.of(files)
    return Vitals(
        cores=_usable(files),
        machine_cores=_count_of(files.text("sys/devices/system/cpu/online")),
        shared_core_pairs=_shared_core_pairs(files),
        cpu_limit_cores=cpu_limit_cores(root),
        throttled_periods=_difference(before.throttled, after.throttled),
        governors=_governors(files),
        turbo=_turbo(files),
        runnable=runnable,
        busiest=_busiest(before, after),
        foreign_cores=_foreign_cores(before, after),
        steal_share=_steal_share(before, after),
        timer_late_p50_us=_percentile(late_us, 50),
        timer_late_p99_us=_percentile(late_us, 99),
        clock_source=files.text("sys/devices/system/clocksource/clocksource0/current_clocksource"),
        swap_used_mb=_swap_used_mb(files),
        swapped_pages=_difference(before.swapped, after.swapped),
        open_files=_open_files(files),
        somaxconn=files.number("proc/sys/net/core/somaxconn"),
        ephemeral_ports=_ephemeral_ports(files),
        waiting_ports=_waiting_ports(files),
        huge_pages=_chosen(files.text("sys/kernel/mm/transparent_hugepage/enabled")),
        disk_free_mb=shutil.disk_usage(_existing(runs or runs_dir())).free / 2**20,
        hypervisor=_hypervisor(files),
        python_faults=tuple(_python_faults()),
        free_threaded=bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
        gil=getattr(sys, "_is_gil_enabled", lambda: True)(),
    )


def cpu_limit_cores(root: Path = REAL_ROOT) -> float | None:
    """Cores' worth of time a second that this process's control groups allow.

    The least of all groups from its own up to the root; infinite where none limits; None where there
    are no groups at all. Source: cgroup-v2.rst (`cpu.max`), sched-bwc.rst (version 1).
    """
    files = _Files(root)
    found = False
    least = float("inf")
    for folder, old in _cpu_groups(files):
        quota = _quota_v1(files, folder) if old else _quota_v2(files, folder)
        found = found or files.exists(folder)
        least = min(least, quota)
    return least if found else None


class _Files:
    """Small text files below a root; None for whatever cannot be read."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def exists(self, name: str) -> bool:
        return (self.root / name).exists()

    def text(self, name: str) -> str | None:
        try:
            return (self.root / name).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def number(self, name: str) -> int | None:
        text = self.text(name)
        return int(text) if text is not None and text.lstrip("-").isdigit() else None

    def table(self, name: str) -> dict[str, str]:
        """Lines of `key value…` or `key: value…`."""
        lines = [line.split(None, 1) for line in (self.text(name) or "").splitlines()]
        return {line[0].rstrip(":"): line[1] for line in lines if len(line) == 2}

    def every(self, pattern: str) -> list[str]:
        texts = (self.text(str(path.relative_to(self.root))) for path in self.root.glob(pattern))
        return [text for text in texts if text is not None]


@dataclass(frozen=True, slots=True)
class _Moment:
    """Totals since boot; only differences mean anything."""

    at_ns: int
    ticks: tuple[int, ...] | None  # of all cores, by kind
    processes: dict[tuple[int, int], tuple[str, int]]  # by number and birth: name, ticks used
    throttled: int | None
    swapped: int | None

    @classmethod
    def of(cls, files: _Files) -> "_Moment":
        first = (files.text("proc/stat") or "").partition("\n")[0].split()
        pages = files.table("proc/vmstat")
        swapped = [int(pages[name]) for name in ("pswpin", "pswpout") if name in pages]
        return cls(
            at_ns=time.monotonic_ns(),
            ticks=tuple(int(field) for field in first[1:]) if first[:1] == ["cpu"] else None,
            processes=dict(_processes(files)),
            throttled=_throttled(files),
            swapped=sum(swapped) if swapped else None,
        )


def _processes(files: _Files) -> Iterable[tuple[tuple[int, int], tuple[str, int]]]:
    for path in files.root.glob("proc/[0-9]*/stat"):
        text = files.text(str(path.relative_to(files.root)))
        if text and ")" in text:
            head, _, tail = text.rpartition(")")  # a name may hold brackets and blanks
            fields = tail.split()
            born, used = int(fields[19]), int(fields[11]) + int(fields[12])
            yield (int(path.parent.name), born), (head.partition("(")[2], used)


def _used(before: _Moment, after: _Moment) -> Iterable[tuple[int, str, float]]:
    """What every living process used between the two: its number, name and cores."""
    hertz = os.sysconf("SC_CLK_TCK")
    wall_s = (after.at_ns - before.at_ns) / 1e9
    for key, (name, ticks) in after.processes.items():
        earlier = before.processes.get(key, (name, 0))[1]  # one born meanwhile had used nothing
        yield key[0], name, (ticks - earlier) / hertz / wall_s


def _busiest(before: _Moment, after: _Moment) -> tuple[tuple[str, float], ...]:
    """The five processes that used most while we looked, from a hundredth of a core on."""
    used = [
        (name, round(cores, 2))
        for pid, name, cores in _used(before, after)
        if pid != os.getpid() and cores >= 0.01
    ]
    return tuple(sorted(used, key=lambda each: -each[1])[:5])


def _foreign_cores(before: _Moment, after: _Moment) -> float | None:
    """Cores' worth of work done by others between the two."""
    if before.ticks is None or after.ticks is None:
        return None
    idle = (*_IDLE_FIELDS, _STEAL_FIELD)
    ticks = [
        later - earlier
        for kind, (earlier, later) in enumerate(zip(before.ticks, after.ticks, strict=True))
        if kind < _COUNTED_FIELDS and kind not in idle
    ]
    wall_s = (after.at_ns - before.at_ns) / 1e9
    ours = sum(cores for pid, _, cores in _used(before, after) if pid == os.getpid())
    return max(0.0, sum(ticks) / os.sysconf("SC_CLK_TCK") / wall_s - ours)


def _steal_share(before: _Moment, after: _Moment) -> float | None:
    """Of all time of all cores between the two, the part the host gave to others."""
    if before.ticks is None or after.ticks is None or len(after.ticks) <= _STEAL_FIELD:
        return None
    spent = [b - a for a, b in zip(before.ticks, after.ticks, strict=True)][:_COUNTED_FIELDS]
    return spent[_STEAL_FIELD] / sum(spent) if sum(spent) else 0.0


def _probe(files: _Files) -> tuple[list[float], float | None]:
    """How late the load driver's own timer wakes, in microseconds, and the mean run queue meanwhile.

    On a thread of its own, because the caller may be a notebook whose loop is running.
    """
    late_us: list[float] = []
    thread = threading.Thread(target=_wake_on_time, args=(late_us,), name="timer-probe")
    thread.start()
    queue: list[int] = []
    while thread.is_alive():
        running = files.table("proc/stat").get("procs_running")
        if running is not None:
            queue.append(int(running) - 1)  # the one that reads is us
        thread.join(0.05)
    return late_us, sum(queue) / len(queue) if queue else None


def _wake_on_time(late_us: list[float]) -> None:
    loop = new_event_loop()
    due_ns = time.monotonic_ns() + PROBE_PERIOD_NS

    def wake() -> None:
        nonlocal due_ns
        late_us.append((time.monotonic_ns() - due_ns) / 1e3)
        if len(late_us) == PROBE_WAKES:
            pacer.disarm()
            loop.stop()
            return
        due_ns += PROBE_PERIOD_NS
        pacer.arm(due_ns)

    pacer = best_pacer(loop, wake)
    try:
        pacer.arm(due_ns)
        loop.run_forever()
    finally:
        pacer.close()
        loop.close()


def _percentile(values: list[float], percent: float) -> float | None:
    return float(np.percentile(values, percent)) if values else None


def _difference(before: int | None, after: int | None) -> int | None:
    return None if before is None or after is None else after - before


def _usable(files: _Files) -> int | None:
    listed = files.table("proc/self/status").get("Cpus_allowed_list")
    if listed is None and files.root == REAL_ROOT:
        return len(usable_cores())
    return _count_of(listed)


def _numbers(listing: str) -> set[int]:
    """The set that a kernel list such as `0-3,8` names."""
    ends = [part.partition("-") for part in listing.split(",") if part.strip()]
    return {n for low, _, high in ends for n in range(int(low), int(high or low) + 1)}


def _count_of(listing: str | None) -> int | None:
    return len(_numbers(listing)) if listing else None


def _shared_core_pairs(files: _Files) -> int | None:
    listed = files.table("proc/self/status").get("Cpus_allowed_list")
    groups = {
        frozenset(_numbers(text))
        for text in files.every("sys/devices/system/cpu/cpu[0-9]*/topology/thread_siblings_list")
    }
    if not groups or listed is None:
        return None
    usable = _numbers(listed)
    return sum(max(0, len(group & usable) - 1) for group in groups)


def _governors(files: _Files) -> tuple[str, ...] | None:
    found = files.every("sys/devices/system/cpu/cpu[0-9]*/cpufreq/scaling_governor")
    return tuple(sorted(set(found))) or None


def _turbo(files: _Files) -> bool | None:
    off = files.number("sys/devices/system/cpu/intel_pstate/no_turbo")
    if off is not None:
        return not off
    boost = files.number("sys/devices/system/cpu/cpufreq/boost")
    return None if boost is None else bool(boost)


def _cpu_groups(files: _Files) -> list[tuple[str, bool]]:
    """The folders of our CPU control groups and of all above, each with whether it is version 1."""
    folders: list[tuple[str, bool]] = []
    for line in (files.text("proc/self/cgroup") or "").splitlines():
        number, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        old = number != "0"
        if old and "cpu" not in controllers.split(","):
            continue
        tops = ("sys/fs/cgroup/cpu", "sys/fs/cgroup/cpu,cpuacct") if old else ("sys/fs/cgroup",)
        parts = [part for part in path.split("/") if part and part != ".."]
        inside = ["/".join(parts[:depth]) for depth in range(len(parts), -1, -1)]
        folders += [(f"{top}/{name}".rstrip("/"), old) for top in tops for name in inside]
    return folders


def _quota_v2(files: _Files, folder: str) -> float:
    quota, _, period = (files.text(f"{folder}/cpu.max") or "max").partition(" ")
    return float("inf") if quota == "max" else int(quota) / int(period or 100_000)


def _quota_v1(files: _Files, folder: str) -> float:
    quota = files.number(f"{folder}/cpu.cfs_quota_us")
    period = files.number(f"{folder}/cpu.cfs_period_us")
    return quota / period if quota and period and quota > 0 else float("inf")


def _throttled(files: _Files) -> int | None:
    tables = (files.table(f"{folder}/cpu.stat") for folder, _ in _cpu_groups(files))
    counts = [int(table["nr_throttled"]) for table in tables if "nr_throttled" in table]
    return max(counts) if counts else None


def _swap_used_mb(files: _Files) -> float | None:
    memory = files.table("proc/meminfo")
    if not {"SwapTotal", "SwapFree"} <= set(memory):
        return None
    total, free = (int(memory[name].split()[0]) for name in ("SwapTotal", "SwapFree"))
    return (total - free) / 1024


def _open_files(files: _Files) -> float | None:
    for line in (files.text("proc/self/limits") or "").splitlines():
        if line.startswith("Max open files"):
            soft = line.split()[3]
            return float("inf") if soft == "unlimited" else float(soft)
    return None


def _ephemeral_ports(files: _Files) -> int | None:
    ends = (files.text("proc/sys/net/ipv4/ip_local_port_range") or "").split()
    return int(ends[1]) - int(ends[0]) + 1 if len(ends) == 2 else None


def _waiting_ports(files: _Files) -> int | None:
    words = files.table("proc/net/sockstat").get("TCP", "").split()
    return int(words[words.index("tw") + 1]) if "tw" in words else None


def _chosen(text: str | None) -> str | None:
    """The word in brackets of a kernel choice such as `always [madvise] never`."""
    return text.partition("[")[2].partition("]")[0] or None if text else None


def _hypervisor(files: _Files) -> bool | None:
    info = files.text("proc/cpuinfo")
    return None if not info else " hypervisor" in info


def _existing(folder: Path) -> Path:
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return folder


def _python_faults() -> Iterable[str]:
    if sysconfig.get_config_var("Py_DEBUG"):
        yield "a debug build"
    if sys.flags.dev_mode:
        yield "development mode (-X dev)"
    if sys.gettrace() is not None or sys.getprofile() is not None:
        yield "a tracer or profiler is on"
    if os.environ.get("PYTHONASYNCIODEBUG"):
        yield "asyncio's debug mode (PYTHONASYNCIODEBUG)"
    if os.environ.get("PYTHONTRACEMALLOC"):
        yield "memory tracing (PYTHONTRACEMALLOC)"
