"""The driver process: a load of its own interpreter and core, so it shares no lock with what it measures.

`run` is what happens inside the process, `drive` is what everybody calls. The driver judges nothing:
it testifies, and the void rules decide.
"""

import asyncio
import gc
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import ArrayLike

from labcore.kernel import PeerError
from labcore.lanes import Child, ChildContext, scenario
from labcore.measure.load import ClosedLoad, Load, OpenLoad
from labcore.measure.pacing import new_event_loop
from labcore.measure.plan import LoadPlan, LoadResult, Progress
from labcore.measure.recorder import write_requests
from labcore.measure.target import Target
from labcore.measure.witness import Testimony, Witness

TARGET: Final = "labcore.measure.driver:run"
REPORT_S: Final = 0.1
SAMPLED: Final = 1_000  # latencies behind the percentiles of one report
CLOSED_REQUESTS: Final = (
    50_000  # drawn for a closed load, which does not know how many it will send
)
POLL_S: Final = 0.1  # how soon a cancellation or a dead driver is noticed
NS_PER_MS: Final = 1_000_000

Word = Callable[[int], str]


def drive(
    plan: LoadPlan,
    *,
    on_progress: Callable[[Progress], object] | None = None,
    cancelled: threading.Event | None = None,
) -> LoadResult:
    """Run the plan in a process of its own and wait for it. Blocks; may be called from any thread.

    Args:
        plan: the load; its record is at `plan.requests_path` when this returns.
        on_progress: called ten times a second on a thread of the driver's, so it must be quick.
        cancelled: when it is set, the load stops and what was recorded is kept and returned.

    Raises: UsageError for a plan that cannot be run; PeerError when the server accepts no connection
        or the driver died.
    """
    results: list[dict[str, Any]] = []
    finished = threading.Event()

    def on_event(kind: str, payload: dict[str, Any]) -> None:
        if kind == "result":
            results.append(payload)
            finished.set()
        elif kind == "progress" and on_progress is not None:
            on_progress(Progress(**payload))

    with Child(TARGET, plan.setting(), name="driver", on_event=on_event, cpus=plan.cpus) as child:
        told = False
        while not finished.wait(POLL_S) and child.alive:
            if cancelled is not None and cancelled.is_set() and not told:
                child.send("stop", {})
                told = True
        if not finished.wait(POLL_S):  # the last events of a process outlive it for a moment
            child.wait_ready(POLL_S)  # raises what the driver raised, if it ended before its clock
            raise PeerError(f"the driver died; its log ends:\n{child.log_tail()}")
    return LoadResult(**{**results[0], "requests_path": Path(results[0]["requests_path"])})


def run(context: ChildContext) -> None:
    """Inside the driver process: load, write the record, emit `result`. See `LoadPlan.setting`.

    Ready means that connections are open and warm and the clock is about to start. `progress` events
    follow ten times a second. The command `stop` ends the load and keeps what was recorded.

    Raises: UsageError and PeerError as `drive`.
    """
    plan = LoadPlan.from_setting(context.setting)
    payloads, word = _workload(plan)
    raise_file_limit()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        result = runner.run(_load(context, plan, payloads, word))
    context.emit("result", result)


async def _load(
    context: ChildContext, plan: LoadPlan, payloads: Sequence[bytes], word: Word
) -> dict[str, Any]:
    load = _engine(plan, payloads)
    stopped = threading.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        stopped.set()
        if not loop.is_closed():
            loop.call_soon_threadsafe(load.stop)

    context.on_stop(stop)
    context.on_command(lambda kind, _: stop() if kind == "stop" else None)
    witness = Witness()
    reporter = _Reporter(context, load, word)

    def begin_window() -> None:
        reporter.begin()
        witness.begin()
        loop.call_later(plan.duration_s, witness.end)  # the wait for late answers would dilute it

    async with load:
        gc.collect()
        gc.freeze()  # what exists now is never walked again: collections during the run stay short
        try:
            context.ready(connections=load.pool.opened)
            witness.begin()
            with reporter:
                await load.run(begin_window)
            testimony = witness.end()
        finally:
            gc.unfreeze()
    write_requests(load.recorder.table(load.first_recorded, word), plan.requests_path)
    return _result(plan, load, testimony, word=word, stopped=stopped.is_set())


def _engine(plan: LoadPlan, payloads: Sequence[bytes]) -> Load:
    target = Target.resolve(plan.url)
    if plan.users is None:
        return OpenLoad(
            target,
            payloads,
            arrivals=plan.window(),
            warmup=plan.lead_in(),
            limits=plan.limits,
            sample_bodies=plan.sample_bodies,
        )
    return ClosedLoad(
        target,
        payloads,
        concurrency=plan.users.concurrency,
        think_s=plan.users.think_s,
        duration_s=plan.duration_s,
        warmup_s=plan.warmup_s,
        limits=plan.limits,
    )


def _workload(plan: LoadPlan) -> tuple[list[bytes], Word]:
    """Every request as bytes, and the word for each status."""
    target = Target.resolve(plan.url)
    if plan.scenario is None:
        return [target.encode(request) for request in plan.requests], plain_word
    workload = scenario(plan.scenario).workload
    if plan.users is None:
        count = plan.limits.connections + len(plan.lead_in()) + len(plan.window())
    else:
        count = CLOSED_REQUESTS
    requests = workload.requests(seed=plan.seed, count=count, parameters=plan.parameters)
    return [target.encode(request) for request in requests], workload.outcome


def plain_word(status: int) -> str:
    """The outcome of a status where no contract says more: `ok` up to 399, else `failed`."""
    return "ok" if 200 <= status < 400 else "failed"


class _Reporter:
    """Emits `progress` while it is entered."""

    def __init__(self, context: ChildContext, load: Load, word: Word) -> None:
        self._context = context
        self._load = load
        self._word = word
        self._outcomes: Counter[str] = Counter()
        self._began_ns = 0

    def begin(self) -> None:
        """The recorded window begins now."""
        self._began_ns = time.monotonic_ns()

    def __enter__(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._repeat())

    def __exit__(self, *_: object) -> None:
        self._task.cancel()
        self._emit()

    async def _repeat(self) -> None:
        while True:
            await asyncio.sleep(REPORT_S)
            if self._began_ns:
                self._emit()

    def _emit(self) -> None:
        recorder, first = self._load.recorder, self._load.first_recorded
        news = [request for request in recorder.take_news() if request >= first]
        statuses = Counter(map(recorder.status.__getitem__, news))
        if statuses.pop(0, 0):
            failures = (recorder.outcome[request] for request in news)
            self._outcomes.update(failure for failure in failures if failure)
        for status, count in statuses.items():
            self._outcomes[self._word(status)] += count
        chosen = news[:: max(1, len(news) // SAMPLED)]
        p50_ms, p99_ms = _percentiles(
            [recorder.done[request] - recorder.intended[request] for request in chosen],
            (50, 99),
            unit_ns=NS_PER_MS,
        )
        progress = Progress(
            at_s=(time.monotonic_ns() - self._began_ns) / 1e9 if self._began_ns else 0.0,
            sent=max(0, recorder.issued - first),
            done=self._outcomes.total(),
            in_flight=self._load.in_flight,
            outcomes=dict(self._outcomes),
            p50_ms=p50_ms,
            p99_ms=p99_ms,
        )
        self._context.emit("progress", asdict(progress))


def _result(
    plan: LoadPlan, load: Load, testimony: Testimony, *, word: Word, stopped: bool
) -> dict[str, Any]:
    recorder, first = load.recorder, load.first_recorded
    intended, woke = recorder.stamps("intended", first), recorder.stamps("woke", first)
    sent, done = recorder.stamps("sent", first), recorder.stamps("done", first)
    count = len(intended)
    lateness = _percentiles(woke - intended, (50, 99, 100), unit_ns=1_000)
    (wait_p99_ms,) = _percentiles((sent - woke)[sent > 0], (99,), unit_ns=NS_PER_MS)
    connections = set(recorder.connection[first : recorder.issued]) - {-1}
    result = LoadResult(
        requests_path=plan.requests_path,
        model=plan.model,
        stopped=stopped,
        started_ns=int(intended[0]) if count else 0,
        finished_ns=int(done.max()) if count else 0,
        requests=count,
        outcomes=_outcomes(load, word),
        lateness_p50_us=lateness[0],
        lateness_p99_us=lateness[1],
        lateness_max_us=lateness[2],
        connection_wait_p99_ms=wait_p99_ms,
        connections=len(connections),
        connect_failures=load.pool.failures,
        cpu_share=testimony.cpu_share,
        cpu_per_request_us=testimony.cpu_s * 1e6 / count if count else math.nan,
        run_delay_share=testimony.run_delay_share,
        gc_pause_ms=testimony.gc_pause_ms,
        gc_pause_max_ms=testimony.gc_pause_max_ms,
        gc_collections=testimony.gc_collections,
        others_cpu_share=testimony.others_cpu_share,
        steal_share=testimony.steal_share,
        wall_s=testimony.wall_s,
        bodies={
            str(request - first): body.decode("utf-8", "replace")
            for request, body in load.bodies.items()
        },
    )
    return {**asdict(result), "requests_path": str(plan.requests_path)}


def _outcomes(load: Load, word: Word) -> dict[str, int]:
    recorder = load.recorder
    window = slice(load.first_recorded, recorder.issued)
    pairs = Counter(zip(recorder.outcome[window], recorder.status[window], strict=True))
    outcomes: Counter[str] = Counter()
    for (failure, status), count in pairs.items():
        outcomes[failure or word(status)] += count
    return dict(outcomes)


def _percentiles(values: ArrayLike, ranks: Sequence[float], *, unit_ns: int) -> list[float]:
    """Percentiles in the given unit; NaN where there is nothing to rank."""
    array = np.asarray(values, dtype=np.float64)
    if not array.size:
        return [math.nan] * len(ranks)
    return [float(value) / unit_ns for value in np.percentile(array, ranks)]


def raise_file_limit() -> None:
    """Let this process have as many descriptors as it may: each connection is one."""
    try:
        import resource  # absent on Windows, where no such limit exists
    except ModuleNotFoundError:
        return
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
