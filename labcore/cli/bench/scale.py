"""How large a study can be analysed on an ordinary machine: requests recorded, report out.

The recording is synthetic and says so in its scenario and its environment: what is measured here is the
analysis, never a lane. It runs in a child of its own, so that its peak memory is its own.
"""

import json
import math
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd

from labcore.kernel import PeerError
from labcore.measure import (
    CONTROL,
    SAMPLE_COLUMNS,
    Design,
    LoadResult,
    Recording,
    RunRow,
    summary,
    verdicts,
)

SUMMARY = "scale: five million recorded requests, from raw stamps to verdicts and the HTML report"

REQUESTS: Final = 5_000_000
MOST_SECONDS: Final = 60.0
MOST_MB: Final = 2048.0
LANES: Final = {"reactive": 20.0, "threads": 41.0, "virtual": 22.0, "structured": 19.0}  # median ms
BASELINE: Final = "reactive"
DURATION_S: Final = 10.0
SPREAD: Final = 0.3  # of the latency's logarithm


@dataclass(frozen=True, slots=True)
class _Study:
    """The size of the synthetic study."""

    pairs: int
    requests_a_run: int

    @property
    def arms(self) -> tuple[str, ...]:
        """In the order they run within a block."""
        return (*LANES, CONTROL)


def run(*, quick: bool) -> pd.DataFrame:
    """Seconds and peak memory of each step, one row a step, the last one the whole child.

    `seconds` of the whole holds the interpreter's start; `peak_mb` is the most memory until then.

    Raises: PeerError when the child fails.
    """
    arms = len(LANES) + 1
    pairs, requests = (6, REQUESTS // 20) if quick else (20, REQUESTS)
    study = _Study(pairs=pairs, requests_a_run=requests // (pairs * arms))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "synthetic"
        synthesise(path, study)
        began_s = time.monotonic()
        steps = _in_child(path)
        whole_s = time.monotonic() - began_s
    whole = {**steps[-1], "step": "the whole", "seconds": round(whole_s, 2)}
    table = pd.DataFrame([*steps, whole])
    table.insert(1, "requests", study.requests_a_run * pairs * arms)
    table["within"] = (table["seconds"] < MOST_SECONDS) & ~(table["peak_mb"] > MOST_MB)
    return table


def synthesise(path: Path, study: _Study) -> Recording:
    """A recording of made-up requests, written through the real writer and labelled synthetic."""
    design = Design(
        scenario="synthetic",
        baseline=BASELINE,
        arms=tuple(lane for lane in LANES if lane != BASELINE),
        rate_per_s=study.requests_a_run / DURATION_S,
        duration_s=DURATION_S,
        warmup_s=0.0,
        pairs=study.pairs,
        arrivals="poisson",
        seed=1,
    )
    recording = Recording.create(
        path,
        design,
        {"synthetic": "every request was drawn from a random generator; nothing was measured"},
        command="labcore bench scale",
    )
    rng = np.random.default_rng(design.seed)
    for number in range(study.pairs * len(study.arms)):
        block, slot = divmod(number, len(study.arms))
        arm = study.arms[slot]
        requests = _requests(
            rng, median_ms=LANES.get(arm, LANES[BASELINE]), count=study.requests_a_run
        )
        identity = summary.Identity(
            run=f"r{number + 1:04d}",
            block=block,
            slot=slot,
            arm=arm,
            lane=BASELINE if arm == CONTROL else arm,
            attempt=1,
            started_at="2026-01-01T00:00:00Z",
            seed=block,
        )
        recording.add_run(_row(identity, requests), samples=_samples(rng), requests=requests)
    recording.finish(complete=True)
    return recording


def analyse(path: Path) -> list[dict[str, Any]]:
    """Recompute rows and verdicts from the raw requests, write the report; what each step took."""
    from labcore.faces import load_run

    steps: list[dict[str, Any]] = []
    began_s = time.monotonic()

    def done(step: str) -> None:
        nonlocal began_s
        now_s = time.monotonic()
        steps.append({"step": step, "seconds": round(now_s - began_s, 2), "peak_mb": _peak_mb()})
        began_s = now_s

    recording = Recording.open(path)
    rows = [_recomputed(recording, row) for row in recording.runs.itertuples()]
    done("rows from raw requests")
    recording.save_verdicts(verdicts(pd.DataFrame(rows), recording.design))
    done("verdicts")
    page = load_run(path).report()
    done("report")
    steps[-1]["report_mb"] = round(page.stat().st_size / 1e6, 2)
    return steps


def _recomputed(recording: Recording, row: Any) -> RunRow:
    """A run's row once more, from nothing but its requests."""
    names = summary.Identity.__slots__
    identity = summary.Identity(**{name: getattr(row, name) for name in names})
    return _row(identity, recording.requests(row.run))


def _row(identity: summary.Identity, requests: pd.DataFrame) -> RunRow:
    evidence = summary.Evidence(
        requests=requests,
        samples=(),
        load=_load(requests),
        around=summary.Surroundings(),
        duration_s=DURATION_S,
        answered=frozenset({"ok"}),
    )
    return summary.summarise(identity, evidence)


def _load(requests: pd.DataFrame) -> LoadResult:
    """What a driver would have said of these requests; what they cannot tell is NaN."""
    late_us = (requests["woke_ns"] - requests["intended_ns"]).to_numpy() / 1e3
    waited_ms = (requests["sent_ns"] - requests["woke_ns"]).to_numpy() / 1e6
    p50, p99, most = (float(value) for value in np.quantile(late_us, (0.5, 0.99, 1.0)))
    return LoadResult(
        requests_path=Path(),
        model="open",
        stopped=False,
        started_ns=int(requests["intended_ns"].iloc[0]),
        finished_ns=int(requests["done_ns"].max()),
        requests=len(requests),
        outcomes={str(word): int(n) for word, n in requests["outcome"].value_counts().items()},
        lateness_p50_us=p50,
        lateness_p99_us=p99,
        lateness_max_us=most,
        connection_wait_p99_ms=float(np.quantile(waited_ms, 0.99)),
        connections=requests["connection"].nunique(),
        connect_failures=0,
        cpu_share=math.nan,
        cpu_per_request_us=math.nan,
        run_delay_share=math.nan,
        gc_pause_ms=0.0,
        gc_pause_max_ms=0.0,
        gc_collections=0,
        others_cpu_share=math.nan,
        steal_share=math.nan,
        wall_s=DURATION_S,
    )


def _requests(rng: np.random.Generator, *, median_ms: float, count: int) -> pd.DataFrame:
    intended = np.sort(rng.uniform(0, DURATION_S * 1e9, count)).astype(np.int64) + 1_000_000_000
    woke = intended + rng.exponential(20e3, count).astype(np.int64)
    sent = woke + rng.exponential(10e3, count).astype(np.int64)
    service = (rng.lognormal(math.log(median_ms), SPREAD, count) * 1e6).astype(np.int64)
    fails = rng.random(count) < 0.001
    return pd.DataFrame(
        {
            "intended_ns": intended,
            "woke_ns": woke,
            "sent_ns": sent,
            "first_byte_ns": sent + service - 50_000,
            "done_ns": sent + service,
            "status": np.where(fails, 503, 201).astype(np.int16),
            "outcome": np.where(fails, "unavailable", "ok"),
            "connection": rng.integers(0, 256, count).astype(np.int32),
        }
    )


def _samples(rng: np.random.Generator) -> pd.DataFrame:
    at_s = np.arange(0, DURATION_S, 0.1)
    gauges = {
        "rss_mb": 90 + rng.normal(0, 1, at_s.size).cumsum(),
        "threads": np.full(at_s.size, 12.0),
        "loop_lag_ms": rng.exponential(0.8, at_s.size),
        "gc_pause_ms": rng.exponential(0.2, at_s.size),
        "cpu_s": np.cumsum(rng.uniform(0.03, 0.05, at_s.size)),
    }
    frames = [
        pd.DataFrame({"at_s": at_s, "source": "server", "metric": name, "value": values})
        for name, values in gauges.items()
    ]
    return pd.concat(frames, ignore_index=True)[list(SAMPLE_COLUMNS)]


def _in_child(path: Path) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", __name__, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        told = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise PeerError(f"the analysing child ended with code {done.returncode}: {told}")
    steps: list[dict[str, Any]] = json.loads(done.stdout)
    return steps


def _peak_mb() -> float:
    """The most memory this process has held; NaN off Linux.

    Not `getrusage`, whose maximum a child inherits from whoever started it.
    """
    status = Path("/proc/self/status")
    lines = status.read_text(encoding="utf-8").splitlines() if status.is_file() else []
    peaks = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
    return round(peaks[0] / 1024, 1) if peaks else math.nan


if __name__ == "__main__":
    sys.stdout.write(json.dumps(analyse(Path(sys.argv[1]))))
