"""The load driver beside its peers, against a trivial server on the other core, interleaved."""

import asyncio
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

import pandas as pd

from labcore.kernel import PeerError
from labcore.lanes import Child, ChildContext, Request
from labcore.measure import LoadPlan, Users, drive, reference

SUMMARY = "the load driver beside wrk, aiohttp and httpx: requests/s, CPU per request, lateness"

CONNECTIONS: Final = 64
PEER: Final = "labcore.cli.bench.driver:run_peer"
Row = dict[str, Any]
Fetch = Callable[[], Awaitable[object]]


def run(*, quick: bool) -> pd.DataFrame:
    """Medians over interleaved rounds; one row a driver.

    `ours, open` offers a fixed rate and must achieve it; the closed rows are ceilings of driver and
    server together. A run-queue delay above 0.05 says that strangers disturbed the machine.
    """
    server_cpu, driver_cpu = two_cores()
    seconds = 1.0 if quick else 3.0
    rows: list[Row] = []
    with (
        Child(reference.TARGET, {}, name="reference", cpus=frozenset({server_cpu})) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        url = server.wait_ready(30)["url"]
        path = Path(folder) / "requests.parquet"
        for _ in range(1 if quick else 5):
            rows += [
                _open(url, path, rate, seconds, driver_cpu) for rate in (1_000, 10_000, 20_000)
            ]
            rows.append(_closed(url, path, seconds, driver_cpu))
            if shutil.which("wrk"):
                rows.append(_wrk(url, seconds, driver_cpu))
            rows += [_peer(url, name, seconds, driver_cpu) for name in sorted(_PEERS)]
    return _medians(rows)


def _medians(rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame(rows).groupby(["driver", "offered_per_s"], dropna=False, sort=False)
    medians = table.median().reset_index()
    wrk = medians.loc[medians.driver == "wrk, closed", "cpu_us_per_request"]
    base = wrk.iloc[0] if len(wrk) else float("nan")
    medians["cpu_over_wrk"] = medians.cpu_us_per_request / base
    medians["load_average"] = os.getloadavg()[0]
    return medians.round(2)


def two_cores() -> tuple[int, int]:
    """A core for the server and another for the driver; one and the same where there is only one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    return cores[0], cores[-1]


def _plan(url: str, path: Path, *, rate: float, seconds: float, cpu: int, closed: bool) -> LoadPlan:
    return LoadPlan(
        url,
        path,
        rate_per_s=rate,
        duration_s=seconds,
        warmup_s=0.5,
        requests=(Request("GET", "/"),),
        users=Users(CONNECTIONS) if closed else None,
        cpus=frozenset({cpu}),
    )


def _open(url: str, path: Path, rate: float, seconds: float, cpu: int) -> Row:
    result = drive(_plan(url, path, rate=rate, seconds=seconds, cpu=cpu, closed=False))
    latency_us = _latency_us(path)
    return {
        "driver": "ours, open",
        "offered_per_s": rate,
        "requests_per_s": result.outcomes.get("ok", 0) / seconds,
        "cpu_us_per_request": result.cpu_per_request_us,
        "cpu_share": result.cpu_share,
        "lateness_p50_us": result.lateness_p50_us,
        "lateness_p99_us": result.lateness_p99_us,
        "latency_p50_us": latency_us.median(),
        "latency_p99_us": latency_us.quantile(0.99),
        "run_delay_share": result.run_delay_share,
    }


def _closed(url: str, path: Path, seconds: float, cpu: int) -> Row:
    result = drive(_plan(url, path, rate=1, seconds=seconds, cpu=cpu, closed=True))
    return {
        "driver": "ours, closed",
        "requests_per_s": result.outcomes.get("ok", 0) / seconds,
        "cpu_us_per_request": result.cpu_per_request_us,
        "cpu_share": result.cpu_share,
        "latency_p50_us": _latency_us(path).median(),
        "run_delay_share": result.run_delay_share,
    }


def _latency_us(path: Path) -> "pd.Series[float]":
    table = pd.read_parquet(path, columns=["intended_ns", "done_ns"])
    return (table.done_ns - table.intended_ns) / 1e3


def _wrk(url: str, seconds: float, cpu: int) -> Row:
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", url]
    if shutil.which("taskset"):
        command = ["taskset", "-c", str(cpu), *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as stdout:
        report = stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    counted = re.search(r"(\d+) requests in ([\d.]+)s", report)
    if process.returncode or counted is None:
        raise PeerError(f"wrk ended with code {process.returncode}: {report}")
    count, wall_s = int(counted[1]), float(counted[2])
    return _peer_row("wrk, closed", count, wall_s, usage.ru_utime + usage.ru_stime)


def _peer(url: str, name: str, seconds: float, cpu: int) -> Row:
    setting = {"url": url, "client": name, "seconds": seconds}
    with Child(PEER, setting, name=name, cpus=frozenset({cpu})) as child:
        counted = child.wait_ready(seconds + 30)
    return _peer_row(f"{name}, closed", **counted)


def _peer_row(driver: str, count: int, wall_s: float, cpu_s: float) -> Row:
    return {
        "driver": driver,
        "requests_per_s": count / wall_s,
        "cpu_us_per_request": cpu_s / count * 1e6,
        "cpu_share": cpu_s / wall_s,
    }


def run_peer(context: ChildContext) -> None:
    """Inside a child: the named client, closed loop, on uvloop; ready with what it counted."""
    import uvloop

    url, seconds = context.setting["url"], context.setting["seconds"]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        context.ready(**runner.run(_PEERS[context.setting["client"]](url, seconds)))


async def _aiohttp(url: str, seconds: float) -> Row:
    import aiohttp

    connector = aiohttp.TCPConnector(limit=CONNECTIONS)
    async with aiohttp.ClientSession(connector=connector) as session:

        async def fetch() -> None:
            async with session.get(url) as response:
                await response.read()

        return await _ask_together(fetch, seconds)


async def _httpx(url: str, seconds: float) -> Row:
    import httpx

    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    async with httpx.AsyncClient(limits=limits, timeout=30) as client:
        return await _ask_together(lambda: client.get(url), seconds)


_PEERS: Final[dict[str, Callable[[str, float], Coroutine[Any, Any, Row]]]] = {
    "aiohttp": _aiohttp,
    "httpx": _httpx,
}


async def _ask_together(fetch: Fetch, seconds: float) -> Row:
    """As many users as connections, each asking again at once; what they managed and what it cost."""
    await fetch()
    began_s, cpu_s, count = time.monotonic(), time.process_time(), 0

    async def user() -> None:
        nonlocal count
        while time.monotonic() - began_s < seconds:
            await fetch()
            count += 1

    async with asyncio.TaskGroup() as users:
        for _ in range(CONNECTIONS):
            users.create_task(user())
    return {
        "count": count,
        "wall_s": time.monotonic() - began_s,
        "cpu_s": time.process_time() - cpu_s,
    }
