"""Load tools that are programs of their own, run on one core."""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from typing import Final

from labcore.cli.bench.clients.counted import Counted, Missing
from labcore.kernel import PeerError

LOCUST_SCRIPT: Final = "labcore.cli.bench.clients.locust_users"


def wrk(url: str, *, seconds: float, connections: int, core: int) -> Counted:
    """One thread of wrk. Raises: Missing; PeerError when it fails."""
    seconds = max(1, round(seconds))  # it takes whole ones
    report, user_s, system_s = _run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", url], core=core
    )
    counted = _found(r"(\d+) requests in ([\d.]+)s", report)
    return Counted(int(counted[1]), float(counted[2]), user_s, system_s)


def hey(url: str, *, seconds: float, connections: int, core: int) -> Counted:
    """Go's net/http client on one core. Raises: Missing; PeerError when it fails."""
    command = ["hey", "-cpus", "1", "-c", str(connections), "-z", f"{seconds:g}s", url]
    report, user_s, system_s = _run(command, core=core)
    wall_s = float(_found(r"Total:\s+([\d.]+) secs", report)[1])
    answered = sum(int(number) for number in re.findall(r"\[200\]\s+(\d+) responses", report))
    return Counted(answered, wall_s, user_s, system_s)


def locust(url: str, *, seconds: float, connections: int, core: int) -> Counted:
    """Locust's faster user class, without its own web page. Raises: Missing; PeerError."""
    if importlib.util.find_spec("locust") is None:
        raise Missing("locust is not installed: pip install 'concurrency-workbench[benchmarks]'")
    command = [sys.executable, "-m", LOCUST_SCRIPT, url, str(seconds), str(connections)]
    report, _, _ = _run(command, core=core)  # its whole life includes imports that cost seconds
    return Counted(**json.loads(report.splitlines()[-1]))


def _run(command: list[str], *, core: int) -> tuple[str, float, float]:
    """What it printed, and its user and system seconds."""
    if shutil.which(command[0]) is None:
        raise Missing(f"{command[0]} is not installed: apt-get install {command[0]}")
    if shutil.which("taskset"):
        command = ["taskset", "-c", str(core), *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as stdout:
        report = stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise PeerError(f"{command} ended with code {process.returncode}: {report}")
    return report, usage.ru_utime, usage.ru_stime


def _found(pattern: str, report: str) -> re.Match[str]:
    match = re.search(pattern, report)
    if match is None:
        raise PeerError(f"no {pattern!r} in what the tool printed: {report}")
    return match
