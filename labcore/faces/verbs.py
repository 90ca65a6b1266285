"""The verbs as plain calls: they block; the twins named `_async` are for notebook cells."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

from labcore import lanes as lane_room
from labcore import measure
from labcore.faces.result import Result
from labcore.faces.study import Study
from labcore.kernel import UsageError
from labcore.lanes.contract import Value
from labcore.show.widgets import Controls, Panel

OnEvent = Callable[[str, dict[str, Any]], None]


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
        pairs: pairs a comparison; default 20, quick 6, and below 6 nothing can be decided.
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


def say(kind: str, payload: dict[str, Any]) -> None:
    """Print what a reader must know while she waits: that it waits, and for how long."""
    if kind in {"waiting", "notice"}:
        print(payload["message"])  # noqa: T201 - the cell's own output is where she looks


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


def panel(study: Study, *, controls: Controls = ()) -> Panel:
    """The study as a panel: sliders for `controls`, Run, Cancel, and charts that move.

    `controls` names parameters, or maps them to the range worth exploring.
    """
    return Panel(
        study.scenario,
        lanes=study.lanes,
        controls=controls,
        rate_per_s=study.rate_per_s,
        duration_s=study.duration_s,
        values=study.parameters,
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
