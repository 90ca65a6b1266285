"""One run: a fresh server on a fresh database, quiet before the load, watched, summarised, stored.

It decides what surrounds the load. In which order runs follow each
other, and what becomes of a void one, is `labcore.measure.experiment`'s business.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq

from labcore.kernel import InterruptedRunError, utc_now
from labcore.lanes import Deployment, Stage
from labcore.measure import probe
from labcore.measure.blocks import Slot
from labcore.measure.design import LaneChoice
from labcore.measure.driver import drive
from labcore.measure.placement import Placement, woken_first
from labcore.measure.plan import LoadPlan, LoadResult, Progress
from labcore.measure.record import Design, RunRow
from labcore.measure.recording import Recording
from labcore.measure.stream_plan import StreamPlan, StreamResult
from labcore.measure.subscribers import Listening, listening
from labcore.measure.summary import Evidence, Identity, Surroundings, sample_table, summarise

if TYPE_CHECKING:  # half a second for the load driver, which needs no table
    import pandas as pd

QUIET_PATIENCE_S = 5.0
LATE_EVENTS_S = 1.0  # after the last answer, for what is still on its way to subscribers

OnEvent = Callable[[str, dict[str, Any]], object]


class Events:
    """Hands events to a listener, one at a time, whichever thread they come from."""

    def __init__(self, listener: OnEvent | None) -> None:
        self._listener = listener
        self._lock = Lock()

    def emit(self, kind: str, payload: dict[str, Any]) -> None:
        """Tell the listener, if there is one."""
        if self._listener is not None:
            with self._lock:
                self._listener(kind, payload)


@dataclass(frozen=True, slots=True)
class Runner:
    """Everything that the runs of one experiment share."""

    stage: Stage
    design: Design
    lanes: Mapping[str, LaneChoice]  # by arm
    recording: Recording
    placement: Placement
    events: Events
    cancelled: Event

    def run(self, slot: Slot, *, name: str, attempt: int) -> RunRow:
        """Measure one arm once and store what came of it.

        Raises:
            InterruptedRunError: cancelled; nothing of this run is kept.
            PeerError: the server did not start, or accepted no connection.
        """
        lane = self.lanes[slot.arm]
        identity = Identity(
            run=name,
            block=slot.block,
            slot=slot.place,
            arm=slot.arm,
            lane=lane if isinstance(lane, str) else lane.name,
            attempt=attempt,
            started_at=utc_now().isoformat(timespec="milliseconds"),
            seed=slot.seed,
        )
        live = _Live(self.events, {"run": name, "block": slot.block, "arm": slot.arm})
        load, heard, around = self._load(lane, slot, live)
        path, deliveries = self.recording.requests_path(name), self.recording.deliveries_path(name)
        if load.stopped or self.cancelled.is_set():
            path.unlink(missing_ok=True)
            deliveries.unlink(missing_ok=True)
            raise InterruptedRunError("cancelled in the middle of a run, which is not kept")
        evidence = Evidence(
            requests=_read_requests(path),
            samples=tuple(live.samples),
            load=load,
            around=around,
            duration_s=self.design.duration_s,
            answered=self.stage.scenario.workload.answered,
            heard=heard,
            deliveries=None if heard is None else _read_requests(deliveries),
        )
        row = summarise(identity, evidence)
        self.recording.add_run(row, samples=sample_table(evidence, live.progress))
        return row

    def _load(
        self, lane: LaneChoice, slot: Slot, live: "_Live"
    ) -> tuple[LoadResult, StreamResult | None, Surroundings]:
        core = self.placement.server_core
        server_cpus = self.placement.server
        with (
            self.stage.deploy(lane, cpus=server_cpus, on_sample=live.on_sample) as deployment,
            self._audience(deployment, live.run) as audience,
        ):
            pid = None if deployment.server is None else deployment.server.pid
            unquiet_ms = self._wait_quiet(pid)
            speed_before_ns, overflows = probe.speed_ns(core), probe.listen_overflows()
            # The driver inherits its short slices from this thread.
            with probe.Watch(pid) as watch, woken_first():
                if audience is not None:
                    audience.begin()
                load = drive(
                    self._plan(deployment, slot, live.run),
                    on_progress=live.on_progress,
                    cancelled=self.cancelled,
                )
                heard = self._ended(audience)
            around = Surroundings(
                readings=tuple(watch.readings),
                server_core=core if pid is not None else None,
                unquiet_ms=unquiet_ms,
                listen_overflows=probe.listen_overflows() - overflows,
                speed_before_ns=speed_before_ns,
                speed_after_ns=probe.speed_ns(core),
            )
        return load, heard, around

    @contextmanager
    def _audience(self, deployment: Deployment, run: str) -> Iterator[Listening | None]:
        """Who listens to the deployed service, all connected; None for nobody."""
        ask = self.stage.scenario.audience
        wanted = None if ask is None else ask(deployment.url, self.stage.values)
        if wanted is None:
            yield None
            return
        path = self.recording.deliveries_path(run)
        path.parent.mkdir(exist_ok=True)
        plan = StreamPlan(
            url=deployment.url + wanted.path,
            requests_path=path,
            subscribers=wanted.subscribers,
            duration_s=None,
            kind=wanted.kind,
            headers=wanted.headers,
            opening=wanted.opening,
            cpus=self.placement.driver,
        )
        with listening(plan, cancelled=self.cancelled) as audience:
            yield audience

    def _ended(self, audience: Listening | None) -> StreamResult | None:
        if audience is None:
            return None
        self.cancelled.wait(LATE_EVENTS_S)
        return audience.end()

    def _plan(self, deployment: Deployment, slot: Slot, run: str) -> LoadPlan:
        return LoadPlan(
            url=deployment.url,
            requests_path=self.recording.requests_path(run),
            rate_per_s=self.design.rate_per_s,
            duration_s=self.design.duration_s,
            warmup_s=self.design.warmup_s,
            seed=slot.seed,
            arrivals=self.design.arrivals,
            scenario=self.design.scenario,
            parameters=self.stage.values,
            cpus=self.placement.driver,
        )

    def _wait_quiet(self, pid: int | None) -> float:
        """A server that is still busy starting would be measured with it."""
        if pid is None:
            return math.nan
        return probe.wait_quiet(pid, patience_s=QUIET_PATIENCE_S, cancelled=self.cancelled)


class _Live:
    """What comes in while a run is under way, kept for the record and passed on."""

    def __init__(self, events: Events, labels: dict[str, Any]) -> None:
        self.samples: list[dict[str, Any]] = []
        self.progress: list[Progress] = []
        self._events = events
        self._labels = labels
        self._began_s = time.monotonic()

    @property
    def run(self) -> str:
        """The run's name."""
        return str(self._labels["run"])

    def on_sample(self, sample: dict[str, Any]) -> None:
        """The server said something about itself."""
        self.samples.append(sample)
        self._emit("sample", sample)

    def on_progress(self, progress: Progress) -> None:
        """The driver said how far it is."""
        self.progress.append(progress)
        self._emit("progress", asdict(progress))

    def _emit(self, kind: str, figures: dict[str, Any]) -> None:
        elapsed_s = time.monotonic() - self._began_s
        self._events.emit(kind, {**figures, **self._labels, "elapsed_s": elapsed_s})


def _read_requests(path: Path) -> "pd.DataFrame":
    frame: pd.DataFrame = pq.read_table(path).to_pandas()
    return frame
