"""From what was recorded of a run to the one row that stands for it.

Pure: requests, samples and testimonies in, `RunRow` and sample table out. Latency counts from the
intended start and holds every request, failed ones with the time they took; service time counts from
the actual send. What the server did is counted over the time offered, what a request cost over the
time until the last one ended.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from labcore.measure.bottleneck import name_bottleneck
from labcore.measure.judgement import findings
from labcore.measure.plan import LoadResult, Progress
from labcore.measure.probe import Reading, disturbance, growth
from labcore.measure.record import SAMPLE_COLUMNS, RunRow
from labcore.measure.stream_plan import StreamResult

if TYPE_CHECKING:  # half a second for the load driver, which needs no table
    import pandas as pd

Sample = Mapping[str, Any]
Floats = NDArray[np.float64]

MACHINE_STEP: Final = 5  # readings between two machine samples: its clock ticks in hundredths


@dataclass(frozen=True, slots=True)
class Identity:
    """Which run it is; the fields are `RunRow`'s."""

    run: str
    block: int
    slot: int
    arm: str
    lane: str
    attempt: int
    started_at: str
    seed: int


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What was seen around a run, from outside."""

    readings: Sequence[Reading] = ()
    server_core: int | None = None
    unquiet_ms: float = math.nan
    listen_overflows: float = math.nan
    speed_before_ns: float = math.nan
    speed_after_ns: float = math.nan


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known of a run after it."""

    requests: "pd.DataFrame"  # REQUEST_COLUMNS
    samples: Sequence[Sample]  # as the server sent them, from its start on
    load: LoadResult
    around: Surroundings
    duration_s: float  # of the recorded window
    answered: frozenset[str]  # outcomes that are correct answers
    heard: StreamResult | None = None  # by an audience, where there was one
    deliveries: "pd.DataFrame | None" = None  # REQUEST_COLUMNS, one row an event and subscriber


def summarise(identity: Identity, evidence: Evidence) -> RunRow:
    """The run's row, judged: bottleneck named, void or not and why."""
    start_ns = _origin_ns(evidence)
    window = (start_ns, start_ns + int(evidence.duration_s * 1e9))
    row = RunRow(
        **{field: getattr(identity, field) for field in Identity.__slots__},
        **_answers(evidence),
        **_latencies(evidence.requests),
        **_driver(evidence.load),
        **_server(evidence, window),
        **_gauges(evidence, window),
        **_around(evidence, window),
        **_audience(evidence, window),
        bottleneck="",
        evidence="",
        void=False,
        why="",
    )
    found = findings(row)
    accused = [finding.sentence for finding in found if finding.rule.driver]
    named = name_bottleneck(row, driver=accused)
    return replace(
        row,
        bottleneck=named.name,
        evidence=named.evidence,
        void=bool(found),
        why=" ".join(finding.sentence for finding in found),
    )


def sample_table(evidence: Evidence, progress: Sequence[Progress]) -> "pd.DataFrame":
    """Everything sampled during a run in long form, `SAMPLE_COLUMNS`, in the order of time."""
    import pandas as pd

    start_ns = _origin_ns(evidence)
    rows = [
        *_server_samples(evidence.samples, start_ns),
        *_driver_samples(progress),
        *_machine_samples(evidence.around.readings, start_ns),
    ]
    table = pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS))
    return table.sort_values("at_s", kind="stable", ignore_index=True)


def _origin_ns(evidence: Evidence) -> int:
    """The first intended start; a run in which nothing was due begins with its first sample."""
    if evidence.load.started_ns:
        return evidence.load.started_ns
    return int(evidence.samples[0]["at_ns"]) if evidence.samples else 0


def _answers(evidence: Evidence) -> dict[str, Any]:
    outcomes = dict(evidence.load.outcomes)
    count = len(evidence.requests)
    good = sum(outcomes.get(word, 0) for word in evidence.answered)
    return {
        "offered_per_s": count / evidence.duration_s,
        "achieved_per_s": good / evidence.duration_s,
        "duration_s": evidence.duration_s,
        "requests": count,
        "outcomes": outcomes,
        "error_share": (count - good) / count if count else math.nan,
    }


def _latencies(requests: "pd.DataFrame") -> dict[str, Any]:
    done, sent = requests["done_ns"], requests["sent_ns"]
    latency_ms = ((done - requests["intended_ns"]) / 1e6).to_numpy(dtype=np.float64)
    was_sent = sent > 0
    service_ms = ((done - sent)[was_sent] / 1e6).to_numpy(dtype=np.float64)
    p50, p90, p99, p999, most = _quantiles(latency_ms, 0.5, 0.9, 0.99, 0.999, 1.0)
    service_p50, service_p99 = _quantiles(service_ms, 0.5, 0.99)
    return {
        "p50_ms": p50,
        "p90_ms": p90,
        "p99_ms": p99,
        "p999_ms": p999,
        "max_ms": most,
        "mean_ms": _mean(latency_ms),
        "service_p50_ms": service_p50,
        "service_p99_ms": service_p99,
    }


def _driver(load: LoadResult) -> dict[str, Any]:
    return {
        "lateness_p50_us": load.lateness_p50_us,
        "lateness_p99_us": load.lateness_p99_us,
        "lateness_max_us": load.lateness_max_us,
        "connection_wait_p99_ms": load.connection_wait_p99_ms,
        "connections": load.connections,
        "connect_failures": load.connect_failures,
        "driver_cpu_share": load.cpu_share,
        "driver_run_delay_share": load.run_delay_share,
        "driver_gc_pause_ms": load.gc_pause_ms,
        "steal_share": load.steal_share,
    }


def _server(evidence: Evidence, window: tuple[int, int]) -> dict[str, Any]:
    until_last = (window[0], max(window[1], evidence.load.finished_ns))
    count = len(evidence.requests) or math.nan
    readings, samples = evidence.around.readings, evidence.samples
    wall_s = evidence.duration_s
    voluntary = _growth(samples, "voluntary_switches", until_last)
    involuntary = _growth(samples, "involuntary_switches", until_last)
    return {
        "server_cpu_share": _cpu_s(readings, window) / wall_s,
        "cpu_per_request_us": _cpu_s(readings, until_last) * 1e6 / count,
        "server_run_delay_share": _growth(samples, "run_delay_s", window) / wall_s,
        "rss_peak_mb": _most(samples, "rss_peak_mb"),
        "rss_idle_mb": _first(samples, "rss_mb"),
        "threads_max": _most(_within(samples, until_last), "threads"),
        "voluntary_switches_per_request": voluntary / count,
        "involuntary_switches_per_request": involuntary / count,
        "loop_lag_max_ms": _most(_within(samples, window), "loop_lag_ms"),
        "server_gc_pause_ms": _sum(_within(samples, window), "gc_pause_ms"),
    }


def _gauges(evidence: Evidence, window: tuple[int, int]) -> dict[str, Any]:
    inside = _within(evidence.samples, window)
    in_flight = _mean(_values(inside, "in_flight"))
    by_little = _mean_in_flight(evidence.requests, window)
    gap = abs(in_flight - by_little) / in_flight if in_flight > 0 else math.nan
    return {
        "worker_pool_size": _most(inside, "worker_pool_size"),
        "worker_pool_busy_mean": _mean(_values(inside, "worker_pool_busy")),
        "worker_pool_queued_max": _most(inside, "worker_pool_queued"),
        "db_pool_size": _most(inside, "db_pool_size"),
        "db_pool_busy_mean": _mean(_values(inside, "db_pool_busy")),
        "db_pool_waiting_max": _most(inside, "db_pool_waiting"),
        "admission_queue_mean": _mean(_values(inside, "admission_queue")),
        "shed": _growth(evidence.samples, "shed_total", window),
        "downstream_in_flight_mean": _mean(_values(inside, "downstream_in_flight")),
        "in_flight_mean": in_flight,
        "little_gap_share": gap,
    }


def _around(evidence: Evidence, window: tuple[int, int]) -> dict[str, Any]:
    around = evidence.around
    seen = disturbance(
        around.readings,
        start_ns=window[0],
        finish_ns=window[1],
        server_core=around.server_core,
    )
    return {
        "foreign_cpu_share": seen.foreign_cpu_share,
        "server_core_foreign_share": seen.server_core_foreign_share,
        "unquiet_ms": around.unquiet_ms,
        "listen_overflows": around.listen_overflows,
        "speed_before_ns": around.speed_before_ns,
        "speed_after_ns": around.speed_after_ns,
    }


def _audience(evidence: Evidence, window: tuple[int, int]) -> dict[str, Any]:
    """What subscribers got of the events published in the window, however late."""
    heard, deliveries = evidence.heard, evidence.deliveries
    if heard is None or deliveries is None:
        return {}
    inside = deliveries[deliveries["intended_ns"].between(*window)]
    delay_ms = ((inside["done_ns"] - inside["intended_ns"]) / 1e6).to_numpy(dtype=np.float64)
    p50, p99 = _quantiles(delay_ms, 0.5, 0.99)
    last_ns = int(inside["done_ns"].max()) if len(inside) else window[1]
    until_last = (window[0], max(window[1], evidence.load.finished_ns, last_ns))
    return {
        "subscribers": heard.connected,
        "subscribers_refused": heard.connect_failures,
        "subscribers_lost": heard.ended,
        "deliveries_per_s": len(inside) / evidence.duration_s,
        "deliveries_repeated": heard.repeated,
        "deliveries_skipped": heard.missing,
        "delivery_p50_ms": p50,
        "delivery_p99_ms": p99,
        "cpu_per_delivery_us": _cpu_s(evidence.around.readings, until_last)
        * 1e6
        / (len(inside) or math.nan),
        "audience_cpu_share": heard.cpu_share,
        "audience_run_delay_share": heard.run_delay_share,
    }


def _mean_in_flight(requests: "pd.DataFrame", window: tuple[int, int]) -> float:
    """Throughput times service time over the window, as Little's law has it: the sum of the stays.

    Source: Little, A proof for the queuing formula L = lambda W (1961).
    """
    sent = requests["sent_ns"].to_numpy(dtype=np.float64)
    done = requests["done_ns"].to_numpy(dtype=np.float64)
    stays = np.clip(done, *window) - np.clip(sent, *window)
    return float(stays[sent > 0].sum()) / (window[1] - window[0])


def _cpu_s(readings: Sequence[Reading], window: tuple[int, int]) -> float:
    if len(readings) < 2:
        return math.nan
    totals = [reading.server_s for reading in readings]
    return growth(readings, totals, start_ns=window[0], finish_ns=window[1])


def _growth(samples: Sequence[Sample], name: str, window: tuple[int, int]) -> float:
    """How much a total grew over the window, interpolated; NaN where it is not told."""
    told = [(sample["at_ns"], sample[name]) for sample in samples if name in sample]
    if len(told) < 2:
        return math.nan
    moments, totals = zip(*told, strict=True)
    start, finish = np.interp(window, moments, totals)
    return float(finish - start)


def _within(samples: Sequence[Sample], window: tuple[int, int]) -> list[Sample]:
    return [sample for sample in samples if window[0] <= sample["at_ns"] <= window[1]]


def _values(samples: Iterable[Sample], name: str) -> Floats:
    return np.array([sample[name] for sample in samples if name in sample], dtype=np.float64)


def _quantiles(values: Floats, *shares: float) -> list[float]:
    if not values.size:
        return [math.nan] * len(shares)
    return [float(value) for value in np.quantile(values, shares)]


def _mean(values: Floats) -> float:
    return float(values.mean()) if values.size else math.nan


def _most(samples: Iterable[Sample], name: str) -> float:
    values = _values(samples, name)
    return float(values.max()) if values.size else math.nan


def _sum(samples: Iterable[Sample], name: str) -> float:
    values = _values(samples, name)
    return float(values.sum()) if values.size else math.nan


def _first(samples: Iterable[Sample], name: str) -> float:
    values = _values(samples, name)
    return float(values[0]) if values.size else math.nan


Row = tuple[float, str, str, float]


def _server_samples(samples: Iterable[Sample], start_ns: int) -> Iterable[Row]:
    for sample in samples:
        at_s = (sample["at_ns"] - start_ns) / 1e9
        for name, value in sample.items():
            if name != "at_ns":
                yield at_s, "server", name, float(value)


def _driver_samples(progress: Iterable[Progress]) -> Iterable[Row]:
    for report in progress:
        for name in ("sent", "done", "in_flight", "p50_ms", "p99_ms"):
            yield report.at_s, "driver", name, float(getattr(report, name))


def _machine_samples(readings: Sequence[Reading], start_ns: int) -> Iterable[Row]:
    chosen = readings[::MACHINE_STEP]
    for before, after in pairwise(chosen):
        wall_s = (after.at_ns - before.at_ns) / 1e9
        machine_s = wall_s * after.cores
        at_s = (after.at_ns - start_ns) / 1e9
        foreign_s = (after.busy_s - after.ours_s) - (before.busy_s - before.ours_s)
        yield at_s, "machine", "steal_share", (after.steal_s - before.steal_s) / machine_s
        yield at_s, "machine", "foreign_cpu_share", max(0.0, foreign_s / machine_s)
        yield at_s, "server", "cpu_share", (after.server_s - before.server_s) / wall_s
