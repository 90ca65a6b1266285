"""A server that stands still: what an open load sees of it, and what a closed one leaves out."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from labcore.lanes import Child, Request
from labcore.measure import LoadPlan, Users, drive, reference

SUMMARY = "coordinated omission: a server stalled a tenth of the time, in open and closed loop"

RATE_PER_S = 1_000
USERS = 10
QUANTILES = (0.5, 0.9, 0.99, 0.999)


def run(*, quick: bool) -> pd.DataFrame:
    """Measured percentiles beside the true ones, one row a load model.

    The truth is arithmetic: who arrives in a stall waits for its end, whoever else does not wait.
    For the open load it is taken over the very arrivals that were sent; for the closed one over
    evenly spread arrivals in its window, since those are what its users stand for.
    """
    stall_s, period_s = (0.2, 2.0) if quick else (1.0, 10.0)
    setting = {"stall_s": stall_s, "period_s": period_s}
    with (
        Child(reference.TARGET, setting, name="reference", cpus=frozenset({0})) as server,
        tempfile.TemporaryDirectory() as folder,
    ):
        ready = server.wait_ready(30)
        rows = []
        for users in (None, Users(USERS)):
            path = Path(folder) / "requests.parquet"
            plan = LoadPlan(
                ready["url"],
                path,
                rate_per_s=RATE_PER_S,
                duration_s=4 * period_s,
                warmup_s=period_s,
                requests=(Request("GET", "/"),),
                users=users,
            )
            result = drive(plan)
            intended = pd.read_parquet(path, columns=["intended_ns"]).intended_ns.to_numpy()
            if users is not None:
                intended = np.linspace(intended[0], intended[-1], 100_000).astype(np.int64)
            windows = reference.stalls(
                ready["began_ns"], stall_s=stall_s, period_s=period_s, until_ns=intended[-1]
            )
            true_ns = reference.stall_latency_ns(intended, windows)
            rows.append(_row(plan.model, path, true_ns, late_us=result.lateness_p99_us))
    return pd.DataFrame(rows).round(3)


def _row(model: str, path: Path, true_ns: NDArray[np.int64], *, late_us: float) -> dict[str, Any]:
    table = pd.read_parquet(path)
    latency_ms = ((table.done_ns - table.intended_ns) / 1e6).to_numpy()
    true_ms = true_ns / 1e6
    row: dict[str, Any] = {"model": model, "requests": len(table)}
    for quantile in QUANTILES:
        name = f"p{quantile * 100:g}".replace(".", "")
        row[f"{name}_ms"] = np.quantile(latency_ms, quantile)
        row[f"true_{name}_ms"] = np.quantile(true_ms, quantile)
    row["p99_over_true"] = row["p99_ms"] / row["true_p99_ms"]
    row["stalled_share"] = float((latency_ms > 5).mean())
    row["true_stalled_share"] = float((true_ms > 5).mean())
    row["not_ok"] = int((table.outcome != "ok").sum())
    row["lateness_p99_us"] = late_us
    return row
