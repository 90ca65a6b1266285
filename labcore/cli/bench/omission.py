"""A server that stands still: what an open load sees of it, and what a closed one leaves out."""

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labcore.cli.bench.driver import two_cores
from labcore.lanes import Child, Request
from labcore.measure import LoadPlan, LoadResult, Users, drive, reference

SUMMARY = "coordinated omission: a server stalled a tenth of the time, in open and closed loop"

RATE_PER_S = 1_000
USERS = 10
QUANTILES = (0.5, 0.9, 0.99, 0.999)
OPEN: Final = "open"

Nanoseconds = NDArray[np.int64]


def run(*, quick: bool) -> pd.DataFrame:
    """Measured percentiles beside the true ones, one row a load model.

    The truth is arithmetic: who arrives in a stall waits for its end, whoever else does not wait.
    For the open load it is taken over the very arrivals that were sent; for the closed one over
    evenly spread arrivals in its window, since those are what its users stand for.
    """
    stall_s, period_s = (0.2, 2.0) if quick else (1.0, 10.0)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results, began_ns = _loaded(folder, stall_s=stall_s, period_s=period_s)
        rows = []
        for model, result in results.items():
            intended = _intended_ns(result.requests_path)
            if model != OPEN:
                intended = np.linspace(intended[0], intended[-1], 100_000).astype(np.int64)
            windows = reference.stalls(
                began_ns, stall_s=stall_s, period_s=period_s, until_ns=int(intended[-1])
            )
            rows.append(_row(result, reference.stall_latency_ns(intended, windows)))
    return pd.DataFrame(rows).round(3)


def _loaded(folder: Path, *, stall_s: float, period_s: float) -> tuple[dict[str, LoadResult], int]:
    """Both loads of one server, by their model, and when its periods began."""
    accounts: list[Mapping[str, Any]] = []

    def on_event(kind: str, said: dict[str, Any]) -> None:
        if kind == reference.ACCOUNT:
            accounts.append(said)

    server = Child(
        reference.TARGET,
        {"stall_s": stall_s, "period_s": period_s},
        name="reference",
        cpus=frozenset({two_cores()[0]}),
        on_event=on_event,
    )
    results = {}
    with server:
        url = server.wait_ready(30)["url"]
        server.send("begin", {})
        for users in (None, Users(USERS)):
            plan = LoadPlan(
                url,
                folder / f"{'open' if users is None else 'closed'}.parquet",
                rate_per_s=RATE_PER_S,
                duration_s=4 * period_s,
                warmup_s=period_s,
                requests=(Request("GET", "/"),),
                users=users,
            )
            results[plan.model] = drive(plan)
    return {str(model): result for model, result in results.items()}, accounts[0]["began_ns"]


def _intended_ns(path: Path) -> Nanoseconds:
    return pd.read_parquet(path, columns=["intended_ns"]).intended_ns.to_numpy()


def _row(result: LoadResult, true_ns: Nanoseconds) -> dict[str, Any]:
    table = pd.read_parquet(result.requests_path)
    latency_ms = ((table.done_ns - table.intended_ns) / 1e6).to_numpy()
    true_ms = true_ns / 1e6
    row: dict[str, Any] = {"model": result.model, "requests": len(table)}
    for quantile in QUANTILES:
        name = f"p{quantile * 100:g}".replace(".", "")
        row[f"{name}_ms"] = np.quantile(latency_ms, quantile)
        row[f"true_{name}_ms"] = np.quantile(true_ms, quantile)
    row["p99_over_true"] = row["p99_ms"] / row["true_p99_ms"]
    row["stalled_share"] = float((latency_ms > 5).mean())
    row["true_stalled_share"] = float((true_ms > 5).mean())
    row["not_ok"] = int((table.outcome != "ok").sum())
    row["lateness_p99_us"] = result.lateness_p99_us
    return row
