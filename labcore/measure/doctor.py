"""What of this machine makes measurements doubtful: one table of checks, each with its remedy.

Pure: vitals in, symptoms out. *Bad* means that runs will be void or wrong, *doubtful* that figures
carry over less far than they look, *unknown* that nobody could read the fact, which is not *fine*.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from labcore.measure.vitals import Vitals

Severity = Literal["fine", "doubtful", "bad", "unknown"]

CORES_NEEDED: Final = 3  # the server's, the driver's, and one for database, peers and coordinator
PRECISE_CLOCKS: Final = frozenset(
    {"tsc", "arch_sys_counter", "kvm-clock", "hyperv_clocksource_tsc_page"}
)
STEAL_LIMIT: Final = 0.02  # above it every run is void: `labcore.measure.judgement`
LATENESS_LIMIT_US: Final = 1000.0  # likewise
DISK_NEEDED_MB: Final = 200  # a full comparison records some 100 MB


@dataclass(frozen=True, slots=True)
class Symptom:
    """One fact of the machine, judged: what was read, why it matters, what helps."""

    name: str
    value: str
    severity: Severity
    why: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Check:
    """How one fact is read off the vitals and judged. `reading` is None where it is unknown."""

    name: str
    reading: Callable[[Vitals], str | None]
    severity: Callable[[Vitals], Severity]
    why: str
    remedy: str

    def examine(self, vitals: Vitals) -> Symptom:
        """The symptom that these vitals show."""
        value = self.reading(vitals)
        if value is None:
            return Symptom(self.name, "could not be read", "unknown", self.why, self.remedy)
        return Symptom(self.name, value, self.severity(vitals), self.why, self.remedy)


def diagnose(vitals: Vitals) -> list[Symptom]:
    """Every check on one machine, in the table's order."""
    return [check.examine(vitals) for check in CHECKS]


def _grade(
    value: float | None, *, doubtful: float, bad: float = math.inf, low: bool = False
) -> Severity:
    """Above a limit, or below it where `low`. What is not there cannot have been graded."""
    if value is None:
        return "unknown"
    sign = -1.0 if low else 1.0
    if sign * value > sign * bad:
        return "bad"
    return "doubtful" if sign * value > sign * doubtful else "fine"


def _doubtful_if(condition: bool) -> Severity:
    return "doubtful" if condition else "fine"


def _text(value: float | None, form: str) -> str | None:
    return None if value is None else form.format(value)


def _cores(vitals: Vitals) -> str | None:
    if vitals.cores is None:
        return None
    of = f" of {vitals.machine_cores}" if vitals.machine_cores else ""
    return f"{vitals.cores} usable{of}"


def _limit(vitals: Vitals) -> str | None:
    limit = vitals.cpu_limit_cores
    if limit is None:
        return None
    text = "no limit" if math.isinf(limit) else f"{limit:g} cores"
    return (
        f"{text}, throttled {vitals.throttled_periods} times" if vitals.throttled_periods else text
    )


def _limit_severity(vitals: Vitals) -> Severity:
    if vitals.throttled_periods:
        return "bad"
    return _grade(vitals.cpu_limit_cores, doubtful=CORES_NEEDED, bad=2, low=True)


def _frequency(vitals: Vitals) -> str | None:
    words = list(vitals.governors or ())
    if vitals.turbo is not None:
        words.append("turbo on" if vitals.turbo else "turbo off")
    return ", ".join(words) or None


def _frequency_severity(vitals: Vitals) -> Severity:
    calm = vitals.governors is None or set(vitals.governors) == {"performance"}
    return _doubtful_if(not calm or bool(vitals.turbo))


def _load(vitals: Vitals) -> str | None:
    if vitals.foreign_cores is None:
        return None
    culprits = ", ".join(f"{name} {cores:g}" for name, cores in vitals.busiest[:3])
    if sum(cores for _, cores in vitals.busiest) < 0.5 * vitals.foreign_cores:
        culprits += "; most of it by processes that cannot be seen from here"
    return f"{vitals.foreign_cores:.2f} cores used by others" + (
        f" ({culprits})" if culprits else ""
    )


def _timer(vitals: Vitals) -> str | None:
    if vitals.timer_late_p50_us is None or vitals.timer_late_p99_us is None:
        return None
    return f"{vitals.timer_late_p50_us:.0f} us late, {vitals.timer_late_p99_us:.0f} us at p99"


def _swap(vitals: Vitals) -> str | None:
    if vitals.swap_used_mb is None:
        return None
    moving = f", {vitals.swapped_pages} pages moved" if vitals.swapped_pages else ""
    return f"{vitals.swap_used_mb:.0f} MB in use{moving}"


def _ports(vitals: Vitals) -> str | None:
    if vitals.ephemeral_ports is None:
        return None
    waiting = f", {vitals.waiting_ports} in TIME_WAIT" if vitals.waiting_ports is not None else ""
    return f"{vitals.ephemeral_ports}{waiting}"


def _free_ports(vitals: Vitals) -> float | None:
    if vitals.ephemeral_ports is None:
        return None
    return vitals.ephemeral_ports - (vitals.waiting_ports or 0)


def _python(vitals: Vitals) -> str:
    return "; ".join(vitals.python_faults) or "an ordinary build"


def _lock(vitals: Vitals) -> str:
    if not vitals.free_threaded:
        return "with the interpreter's lock"
    return "free-threaded, its lock " + ("on" if vitals.gil else "off")


CHECKS: Final = (
    Check(
        "cores",
        _cores,
        lambda v: _grade(v.cores, doubtful=CORES_NEEDED, bad=2, low=True),
        "Server, load driver and everything else (database, peers) each want a core;"
        " where they share, one waits for the other and its wait is measured.",
        "Use a machine or container with at least 3 cores; with 2, keep rates low and watch void runs.",
    ),
    Check(
        "hardware threads",
        lambda v: (
            None
            if v.shared_core_pairs is None
            else f"{v.shared_core_pairs} usable ones share a core"
            if v.shared_core_pairs
            else "none shares a core"
        ),
        lambda v: _doubtful_if(bool(v.shared_core_pairs)),
        "Two hardware threads of one core slow each other, so the driver can slow the server.",
        "Switch SMT off (echo off > /sys/devices/system/cpu/smt/control), or offer one thread a core"
        " with taskset.",
    ),
    Check(
        "CPU frequency",
        _frequency,
        _frequency_severity,
        "A governor that follows the load, or turbo that follows the heat, changes the speed between"
        " the halves of a pair.",
        "cpupower frequency-set -g performance; switch turbo off (intel_pstate/no_turbo or"
        " cpufreq/boost).",
    ),
    Check(
        "container's CPU limit",
        _limit,
        _limit_severity,
        "A quota stops all threads for the rest of a period of some 100 ms once it is spent: latency"
        " then shows the quota, not the lane.",
        "Raise or remove cpu.max (docker run --cpus, resources.limits.cpu); a cpuset does not throttle.",
    ),
    Check(
        "other load",
        _load,
        lambda v: _grade(v.foreign_cores, doubtful=0.1, bad=0.5),
        "Whatever else runs takes turns with server and driver; at 10 to 29 % run-queue delay"
        " throughput was seen to read 30 to 70 % low.",
        "Stop the processes named, or wait until they are done.",
    ),
    Check(
        "run queue",
        lambda v: _text(v.runnable, "{:.1f} threads on average"),
        lambda v: _grade(v.runnable, doubtful=1.0, bad=float(v.cores or 2)),
        "Threads that are ready and must wait delay the ones that are measured.",
        "Stop what is running; on a shared machine raise the weight of the session, which nice alone"
        " does not when sched_autogroup is on.",
    ),
    Check(
        "steal",
        lambda v: _text(v.steal_share, "{:.1%} of the machine's time"),
        lambda v: _grade(v.steal_share, doubtful=0.002, bad=STEAL_LIMIT),
        "Time that the host gave to other guests is missing from every run; above 2 % a run is void.",
        "Use a host that is not overcommitted, or a dedicated instance type.",
    ),
    Check(
        "timer",
        _timer,
        lambda v: _grade(v.timer_late_p99_us, doubtful=300, bad=LATENESS_LIMIT_US),
        "A request sent late is a request whose schedule was not kept; a run is void from 1 ms at p99.",
        "Lessen the load; on Linux timerfd is used, elsewhere expect less.",
    ),
    Check(
        "clock source",
        lambda v: v.clock_source,
        lambda v: _doubtful_if(v.clock_source not in PRECISE_CLOCKS),
        "Every stamp reads this clock: one outside the processor (hpet, acpi_pm) costs a microsecond"
        " or more each time.",
        "Boot with clocksource=tsc where the processor's counter is stable.",
    ),
    Check(
        "swap",
        _swap,
        lambda v: "bad" if v.swapped_pages else _grade(v.swap_used_mb, doubtful=64),
        "A page that comes back from disk adds milliseconds to whatever touched it.",
        "Free memory, then swapoff -a while measuring.",
    ),
    Check(
        "open files",
        lambda v: _text(v.open_files, "{:.0f}"),
        lambda v: _grade(v.open_files, doubtful=4096, bad=1024, low=True),
        "Every connection is a file on both sides; at the limit connecting fails and the run is void.",
        "ulimit -n 65536 before starting, or LimitNOFILE in the service's unit.",
    ),
    Check(
        "listen queue",
        lambda v: _text(v.somaxconn, "{:.0f} connections (somaxconn)"),
        lambda v: _grade(v.somaxconn, doubtful=1024, bad=128, low=True),
        "Connections that arrive faster than they are accepted are dropped once the queue is full.",
        "sysctl -w net.core.somaxconn=4096",
    ),
    Check(
        "ephemeral ports",
        _ports,
        lambda v: _grade(_free_ports(v), doubtful=10_000, bad=2_000, low=True),
        "Each connection of the driver and to the peers holds a port, for a minute after its end too.",
        "sysctl -w net.ipv4.ip_local_port_range='15000 60999'; let TIME_WAIT run out between studies.",
    ),
    Check(
        "transparent huge pages",
        lambda v: v.huge_pages,
        lambda v: _doubtful_if(v.huge_pages == "always"),
        "Pages of 2 MB make memory per request look larger, and merging them stalls the process.",
        "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled",
    ),
    Check(
        "free disk",
        lambda v: _text(v.disk_free_mb, "{:,.0f} MB where recordings go"),
        lambda v: _grade(
            v.disk_free_mb, doubtful=10 * DISK_NEEDED_MB, bad=DISK_NEEDED_MB, low=True
        ),
        "Raw requests are kept: a long study records hundreds of megabytes.",
        "Free space, or record elsewhere with --out.",
    ),
    Check(
        "virtual machine",
        lambda v: None if v.hypervisor is None else ("yes" if v.hypervisor else "no"),
        lambda v: _doubtful_if(bool(v.hypervisor)),
        "Neighbours on the host share caches and frequency unseen; one core was seen to become 1.5"
        " times slower within a minute.",
        "Trust ratios from interleaved pairs, not absolute figures; or measure on bare metal.",
    ),
    Check(
        "Python build",
        _python,
        lambda v: "bad" if v.python_faults else "fine",
        "Debugging aids slow some lanes more than others.",
        "Measure with an ordinary release build and without debug switches.",
    ),
    Check(
        "interpreter's lock",
        _lock,
        lambda v: _doubtful_if(v.free_threaded),
        "Without the lock threads run at once: figures do not compare with those of an ordinary build.",
        "Compare only recordings whose environment says the same about the lock.",
    ),
)
