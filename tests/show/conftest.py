"""Synthetic recordings, written through the real writer: known latencies in, charts and report out."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from labcore.measure import CONTROL, Design, Recording, RunRow
from labcore.measure.verdict import verdicts

Build = Callable[..., Recording]


@dataclass(frozen=True)
class Nature:
    """How a made-up lane behaves."""

    median_ms: float = 40.0
    spread: float = 0.35
    cpu_us: float = 600.0
    rss_mb: float = 90.0
    threads: float = 3.0
    pool: float = math.nan
    bottleneck: str = "none"


NATURES = {
    "reactive": Nature(),
    "threads": Nature(82.0, 0.5, 1260.0, 140.0, 44.0, 40.0, "worker pool"),
    "virtual": Nature(41.0, 0.36, 650.0, 97.0, 4.0),
    CONTROL: Nature(40.2),
}
FOREIGN = Nature(55.0, 0.3, math.nan, math.nan, math.nan)


@dataclass
class Shape:
    """What a test asks for; the defaults are a whole, clean comparison of three lanes."""

    scenario: str = "checkout"
    arms: tuple[str, ...] = ("threads", "virtual")
    control: bool = True
    pairs: int = 6
    rate: float = 60.0
    duration_s: float = 4.0
    natures: dict[str, dict[str, float]] = field(default_factory=dict)  # changes to NATURES
    void: tuple[tuple[int, str], ...] = ((3, "threads"),)  # (block, arm), repeated and then valid
    repeat: bool = True  # whether a void run is made again
    complete: bool = True
    verdicts: bool = True
    seed: int = 7
    parameters: dict[str, Any] = field(default_factory=lambda: {"payment_ms": 20, "pool": 40})


def requests_of(
    nature: Nature, shape: Shape, rng: np.random.Generator, *, schedule: int
) -> pd.DataFrame:
    arrivals = np.random.default_rng(schedule)
    count = arrivals.poisson(shape.rate * shape.duration_s)
    intended = np.sort(arrivals.uniform(0, shape.duration_s, count)) * 1e9
    woke = intended + rng.exponential(30e3, count)
    sent = woke + rng.exponential(20e3, count)
    service = rng.lognormal(math.log(nature.median_ms), nature.spread, count) * 1e6
    outcome = np.where(rng.random(count) < 0.04, "declined", "ok").astype(object)
    outcome[rng.random(count) < 0.004] = "timeout"
    return pd.DataFrame(
        {
            "intended_ns": (intended + 1e12).astype("int64"),
            "woke_ns": (woke + 1e12).astype("int64"),
            "sent_ns": (sent + 1e12).astype("int64"),
            "first_byte_ns": (sent + 0.9 * service + 1e12).astype("int64"),
            "done_ns": (sent + service + 1e12).astype("int64"),
            "status": np.where(outcome == "ok", 201, np.where(outcome == "declined", 402, 0)),
            "outcome": outcome,
            "connection": np.arange(count) % 64,
        }
    )


def samples_of(nature: Nature, shape: Shape, rng: np.random.Generator) -> pd.DataFrame:
    at = np.arange(-0.5, shape.duration_s + 0.5, 0.1)
    gauges = {
        "cpu_s": np.cumsum(nature.cpu_us * shape.rate / 1e7 * rng.normal(1, 0.1, at.size)),
        "rss_mb": nature.rss_mb * (1 - 0.2 * np.exp(-at - 0.5)),
        "threads": np.full(at.size, nature.threads),
        "loop_lag_ms": rng.exponential(0.8, at.size) + 0 * nature.threads,
        "gc_pause_ms": np.where(at % 1.0 < 0.1, 3.0, 0.0) + 0 * nature.threads,
        "worker_pool_size": np.full(at.size, nature.pool),
        "worker_pool_busy": np.minimum(nature.pool, rng.poisson(30, at.size)),
    }
    frames = [
        pd.DataFrame({"at_s": at, "source": "server", "metric": name, "value": values})
        for name, values in gauges.items()
        if not np.isnan(values).all()
    ]
    columns = {"at_s": float, "source": str, "metric": str, "value": float}
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in columns.items()})
    return pd.concat(frames, ignore_index=True) if frames else empty


def row_of(name: str, arm: str, requests: pd.DataFrame, **facts: Any) -> RunRow:
    nature: Nature = facts.pop("nature")
    latency = (requests["done_ns"] - requests["intended_ns"]) / 1e6
    service = (requests["done_ns"] - requests["sent_ns"]) / 1e6
    lateness = (requests["woke_ns"] - requests["intended_ns"]) / 1e3
    duration, wobble = facts["duration_s"], facts.pop("wobble")
    measured: dict[str, Any] = {
        "requests": len(requests),
        "outcomes": {str(k): int(v) for k, v in requests["outcome"].value_counts().items()},
        "error_share": float((requests["outcome"] == "timeout").mean()),
        "achieved_per_s": float((requests["outcome"] != "timeout").sum() / duration),
        "p50_ms": float(latency.quantile(0.5)),
        "p90_ms": float(latency.quantile(0.9)),
        "p99_ms": float(latency.quantile(0.99)),
        "p999_ms": float(latency.quantile(0.999)),
        "max_ms": float(latency.max()),
        "mean_ms": float(latency.mean()),
        "service_p50_ms": float(service.quantile(0.5)),
        "service_p99_ms": float(service.quantile(0.99)),
        "lateness_p50_us": float(lateness.quantile(0.5)),
        "lateness_p99_us": float(lateness.quantile(0.99)),
        "lateness_max_us": float(lateness.max()),
        "in_flight_mean": float(latency.sum() / 1e3 / duration),
    }
    gauges: dict[str, Any] = {
        "cpu_per_request_us": nature.cpu_us * wobble,
        "server_cpu_share": nature.cpu_us * facts["offered_per_s"] / 1e6,
        "rss_peak_mb": nature.rss_mb * (0.5 + 0.5 * wobble),
        "rss_idle_mb": nature.rss_mb * 0.7,
        "threads_max": nature.threads,
        "worker_pool_size": nature.pool,
        "worker_pool_busy_mean": nature.pool * 0.7,
        "bottleneck": nature.bottleneck,
        "evidence": "All 40 workers were busy, 12 requests queued."
        if nature.bottleneck != "none"
        else "Latency is the service time.",
    }
    still: dict[str, Any] = {
        "connection_wait_p99_ms": 0.1,
        "connections": 64,
        "connect_failures": 0,
        "driver_cpu_share": 0.2,
        "driver_run_delay_share": 0.01,
        "server_run_delay_share": 0.01,
        "worker_pool_queued_max": 12.0,
        "db_pool_size": 10.0,
        "db_pool_busy_mean": 2.0,
        "little_gap_share": 0.01,
        "started_at": "2026-03-04T05:06:07Z",
    }
    known = {"run": name, "arm": arm, **measured, **gauges, **still, **facts}
    unknown: dict[str, Any] = {
        f.name: math.nan for f in fields(RunRow) if f.type is float and f.name not in known
    }
    return RunRow(**known, **unknown)


def build(path: Path, shape: Shape) -> Recording:
    arms = ["reactive", *shape.arms, *([CONTROL] if shape.control else [])]
    design = Design(
        scenario=shape.scenario, baseline="reactive", arms=shape.arms, rate_per_s=shape.rate,
        duration_s=shape.duration_s, warmup_s=1.0, pairs=shape.pairs, arrivals="poisson",
        seed=shape.seed, parameters=shape.parameters,
    )  # fmt: skip
    recording = Recording.create(
        path,
        design,
        {"cpu": {"model": "Test <b>CPU</b>", "cores": 2}, "python": "3.11.7",
         "database_url": "postgresql://lab:hunter2@localhost/lab"},
        command=f"labcore compare checkout --rate {shape.rate:g} --seed {shape.seed}",
    )  # fmt: skip
    rng = np.random.default_rng(shape.seed)
    number = 0
    for block in range(1, shape.pairs + 1):
        for slot, arm in enumerate(arms):
            nature = replace(NATURES.get(arm, FOREIGN), **shape.natures.get(arm, {}))  # type: ignore[arg-type]  # numbers only, but for the bottleneck
            for attempt in (1, 2) if (block, arm) in shape.void and shape.repeat else (1,):
                number += 1
                void = (block, arm) in shape.void and attempt == 1
                requests = requests_of(nature, shape, rng, schedule=block)
                row = row_of(
                    f"r{number:04d}", arm, requests, nature=nature, block=block, slot=slot,
                    lane="reactive" if arm == CONTROL else arm, attempt=attempt, seed=block,
                    offered_per_s=shape.rate, duration_s=shape.duration_s, void=void,
                    why="driver run-queue delay 11.0 % over 5 %" if void else "",
                    wobble=float(rng.normal(1, 0.015)),
                )  # fmt: skip
                recording.add_run(row, samples=samples_of(nature, shape, rng), requests=requests)
    if shape.verdicts:
        recording.save_verdicts(verdicts(recording.runs, design))
    if shape.complete:
        recording.finish(complete=True)
    return recording


@pytest.fixture(scope="session")
def make_recording(tmp_path_factory: pytest.TempPathFactory) -> Build:
    """Build a recording of the asked shape; every call builds anew."""

    def make(**shape: Any) -> Recording:
        return build(tmp_path_factory.mktemp("recording") / "run", Shape(**shape))

    return make


@pytest.fixture(scope="session")
def recording(make_recording: Build) -> Recording:
    """The whole, clean comparison, to be read and not changed: control, one void run, undecided."""
    return make_recording()
