"""The record of an experiment on disk: what is written, under which names, in which units.

    runs/<id>/
      experiment.json        kind, design, seeds, parameters, environment (`SCHEMA_VERSION`)
      runs.parquet           one row a run: the fields of `RunRow`
      requests/<run>.parquet one row a request: `REQUEST_COLUMNS`
      samples/<run>.parquet  one row a sample and metric: `SAMPLE_COLUMNS`
      deliveries/<run>.parquet  where a scenario has an audience, one row an event and subscriber:
                             `REQUEST_COLUMNS`, intended being when it was published
      verdict.json           a list of verdicts: the fields of `labcore.measure.verdict.Verdict`
      capacity.json          of kind `capacity`: a list of `CapacityResult`, one a lane
      crossover.json         of kind `crossover`: one `CrossoverResult`
      cells/<cell>/          of kind `crossover`: the recording of each cell's comparison
      report.html            the report, rebuilt from the above by `labcore report`

In JSON null stands for NaN.

Raw data stay, so anyone can recompute every figure. Latency counts from the *intended* start;
service time from the actual send.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

SCHEMA_VERSION = 1

Kind = Literal["compare", "capacity", "crossover"]  # of an experiment; absent: compare
Word = Literal["faster", "slower", "equal in practice", "undecided", "void"]

REQUEST_COLUMNS = {
    "intended_ns": "int64",  # monotonic, from the schedule drawn beforehand
    "woke_ns": "int64",  # when the pacer handed the request over; minus intended = send lateness
    "sent_ns": "int64",  # when its bytes were written; minus woke = wait for a connection; 0 = never
    "first_byte_ns": "int64",  # first bytes of the answer; 0 = none came
    "done_ns": "int64",  # answer complete, or failure known, or end of the run
    "status": "int16",  # HTTP status; 0 where no answer came
    "outcome": "string",  # the workload's word, or timeout, reset, refused, unfinished, overload
    "connection": "int32",  # number of the connection used; -1 = none
}

SAMPLE_COLUMNS = {
    "at_s": "float64",  # seconds since the first intended start of the run
    "source": "string",  # server, driver or machine
    "metric": "string",
    "value": "float64",
}

CONTROL = "control"  # the arm that is the baseline once more: the A/A row of every report


@dataclass(slots=True)
class RunRow:
    """One run: one fresh server process under one schedule. Times end in their unit; shares are 0..1.

    `block` numbers the interleaved blocks: the arms of a block share one schedule, and each arm is
    paired with the baseline's run of its block. NaN marks what could not be measured (a foreign lane
    has no inner gauges).
    """

    run: str  # r0001, r0002, … in the order they ran
    block: int
    slot: int  # place within the block
    arm: str  # the lane's name, or `control`
    lane: str
    attempt: int  # 1, or higher where a void run was repeated
    started_at: str  # UTC, ISO 8601
    seed: int
    offered_per_s: float
    achieved_per_s: float  # answered within the contract, over the time offered
    duration_s: float
    requests: int
    outcomes: dict[str, int]
    error_share: float
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    mean_ms: float
    service_p50_ms: float
    service_p99_ms: float
    lateness_p50_us: float
    lateness_p99_us: float
    lateness_max_us: float
    connection_wait_p99_ms: float
    connections: int
    connect_failures: int
    driver_cpu_share: float  # of one core
    driver_run_delay_share: float  # time runnable but not running, over wall time
    driver_gc_pause_ms: float
    server_cpu_share: float  # of one core
    server_run_delay_share: float
    cpu_per_request_us: float
    rss_peak_mb: float
    rss_idle_mb: float
    threads_max: float
    voluntary_switches_per_request: float
    involuntary_switches_per_request: float
    loop_lag_max_ms: float
    server_gc_pause_ms: float
    worker_pool_size: float
    worker_pool_busy_mean: float
    worker_pool_queued_max: float
    db_pool_size: float
    db_pool_busy_mean: float
    db_pool_waiting_max: float
    in_flight_mean: float
    little_gap_share: float  # |N - X R| / N
    steal_share: float
    foreign_cpu_share: float  # CPU used by others, of the whole machine
    speed_before_ns: float  # per turn of a fixed loop, CPU time: describes the core, voids nothing
    speed_after_ns: float
    bottleneck: str
    evidence: str
    void: bool
    why: str  # which void rules fired, with value and limit; empty when valid
    downstream_in_flight_mean: float = math.nan  # requests of the server waiting on another service
    server_core_foreign_share: float = math.nan  # of the server's core, used by anybody else
    unquiet_ms: float = math.nan  # CPU the server used in the last 120 ms before the load
    listen_overflows: float = math.nan  # connections the machine's listen queues dropped
    admission_queue_mean: float = math.nan  # requests in line before the service let them begin
    shed: float = math.nan  # requests that the service turned away at its own bound
    subscribers: float = math.nan  # that listened from the beginning of the load; NaN: no audience
    subscribers_refused: float = math.nan  # could not connect
    subscribers_lost: float = math.nan  # whose stream the server ended before the run did
    deliveries_per_s: float = (
        math.nan
    )  # events published in the window, at every subscriber they reached
    deliveries_repeated: float = math.nan  # ids a subscriber had seen before
    deliveries_skipped: float = math.nan  # ids a subscriber never saw; conflation skips on purpose
    delivery_p50_ms: float = math.nan  # from the publishing to a subscriber's last byte
    delivery_p99_ms: float = math.nan
    cpu_per_delivery_us: float = math.nan  # of the server, publishing included
    audience_cpu_share: float = math.nan  # of one core, the subscribers' own process
    audience_run_delay_share: float = math.nan


@dataclass(frozen=True, slots=True)
class Design:
    """What is decided before the first run. Everything random is drawn from `seed`."""

    scenario: str
    baseline: str
    arms: tuple[str, ...]  # lanes other than the baseline
    rate_per_s: float
    duration_s: float
    warmup_s: float
    pairs: int
    arrivals: str  # poisson or constant
    seed: int
    parameters: dict[str, bool | int | float | str] = field(default_factory=dict)
    zone_share: float = 0.05
    zone_p99_share: float = 0.10
    confidence: float = 0.95  # of all looks together
    looks: tuple[int, ...] = ()  # pairs at which a decided lane stops; the last is `pairs`

    @property
    def look_points(self) -> tuple[int, ...]:
        """When the data are looked at; once, at the end, where nothing else was planned."""
        return self.looks or (self.pairs,)


RateState = Literal["passed", "failed", "mixed", "unconfirmed", "void"]
CapacityState = Literal["bracketed", "above the range", "below the range", "void", "interrupted"]


@dataclass(frozen=True, slots=True)
class CapacityPoint:
    """One rate offered to one lane: how often the objective held there.

    `passed` is every one of the confirming runs, `failed` most of them, `mixed` neither;
    `unconfirmed` was tried too seldom for a word, `void` gave no valid run at all. Figures are
    medians over the valid runs, NaN where there is none.
    """

    lane: str
    rate_per_s: float  # offered, a rung of the search's ladder
    state: RateState
    passes: int  # valid runs that kept the objective
    fails: int
    voids: int
    p50_ms: float
    p99_ms: float
    error_share: float
    achieved_per_s: float
    server_cpu_share: float  # of one core
    cpu_per_request_us: float
    bottleneck: str  # the most frequent among the valid runs; empty where there is none
    evidence: str  # of one such run
    runs: tuple[str, ...]  # names in `runs.parquet`, in the order they ran


@dataclass(frozen=True, slots=True)
class CapacityResult:
    """The capacity of one lane: the bracket between the rate that holds and the one that does not.

    The capacity is at least `highest_passing_per_s` (NaN: not even the lowest rate held) and below
    `lowest_failing_per_s` (NaN: the highest rate tried still held, or could not be judged).
    """

    scenario: str
    lane: str
    objective: str  # as normalised: "p99<250ms,errors<0.1%"
    state: CapacityState
    highest_passing_per_s: float
    lowest_failing_per_s: float
    bottleneck: str  # at the lowest failing rate; empty where none failed
    evidence: str
    points: tuple[CapacityPoint, ...]  # ascending by rate
    sentence: str


@dataclass(frozen=True, slots=True)
class CrossoverCell:
    """One cell of the map: `lane` against `baseline` at one value of the parameter and one rate.

    `ratio` is lane over baseline on the metric, `low` and `high` its exact signed-rank interval;
    NaN where too few pairs say nothing. `measured` is false for a cell not reached yet.
    """

    value: float  # of the parameter
    rate_per_s: float
    word: Word  # of the lane, seen from the baseline; `undecided` while not measured
    ratio: float
    low: float
    high: float
    pairs: int
    void_pairs: int
    more_pairs: int | None
    p_value: float  # exact signed-rank test of "no difference at all"
    p_holm: float  # the same, adjusted over the cells of this map
    detectable_share: float
    bottleneck: str  # of the lane; the most frequent among its valid runs
    baseline_bottleneck: str
    measured: bool
    path: str  # of the cell's recording, relative to the crossover's


@dataclass(frozen=True, slots=True)
class CrossoverResult:
    """Who wins where: a map of a parameter by the offered rate, row by row, rates ascending."""

    scenario: str
    baseline: str
    lane: str
    metric: str  # a name of `labcore.measure.METRICS`
    better: Literal["lower", "higher"]
    parameter: str
    unit: str  # of the parameter
    values: tuple[float, ...]
    rates_per_s: tuple[float, ...]
    zone_share: float
    cells: tuple[CrossoverCell, ...]
    complete: bool
    sentence: str
