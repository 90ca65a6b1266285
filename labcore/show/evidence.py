"""What a recording says, read once for charts, report and terminal: arms, medians, findings.

Statistics are over runs, never over pooled requests, and quantiles are taken per run and then
their median over runs; a mean of percentiles appears nowhere. Void runs are shown but never enter
a figure's numbers. Verdicts come from `labcore.measure` and are not recomputed here: this file
only puts them into words, and withholds them when the A/A control came out as a difference.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from labcore.measure import CONTROL, Recording, Verdict
from labcore.show.words import listed, times

DECIDED = frozenset({"faster", "slower", "equal in practice"})


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of the runs: its label, its unit, and the verb of `<lane> <claim> <times> …`."""

    name: str
    label: str
    unit: str
    claim: str  # with {times} and {baseline}


METRICS = {
    metric.name: metric
    for metric in (
        Metric("p50_ms", "median latency", "ms", "has {times} the median latency of {baseline}"),
        Metric("p90_ms", "p90 latency", "ms", "has {times} the p90 latency of {baseline}"),
        Metric("p99_ms", "p99 latency", "ms", "has {times} the p99 latency of {baseline}"),
        Metric("p999_ms", "p99.9 latency", "ms", "has {times} the p99.9 latency of {baseline}"),
        Metric("achieved_per_s", "throughput", "/s", "answers {times} the requests of {baseline}"),
        Metric(
            "cpu_per_request_us",
            "CPU per request",
            "µs",
            "needs {times} the CPU of {baseline} per request",
        ),
        Metric("rss_peak_mb", "peak memory", "MB", "needs {times} the memory of {baseline}"),
        Metric(
            "delivery_p50_ms",
            "median delivery delay",
            "ms",
            "has {times} the median delivery delay of {baseline}",
        ),
        Metric(
            "delivery_p99_ms",
            "p99 delivery delay",
            "ms",
            "has {times} the p99 delivery delay of {baseline}",
        ),
        Metric(
            "cpu_per_delivery_us",
            "CPU per delivery",
            "µs",
            "needs {times} the CPU of {baseline} per delivery",
        ),
        Metric("error_share", "errors", "", "has {times} the errors of {baseline}"),
        Metric("threads_max", "threads", "", "runs {times} the threads of {baseline}"),
    )
}


def metric(name: str) -> Metric:
    """The card of that column; a column without one speaks by its own name."""
    known = METRICS.get(name)
    return known or Metric(
        name, name.replace("_", " "), "", f"has {{times}} the {name} of {{baseline}}"
    )


def arms_of(recording: Recording, *, control: bool = True) -> list[str]:
    """Arms with at least one run, the baseline first and the control last."""
    design = recording.design
    ran = list(dict.fromkeys(recording.runs["arm"]))
    order = [design.baseline, *design.arms, *ran]
    arms = [arm for arm in dict.fromkeys(order) if arm in ran and arm != CONTROL]
    return [*arms, CONTROL] if control and CONTROL in ran else arms


def label_of(recording: Recording, arm: str) -> str:
    """The arm's name for a reader: the control is the baseline once more."""
    return f"A/A control ({recording.design.baseline})" if arm == CONTROL else arm


def valid_runs(recording: Recording) -> pd.DataFrame:
    """The runs that count: not void."""
    runs = recording.runs
    return runs[~runs["void"].astype(bool)]


def void_runs(recording: Recording) -> pd.DataFrame:
    """The runs that prove nothing, kept to be shown."""
    runs = recording.runs
    return runs[runs["void"].astype(bool)]


def runs_note(recording: Recording) -> str:
    """The unit of repetition and what was left out, for the corner of a chart."""
    counts = valid_runs(recording)["arm"].value_counts()
    void = len(void_runs(recording))
    if counts.empty:
        n = "n = 0 valid runs"
    elif counts.min() == counts.max():
        n = f"n = {counts.max()} runs per arm"
    else:
        n = f"n = {counts.min()} to {counts.max()} runs per arm"
    left_out = f"; {void} void {'run' if void == 1 else 'runs'} left out" if void else ""
    return n.replace("1 runs", "1 run") + left_out


def median_of(recording: Recording, arm: str, column: str) -> float:
    """Median over the arm's valid runs, in the column's unit; NaN when nothing was measured."""
    runs = valid_runs(recording)
    values = runs.loc[runs["arm"] == arm, column].dropna()
    return float(values.median()) if len(values) else math.nan


def median_interval(values: Sequence[float], *, confidence: float) -> tuple[float, float]:
    """Distribution-free interval for the median from two order statistics.

    Exact for any distribution: at least `confidence`, from six values on at 95 %. NaN below that.

    Source: the sign test inverted (Conover, "Practical Nonparametric Statistics", 3.2).
    """
    ordered = np.sort([value for value in values if not math.isnan(value)])
    n = len(ordered)
    below = int(stats.binom.ppf((1 - confidence) / 2, n, 0.5)) if n else 0
    for rank in range(below + 1, 0, -1):  # 1-based rank of the lower bound, tightest first
        covered = 1 - 2 * float(stats.binom.cdf(rank - 1, n, 0.5))
        if rank <= n // 2 and covered >= confidence:
            return float(ordered[rank - 1]), float(ordered[n - rank])
    return math.nan, math.nan


def representative_run(recording: Recording, arm: str) -> str | None:
    """The arm's valid run whose p99 lies nearest to the arm's median p99."""
    runs = valid_runs(recording)
    mine = runs[runs["arm"] == arm]
    if mine.empty:
        return None
    distance = (mine["p99_ms"] - mine["p99_ms"].median()).abs().fillna(math.inf)
    return str(mine["run"].iloc[int(distance.to_numpy().argmin())])


def latencies_ms(requests: pd.DataFrame) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """Latency of every request in ms, from the intended start, whatever its outcome."""
    taken = requests["done_ns"].to_numpy() - requests["intended_ns"].to_numpy()
    return np.asarray(taken / 1e6, dtype=np.float64)


def verdicts_for(recording: Recording, name: str, *, control: bool = False) -> list[Verdict]:
    """The verdicts on a metric, those of the control or those of the lanes."""
    return [
        verdict
        for verdict in recording.verdicts
        if verdict.metric == name and (verdict.arm == CONTROL) == control
    ]


def has_interval(verdict: Verdict) -> bool:
    """Whether both ends of the exact interval are known; too few pairs leave one open."""
    return math.isfinite(verdict.low) and math.isfinite(verdict.high) and verdict.low > 0


def metrics_judged(recording: Recording) -> list[str]:
    """The metrics that have a verdict, in the order of the record."""
    return list(dict.fromkeys(verdict.metric for verdict in recording.verdicts))


def control_differs(recording: Recording) -> list[Verdict]:
    """Control verdicts that claim a difference between equals: the session cannot be trusted."""
    return [
        verdict
        for verdict in recording.verdicts
        if verdict.arm == CONTROL and verdict.word in {"faster", "slower"}
    ]


def claim(verdict: Verdict) -> str:
    """What a decided verdict says, in one clause without interval."""
    card = metric(verdict.metric)
    if verdict.word == "equal in practice":
        return f"{verdict.arm} and {verdict.baseline} are equal in practice in {card.label}"
    words = card.claim.format(times=times(verdict.ratio), baseline=verdict.baseline)
    return f"{verdict.arm} {words}"


def differences(recording: Recording) -> list[Verdict]:
    """What the verdicts claim to be different between lanes; nothing when the control differs."""
    if control_differs(recording):
        return []
    return [
        verdict
        for verdict in recording.verdicts
        if verdict.arm != CONTROL and verdict.word in {"faster", "slower"}
    ]


def finding(recording: Recording, name: str, *, neutral: str) -> str:
    """The strongest thing the verdicts on a metric allow to be said; `neutral` when they allow none.

    A difference comes before an equality, the larger before the smaller. Nothing is claimed when
    the A/A control differs.
    """
    different = [verdict for verdict in differences(recording) if verdict.metric == name]
    if different:
        return claim(max(different, key=lambda verdict: abs(math.log(verdict.ratio))))
    verdicts = verdicts_for(recording, name)
    if verdicts and all(verdict.word == "equal in practice" for verdict in verdicts):
        lanes = [verdicts[0].baseline, *(verdict.arm for verdict in verdicts)]
        zone = verdicts[0].zone_share
        return f"{listed(lanes)} are equal in practice in {metric(name).label} (±{zone:.0%})"
    return neutral
