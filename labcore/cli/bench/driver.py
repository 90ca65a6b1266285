"""The load driver beside its peers, against a trivial server on the other core, interleaved."""

import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pandas as pd

from labcore.cli.bench import clients
from labcore.cli.bench.clients import Counted, Missing
from labcore.lanes import Child, Request
from labcore.measure import LoadPlan, Users, drive, placement, reference

SUMMARY = "the load driver beside wrk, hey, locust, aiohttp, httpx: requests/s, CPU, lateness"

RATES: Final = (1_000, 2_000, 5_000, 10_000, 20_000)
COMPARED_PER_S: Final = 10_000
CONNECTIONS: Final = 64
# So many users of a server that takes so long ask for 10,000 requests/s: what wrk costs at the rate
# at which the open loop is judged, and not only at its ceiling.
WAITING_USERS: Final = 32
WAITING_S: Final = 0.0031
BARE_CONNECTIONS: Final = 512  # it has no queue: more than are ever under way at once
PEERS: Final[dict[str, Callable[..., Counted]]] = {
    "hey": clients.hey,
    "locust": clients.locust,
    "aiohttp": clients.aiohttp,
    "httpx": clients.httpx,
}
Row = dict[str, Any]


def run(*, quick: bool) -> pd.DataFrame:
    """Medians over interleaved rounds; one row a driver.

    The open rows offer a rate and must achieve it; `bare loop` sleeps, sends and receives and nothing
    else, so it is the floor under any punctual driver in Python. The closed rows are ceilings of
    driver and server together, except `wrk at 10,000/s`, whose server takes 3.1 ms. `over_wrk` and
    `over_wrk_at_10k` compare the CPU a request costs with each of wrk's two. A run-queue delay above
    0.05 says that strangers disturbed the machine. A tool that is not installed is named and left out.
    """
    server_core, driver_core = two_cores()
    seconds = 1.0 if quick else 3.0
    rows: list[Row] = []
    with (
        placement.woken_first(),  # as in an experiment's run
        _reference(server_core) as instant,
        _reference(server_core, delay_s=WAITING_S) as waiting,
        tempfile.TemporaryDirectory() as folder,
    ):
        url, waiting_url = instant.wait_ready(30)["url"], waiting.wait_ready(30)["url"]
        path = Path(folder) / "requests.parquet"
        common: dict[str, Any] = {"seconds": seconds, "core": driver_core}
        for _ in range(1 if quick else 5):
            rows += [_open(url, path, rate, seconds, driver_core) for rate in RATES]
            rows += [_bare(url, rate=rate, **common) for rate in (1_000, COMPARED_PER_S)]
            rows.append(_closed(url, path, seconds, driver_core))
            rows += _peer("wrk", clients.wrk, url, connections=CONNECTIONS, **common)
            rows += _peer(
                "wrk at 10,000/s", clients.wrk, waiting_url, connections=WAITING_USERS, **common
            )
            for name, client in PEERS.items():
                rows += _peer(name, client, url, connections=CONNECTIONS, **common)
    return _medians(rows)


def two_cores() -> tuple[int, int]:
    """A core for the server and another for the driver; one and the same where there is only one."""
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else [0]
    return cores[0], cores[-1]


def _reference(core: int, *, delay_s: float = 0.0) -> Child:
    return Child(reference.TARGET, {"delay_s": delay_s}, name="reference", cpus=frozenset({core}))


def _medians(rows: list[Row]) -> pd.DataFrame:
    table = pd.DataFrame(rows).groupby(["driver", "offered_per_s"], dropna=False, sort=False)
    medians = table.median().reset_index()
    for column, peer in (("over_wrk", "wrk"), ("over_wrk_at_10k", "wrk at 10,000/s")):
        base = medians.loc[medians.driver == f"{peer}, closed", "cpu_us_per_request"]
        medians[column] = medians.cpu_us_per_request / (base.iloc[0] if len(base) else float("nan"))
    medians["load_average"] = os.getloadavg()[0]
    return medians.round(2)


def _plan(
    url: str, path: Path, *, rate: float, seconds: float, core: int, closed: bool
) -> LoadPlan:
    return LoadPlan(
        url,
        path,
        rate_per_s=rate,
        duration_s=seconds,
        warmup_s=0.5,
        requests=(Request("GET", "/"),),
        users=Users(CONNECTIONS) if closed else None,
        cpus=frozenset({core}),
    )


def _open(url: str, path: Path, rate: float, seconds: float, core: int) -> Row:
    result = drive(_plan(url, path, rate=rate, seconds=seconds, core=core, closed=False))
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


def _bare(url: str, *, rate: float, seconds: float, core: int) -> Row:
    counted = clients.bare(url, seconds=seconds, connections=BARE_CONNECTIONS, core=core, rate=rate)
    return {**counted.row("bare loop, open"), "offered_per_s": rate}


def _closed(url: str, path: Path, seconds: float, core: int) -> Row:
    result = drive(_plan(url, path, rate=1, seconds=seconds, core=core, closed=True))
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


def _peer(name: str, client: Callable[..., Counted], url: str, **how: Any) -> list[Row]:
    try:
        return [client(url, **how).row(f"{name}, closed")]
    except Missing as absent:
        sys.stderr.write(f"left out: {absent}\n")
        return []
