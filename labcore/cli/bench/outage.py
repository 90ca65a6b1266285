"""A provider that stops answering for a while: what customers, provider and breaker see, lane by lane."""

import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import numpy as np
import pandas as pd

from labcore.lanes import Deployment, Stage, scenario
from labcore.measure import LoadPlan, Progress, drive, environment, placement

SUMMARY = (
    "an outage of the payment provider under load: answers in time, breaker, recovery, a lane each"
)

RATE_PER_S: Final = 200.0
OUTAGE_S, QUICK_OUTAGE_S = 30.0, 6.0
BEFORE_S, AFTER_S = 5.0, 10.0
WARMUP_S: Final = 2.0
LIMIT_MS: Final = 1_000.0  # of one payment attempt
MARGIN_MS: Final = 100.0
WORKERS: Final = 400  # of the thread lane: rate times limit, and as much again
FULL_SHARE: Final = 0.95  # of the arrivals of a second paid: full rate again
ADAPTER: Final = "payment-adapter"
OPEN: Final = 1.0
KINDS: Final[Mapping[str, Mapping[str, Any]]] = {
    "hangs": {"hang_share": 1.0},  # connections open, no answer
    "refuses": {"outages": [[0.0, 1e6]]},  # 503 at once
}
WELL: Final[Mapping[str, Any]] = {"hang_share": 0.0, "outages": []}


@dataclass
class Watch:
    """What was seen while the load ran: stamps in monotonic nanoseconds."""

    began_ns: int = 0
    ended_ns: int = 0
    asked: list[tuple[int, float]] = field(default_factory=list)  # attempts the provider got so far
    breaker: list[tuple[int, float]] = field(default_factory=list)

    def first_open_ns(self) -> int:
        """When the breaker was first seen open in the outage; 0: never."""
        inside = (
            at_ns
            for at_ns, state in self.breaker
            if self.began_ns <= at_ns < self.ended_ns and state == OPEN
        )
        return next(inside, 0)

    def asked_between(self, from_ns: int, to_ns: int) -> int:
        """Attempts that reached the provider in between."""
        counts = [count for at_ns, count in self.asked if from_ns <= at_ns <= to_ns]
        return int(counts[-1] - counts[0]) if counts else 0


@dataclass(frozen=True, slots=True)
class Load:
    """What one lane is put under."""

    path: Path
    rate_per_s: float
    outage_s: float
    cpus: frozenset[int] | None


def run(
    *,
    quick: bool,
    lanes: Sequence[str] | None = None,
    rate: float = RATE_PER_S,
    seconds: float = 0.0,
) -> pd.DataFrame:
    """One row a lane and kind of outage of `seconds` under open-loop load of `rate` orders a second.

    `p99_ms` and `p99_outage_ms` count from the intended start, all answers alike; `in_time` says
    whether both stay below the time limit of an attempt and 100 ms. `asked_open` is how many attempts
    reached the provider from the breaker's opening to the end of the outage; `trials` how many half-open
    permits it gave at most. `back_s` is how long after the end a second began of which 95 % were paid,
    as of every later one.
    """
    checkout = scenario("checkout")
    seconds = seconds or (QUICK_OUTAGE_S if quick else OUTAGE_S)
    values = {"payment_timeout_ms": LIMIT_MS, "workers": WORKERS}
    rows = []
    cores = placement.Placement.on(environment.usable_cores())  # as in an experiment's run
    with (
        placement.kept_to(cores.others),
        Stage(checkout, values) as stage,
        tempfile.TemporaryDirectory() as folder,
    ):
        for lane in lanes or [lane.name for lane in checkout.lanes]:
            for kind in KINDS:
                watch = Watch()
                path = Path(folder) / f"{lane}-{kind}.parquet"
                load = Load(path, rate, seconds, cores.driver)
                with stage.deploy(
                    lane, cpus=cores.server, on_sample=_breaker_into(watch)
                ) as deployed:
                    _suffer(deployed, watch, KINDS[kind], load)
                row = judged(pd.read_parquet(path), watch, stage.values)
                rows.append({"lane": lane, "provider": kind, **row})
    return pd.DataFrame(rows)


def judged(
    requests: pd.DataFrame, watch: Watch, values: Mapping[str, bool | int | float | str]
) -> dict[str, Any]:
    """The row of one run, from its requests and what was watched."""
    latency_ms = (requests.done_ns - requests.intended_ns) / 1e6
    outage = requests.intended_ns.between(watch.began_ns, watch.ended_ns)
    p99_ms, p99_outage_ms = latency_ms.quantile(0.99), latency_ms[outage].quantile(0.99)
    opened_ns = watch.first_open_ns()
    wait_s = float(values["breaker_wait_ms"]) / 1e3
    open_s = (watch.ended_ns - opened_ns) / 1e9 if opened_ns else 0.0
    return {
        "requests": len(requests),
        "p99_ms": round(p99_ms, 1),
        "p99_outage_ms": round(p99_outage_ms, 1),
        "max_ms": round(latency_ms.max(), 1),
        "in_time": bool(max(p99_ms, p99_outage_ms) <= LIMIT_MS + MARGIN_MS),
        "opened_s": round((opened_ns - watch.began_ns) / 1e9, 2) if opened_ns else np.nan,
        "asked_open": watch.asked_between(opened_ns, watch.ended_ns) if opened_ns else np.nan,
        "trials": int(open_s / wait_s + 1) * int(values["breaker_trial_calls"]),
        "back_s": _back_s(requests, watch.ended_ns),
    }


def _back_s(requests: pd.DataFrame, ended_ns: int) -> float:
    """Seconds after the end until seconds are full again and stay so; NaN: never."""
    after = requests[requests.intended_ns >= ended_ns]
    second = (after.intended_ns - ended_ns) // 1_000_000_000
    paid = (after.outcome == "ok").groupby(second).mean()
    short = paid.index[paid < FULL_SHARE]
    back = 0 if short.empty else int(short.max()) + 1
    return float(back) if back <= paid.index.max() else np.nan


def _suffer(
    deployed: Deployment,
    watch: Watch,
    trouble: Mapping[str, Any],
    load: Load,
) -> None:
    """Drive the load, and break and mend the provider meanwhile."""
    begun, over = threading.Event(), threading.Event()

    def on_progress(progress: Progress) -> None:  # noqa: ARG001 - that it comes is all
        begun.set()

    def trouble_and_watch() -> None:
        with httpx.Client(trust_env=False) as http:
            begun.wait()
            start_s = time.monotonic()
            _watch_until(start_s + BEFORE_S, http, deployed, watch)
            _set(http, deployed, trouble)
            watch.began_ns = time.monotonic_ns()
            _watch_until(start_s + BEFORE_S + load.outage_s, http, deployed, watch)
            _set(http, deployed, WELL)
            watch.ended_ns = time.monotonic_ns()
            over.wait()

    plan = LoadPlan(
        deployed.url,
        load.path,
        rate_per_s=load.rate_per_s,
        duration_s=BEFORE_S + load.outage_s + AFTER_S,
        warmup_s=WARMUP_S,
        scenario="checkout",
        cpus=load.cpus,
    )
    thread = threading.Thread(target=trouble_and_watch)
    thread.start()
    try:
        with placement.woken_first():
            drive(plan, on_progress=on_progress)
    finally:
        begun.set()
        over.set()
        thread.join()


def _watch_until(until_s: float, http: httpx.Client, deployed: Deployment, watch: Watch) -> None:
    while time.monotonic() < until_s:
        stats = http.get(f"{deployed.peers[ADAPTER]}/stats").json()
        if "attempts_total" in stats:
            watch.asked.append((stats["at_ns"], stats["attempts_total"]))
        time.sleep(0.1)


def _set(http: httpx.Client, deployed: Deployment, settings: Mapping[str, Any]) -> None:
    url = f"{deployed.peers[ADAPTER]}/settings"
    http.put(url, json=dict(settings)).raise_for_status()


def _breaker_into(watch: Watch) -> Any:
    def on_sample(sample: Mapping[str, Any]) -> None:
        if "breaker_state" in sample:
            watch.breaker.append((sample["at_ns"], sample["breaker_state"]))

    return on_sample
