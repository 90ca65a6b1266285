"""A machine's files are read from any root; what is not there is unknown."""

import math
import os
from dataclasses import replace
from pathlib import Path

import pytest

from labcore.measure import vitals as vitals_module
from labcore.measure.vitals import Vitals, cpu_limit_cores, take_vitals

STAT = "cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 100 0 100 800 0 0 0 0 0 0\nprocs_running 4\n"
MACHINE = {
    "proc/self/status": "Name:\tpython\nCpus_allowed_list:\t0-2,4\n",
    "proc/self/limits": "Limit  Soft  Hard  Units\nMax open files            1024  4096  files\n",
    "proc/self/cgroup": "0::/system.slice/lab.service\n",
    "proc/stat": STAT,
    "proc/vmstat": "pswpin 7\npswpout 5\n",
    "proc/meminfo": "SwapTotal:  204800 kB\nSwapFree:  102400 kB\n",
    "proc/cpuinfo": "flags\t: fpu hypervisor sse\n",
    "proc/net/sockstat": "sockets: used 9\nTCP: inuse 5 orphan 0 tw 12 alloc 6 mem 1\n",
    "proc/sys/net/core/somaxconn": "128\n",
    "proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    "sys/devices/system/cpu/online": "0-7\n",
    "sys/devices/system/cpu/cpu0/topology/thread_siblings_list": "0,4\n",
    "sys/devices/system/cpu/cpu4/topology/thread_siblings_list": "0,4\n",
    "sys/devices/system/cpu/cpu1/topology/thread_siblings_list": "1,5\n",
    "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor": "powersave\n",
    "sys/devices/system/cpu/intel_pstate/no_turbo": "0\n",
    "sys/devices/system/clocksource/clocksource0/current_clocksource": "hpet\n",
    "sys/kernel/mm/transparent_hugepage/enabled": "[always] madvise never\n",
    "sys/fs/cgroup/system.slice/lab.service/cpu.max": "150000 100000\n",
    "sys/fs/cgroup/system.slice/lab.service/cpu.stat": "nr_periods 9\nnr_throttled 3\n",
    "sys/fs/cgroup/system.slice/cpu.max": "max 100000\n",
}


def build(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_machine_is_read_from_its_files(tmp_path: Path):
    vitals = take_vitals(build(tmp_path, MACHINE), runs=tmp_path / "runs" / "new")
    assert (vitals.cores, vitals.machine_cores) == (4, 8)
    assert vitals.shared_core_pairs == 1  # 0 and 4; the partner of 1 is not ours
    assert vitals.cpu_limit_cores == 1.5
    assert (vitals.throttled_periods, vitals.swapped_pages) == (0, 0)  # totals did not grow
    assert vitals.governors == ("powersave",)
    assert vitals.turbo is True
    assert vitals.runnable == 3  # without the one that reads
    assert vitals.clock_source == "hpet"
    assert vitals.swap_used_mb == 100
    assert vitals.open_files == 1024
    assert vitals.somaxconn == 128
    assert (vitals.ephemeral_ports, vitals.waiting_ports) == (28_232, 12)
    assert vitals.huge_pages == "always"
    assert vitals.hypervisor is True
    assert vitals.disk_free_mb is not None


def stat_of(name: str, *, ticks: int, born: int) -> str:
    return f"7 ({name}) R {' 0' * 10} {ticks} 0 {'0 ' * 6}{born} 0"


def test_work_of_a_process_renamed_or_born_while_we_looked_is_its_own(tmp_path: Path):
    def moment(name: str, *, ticks: int, born: int) -> vitals_module._Moment:
        path = build(tmp_path, {"proc/7/stat": stat_of(name, ticks=ticks, born=born)})
        return replace(vitals_module._Moment.of(vitals_module._Files(path)), at_ns=0)

    per_s = os.sysconf("SC_CLK_TCK")
    before = moment("worker (idle)", ticks=500, born=3)
    renamed = replace(moment("worker (busy)", ticks=500 + per_s, born=3), at_ns=1_000_000_000)
    assert vitals_module._busiest(before, renamed) == (("worker (busy)", 1.0),)
    reborn = replace(moment("young", ticks=per_s // 2, born=9), at_ns=1_000_000_000)
    assert vitals_module._busiest(before, reborn) == (("young", 0.5),)


def test_what_is_not_there_is_unknown(tmp_path: Path):
    vitals = take_vitals(tmp_path)
    known = {name for name in Vitals.__dataclass_fields__ if getattr(vitals, name) is not None}
    living = {"timer_late_p50_us", "timer_late_p99_us", "disk_free_mb", "python_faults"}
    assert known == living | {"busiest", "free_threaded", "gil"}


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, None),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cgroup.procs": "1"}, math.inf),
        ({"proc/self/cgroup": "0::/\n", "sys/fs/cgroup/cpu.max": "50000 100000"}, 0.5),
        (
            {
                "proc/self/cgroup": "4:cpu,cpuacct:/docker/9f\n",
                "sys/fs/cgroup/cpu,cpuacct/docker/9f/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_quota_us": "250000",
                "sys/fs/cgroup/cpu,cpuacct/docker/cpu.cfs_period_us": "100000",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "0::/a/b\n",
                "sys/fs/cgroup/a/b/cpu.max": "400000 100000",
                "sys/fs/cgroup/a/cpu.max": "200000 100000",
            },
            2.0,  # the group above is the narrower one
        ),
    ],
    ids=["no groups", "no limit", "version 2", "version 1", "narrow parent"],
)
def test_the_narrowest_control_group_limits(
    tmp_path: Path, files: dict[str, str], cores: float | None
):
    assert cpu_limit_cores(build(tmp_path, files)) == cores


def test_this_machine_is_read(tmp_path: Path):
    vitals = take_vitals(runs=tmp_path)
    assert vitals.cores is not None
    assert 1 <= vitals.cores <= (os.cpu_count() or 1)
    assert vitals.timer_late_p99_us is not None
    assert vitals.timer_late_p50_us is not None
    assert vitals.timer_late_p50_us <= vitals.timer_late_p99_us
