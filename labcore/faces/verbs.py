"""The verbs as plain calls: they block; the twins named `_async` are for notebook cells."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

import anyio.to_thread

from labcore import lanes as lane_room
from labcore import measure
from labcore.faces.result import Result
from labcore.faces.searches import CapacitySearch, CrossoverMap, face_of
from labcore.faces.study import Study
from labcore.kernel import Trace, UsageError
from labcore.lanes.contract import Value

if TYPE_CHECKING:
    from labcore.show.widgets import Controls, Panel

OnEvent = Callable[[str, dict[str, Any]], None]


def say(kind: str, payload: dict[str, Any]) -> None:
    """Print what a reader must know while she waits: that it waits, and for how long."""
    if kind in {"waiting", "notice"}:
        print(payload["message"])  # noqa: T201 - the cell's own output is where she looks


def compare(
    scenario: str,
    *,
    lanes: Sequence[str] | None = None,
    baseline: str | None = None,
    rate: float = 150.0,
    duration_s: float | None = None,
    pairs: int | None = None,
    quick: bool = False,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Result:
    """Measure lanes against a baseline in interleaved pairs, under open-loop load.

    Args:
        scenario: name of a scenario, for example `checkout`.
        lanes: lanes to measure, `NAME=URL` and `NAME=command {port}` for foreign ones; default all.
        baseline: the lane the others are compared with; default the scenario's.
        rate: offered load in requests per second.
        duration_s: measured seconds of each run; default 10, quick 3.
        pairs: the most pairs a lane; default 20, quick 6, and below 6 nothing can be decided. A lane
            whose every verdict is a decision after 10, 20 or 40 of them rests.
        quick: short runs and the least number of pairs.
        parameters: the scenario's own knobs, checked against their ranges.
        seed: fixes schedules, orders and the order of runs; default drawn and recorded.
        out: directory of the recording, new or empty; default `runs/<id>`.
        on_event: called with (kind, payload) from the measuring thread, some 10 times a second.
        cancelled: set it from elsewhere to stop; what was measured is kept.

    Raises:
        UsageError: an unknown name, a value out of range, an occupied directory.
        InterruptedRunError: cancelled.
        EnvironmentFault: no database, no port.
    """
    comparison = measure.compare(
        scenario,
        lanes=lanes,
        baseline=baseline,
        rate=rate,
        duration_s=duration_s,
        pairs=pairs,
        quick=quick,
        parameters=parameters,
        seed=seed,
        out=None if out is None else Path(out),
        on_event=on_event,
        cancelled=cancelled,
    )
    return Result(comparison.recording)


def capacity(
    scenario: str,
    *,
    objective: str,
    lanes: Sequence[str] | None = None,
    lowest: float | None = None,
    highest: float | None = None,
    start: float | None = None,
    steps: int | None = None,
    duration_s: float | None = None,
    warmup_s: float | None = None,
    quick: bool = False,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> CapacitySearch:
    """Search, for each lane, the highest offered rate that keeps an objective.

    Rates double until the objective breaks, the gap is halved to one step, and both sides of it are
    confirmed: every run of three holds below, most of three break above.

    Args:
        scenario: name of a scenario, for example `checkout`.
        objective: upper bounds that hold together, for example `p99<250ms,errors<0.1%`; of p50, p90,
            p99, p99.9, mean, max and errors. Without a word on errors fewer than 1 % are allowed.
        lanes: lanes to search, `NAME=URL` and `NAME=command {port}` for foreign ones; default all.
        lowest: lowest rate to offer, requests per second; default 10.
        highest: highest rate to offer; default 20 000.
        start: rate to begin with; default 50, or what lies next to it within the bounds.
        steps: steps a doubling of the rate; default 4, quick 2.
        duration_s: measured seconds of each run; default 5, quick 2, longer at slow rates.
        warmup_s: seconds of load before each, not recorded; default 1, quick 0.5.
        quick: short runs and steps of 41 % instead of 19 %.
        parameters: the scenario's own knobs, checked against their ranges.
        seed: fixes schedules; default drawn and recorded.
        out: directory of the recording, new or empty; default `runs/<id>`.
        on_event: called with (kind, payload) from the measuring thread.
        cancelled: set it from elsewhere to stop; what was measured is kept.

    Raises:
        UsageError: an unknown name, a value out of range, an objective that is none.
        InterruptedRunError: cancelled.
        PeerError: a server died.
        EnvironmentFault: no database, no port.
    """
    found = measure.capacity(
        scenario,
        objective=objective,
        lanes=lanes,
        ladder=measure.usual_ladder(
            lowest=lowest, highest=highest, start=start, steps=steps, quick=quick
        ),
        duration_s=duration_s,
        warmup_s=warmup_s,
        quick=quick,
        parameters=parameters,
        seed=seed,
        out=None if out is None else Path(out),
        on_event=on_event,
        cancelled=cancelled,
    )
    return CapacitySearch(found.recording)


async def capacity_async(
    scenario: str, *, cancelled: Event | None = None, on_event: OnEvent | None = say, **options: Any
) -> CapacitySearch:
    """`capacity` for a notebook cell: the kernel stays responsive, interrupting stops cleanly."""
    return await measure.beside_the_loop(
        capacity,
        scenario,
        stop=cancelled or Event(),
        options={"on_event": on_event, **options},
    )


def crossover(
    scenario: str,
    *,
    lanes: Sequence[str],
    parameter: str,
    values: Sequence[float],
    rates: Sequence[float],
    metric: str = "p99_ms",
    pairs: int = 6,
    duration_s: float = 3.0,
    warmup_s: float = 1.0,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> CrossoverMap:
    """Map which of two lanes wins where, over a parameter by the offered rate.

    Args:
        scenario: name of a scenario, for example `checkout`.
        lanes: two lanes; the first is the baseline.
        parameter: the scenario's knob along one side, usually a wait such as `payment_ms`.
        values: its values.
        rates: offered loads along the other side, requests per second.
        metric: the one that decides, for example `p99_ms` or `cpu_per_request_us`.
        pairs: pairs a cell; below 6 nothing can be decided.
        duration_s: measured seconds of each run.
        warmup_s: seconds of load before each, not recorded.
        parameters: the scenario's other knobs.
        seed: fixes schedules and orders; default drawn and recorded.
        out: directory of the recording, new or empty; default `runs/<id>`.
        on_event: called with (kind, payload) from the measuring thread.
        cancelled: set it from elsewhere to stop; what was measured is kept.

    Raises:
        UsageError: an unknown name, a value out of range, other than two lanes.
        InterruptedRunError: cancelled.
        PeerError: a server died.
        EnvironmentFault: no database, no port.
    """
    recording = measure.crossover(
        scenario,
        lanes=lanes,
        parameter=parameter,
        values=values,
        rates=rates,
        metric=metric,
        pairs=pairs,
        duration_s=duration_s,
        warmup_s=warmup_s,
        parameters=parameters,
        seed=seed,
        out=None if out is None else Path(out),
        on_event=on_event,
        cancelled=cancelled,
    )
    return CrossoverMap(recording)


async def crossover_async(
    scenario: str, *, cancelled: Event | None = None, on_event: OnEvent | None = say, **options: Any
) -> CrossoverMap:
    """`crossover` for a notebook cell: the kernel stays responsive, interrupting stops cleanly."""
    return await measure.beside_the_loop(
        crossover,
        scenario,
        stop=cancelled or Event(),
        options={"on_event": on_event, **options},
    )


def resume(
    path: str | Path,
    *,
    force: bool = False,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Result:
    """Go on with a comparison, a capacity search or a crossover map that was cut short.

    Design, seeds and finished runs stay; a block or cell that was half done is done again.

    Args:
        path: directory of the recording.
        force: go on though the machine or its software is another now, and record how.
        on_event: called with (kind, payload) from the measuring thread.
        cancelled: set it from elsewhere to stop; what was measured is kept.

    Raises:
        UsageError: no unfinished recording there, or another machine: it says what differs.
        InterruptedRunError: cancelled.
        EnvironmentFault: no database, no port.
    """
    return face_of(measure.resume(path, force=force, on_event=on_event, cancelled=cancelled))


async def resume_async(
    path: str | Path,
    *,
    cancelled: Event | None = None,
    on_event: OnEvent | None = say,
    **options: Any,
) -> Result:
    """`resume` for a notebook cell: the kernel stays responsive, interrupting stops cleanly."""
    return await measure.beside_the_loop(
        resume, path, stop=cancelled or Event(), options={"on_event": on_event, **options}
    )


async def compare_async(study: Study, *, on_event: OnEvent = say) -> Result:
    """`compare` for a notebook cell: the kernel stays responsive, interrupting stops cleanly."""
    comparison = await measure.compare_async(
        study.scenario,
        lanes=study.lanes,
        rate=study.rate_per_s,
        duration_s=study.duration_s,
        pairs=study.pairs,
        parameters=study.parameters,
        seed=study.seed,
        out=study.out and study.out / "compare",
        on_event=on_event,
    )
    return Result(comparison.recording)


async def look_async(study: Study, *, on_event: OnEvent = say) -> Result:
    """One run of each lane: a look, recorded like any other run, without a verdict."""
    comparison = await measure.look_async(
        study.scenario,
        lanes=study.lanes,
        rate=study.rate_per_s,
        duration_s=study.duration_s,
        parameters=study.parameters,
        seed=study.seed,
        out=study.out and study.out / "look",
        on_event=on_event,
    )
    return Result(comparison.recording)


async def trace_async(study: Study) -> list[Trace]:
    """What one request did in each lane of the study: the material of `labcore.show.swimlanes`.

    Each lane is started, warmed and stopped; nothing is measured, and tracing is never on where
    something is. Cancelling waits until the lane at hand has stopped.

    Raises: EnvironmentFault: no database, no port.
    """
    traces = []
    for lane in study.lanes:
        one = partial(lane_room.trace_lane, study.scenario, lane, parameters=study.parameters)
        traces.append(await anyio.to_thread.run_sync(one))
    return traces


def panel(
    study: Study,
    *,
    controls: "Controls" = (),
    watch: Iterable[str] = ("threads",),
    name: str = "",
) -> "Panel":
    """The study as a panel: sliders for `controls`, Run, Cancel, and charts that move.

    `controls` names parameters, or maps them to the range worth exploring; `watch` names the server's
    gauges to draw, such as `breaker_state` or `db_pool_busy`. A second panel of the scenario on the same
    page needs a `name`, or it takes the place of the first.

    Raises: UsageError for a parameter or gauge that there is not.
    """
    from labcore.show.widgets import Panel

    return Panel(
        study.scenario,
        lanes=study.lanes,
        controls=controls,
        rate_per_s=study.rate_per_s,
        duration_s=study.duration_s,
        values=study.parameters,
        watch=watch,
        name=name,
    )


@contextmanager
def serve(
    scenario: str, *, lane: str, parameters: Mapping[str, Value] | None = None
) -> Iterator[lane_room.Deployment]:
    """One lane with its database and peers, gone when the block is left."""
    card = lane_room.scenario(scenario)
    with (
        lane_room.Stage(card, card.values(parameters)) as stage,
        stage.deploy(lane_room.parse_lane(lane)) as deployment,
    ):
        yield deployment


def conform(
    scenario: str, *, lane: str | None = None, parameters: Mapping[str, Value] | None = None
) -> list[lane_room.CheckResult]:
    """Judge a lane, ours or a foreign one, by the scenario's contract."""
    card = lane_room.scenario(scenario)
    if not card.checks:
        raise UsageError(f"scenario {scenario!r} has no conformance checks")
    with serve(scenario, lane=lane or card.baseline, parameters=parameters) as deployment:
        return lane_room.conform(deployment.site(), card.checks)
