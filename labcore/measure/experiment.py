"""An experiment: lanes against a baseline in interleaved pairs, from the first run to the verdicts.

One block is one run of each arm, the baseline and the control (the baseline once more) among them,
all under the schedule of the block's seed; each arm is paired with the block's baseline. A void run
is repeated on the spot, a bounded number of times; it stays in the record with its reason and is
never averaged in. However an experiment ends, what was measured is kept and can be opened.
"""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any, Final

import anyio

from labcore import lanes as lane_room
from labcore.kernel import InterruptedRunError, PeerError, UsageError, new_run_id, runs_dir
from labcore.lanes import ForeignLane, Scenario, Stage, Value
from labcore.measure.blocks import Slot, block_seeds, blocks
from labcore.measure.design import (
    RATE_PER_S,
    LaneChoice,
    choose,
    command,
    draw_up,
    look_call,
    python_call,
)
from labcore.measure.environment import fingerprint, usable_cores
from labcore.measure.lock import machine_lock
from labcore.measure.placement import Placement, kept_to
from labcore.measure.record import CONTROL, Design, RunRow
from labcore.measure.recording import Recording, check_vacant
from labcore.measure.run import Events, OnEvent, Runner
from labcore.measure.statistics import least_pairs
from labcore.measure.verdict import Verdict, verdicts

REPEATS: Final = 2  # of a void run, beside the first attempt
SPARE_SHARE: Final = 0.25  # of the planned runs: where more are void, repeating only takes longer


@dataclass(frozen=True, slots=True)
class Comparison:
    """What an experiment leaves behind."""

    recording: Recording

    @property
    def verdicts(self) -> list[Verdict]:
        """One verdict for each arm and metric, the control's first."""
        return self.recording.verdicts


def compare(
    scenario: str,
    *,
    lanes: Sequence[str] | None = None,
    baseline: str | None = None,
    rate: float = RATE_PER_S,
    duration_s: float | None = None,
    warmup_s: float | None = None,
    pairs: int | None = None,
    quick: bool = False,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: Path | None = None,
    control: bool = True,
    repeats: int = REPEATS,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Comparison:
    """Measure lanes against a baseline and judge them; blocks until the last run is stored.

    Args:
        scenario: name of a scenario.
        lanes: lanes as a user writes them (`reactive`, `mine=URL`, `mine=command {port}`); default
            all of the scenario. The baseline is measured whether it is among them or not.
        baseline: name of the lane that the others are compared with; default the scenario's.
        rate: offered load in requests per second, Poisson arrivals.
        duration_s: measured seconds of a run; default 10, quick 3.
        warmup_s: seconds of the same load before, not recorded; default 2, quick 1.
        pairs: pairs a lane; default 20, quick 6, below which nothing can be decided.
        quick: short runs and few pairs.
        parameters: the scenario's knobs.
        seed: everything random is drawn from it; default a fresh one, recorded.
        out: new or empty directory of the recording; default one below `runs/`.
        control: measure the baseline against itself as well.
        repeats: further attempts at a run that came out void, within a quarter of the planned runs
            in all; what stays void is kept as such.
        on_event: called with a kind and a payload, one call at a time but on changing threads, some
            twenty times a second while a run lasts. Kinds: `waiting` and `notice` (with `message`),
            `experiment_started`, `block_started`, `run_started`, `sample`, `progress`,
            `run_finished`, `verdicts`.
        cancelled: set it to stop within a second or two; what was measured is kept.

    Raises:
        UsageError: an unknown name, a value out of range, an occupied directory.
        InterruptedRunError: cancelled, or interrupted by the keyboard; the recording is partial.
        PeerError: a server died, or a foreign lane breaks the contract.
        EnvironmentFault: no database, no port.
    """
    card = lane_room.scenario(scenario)
    chosen = choose(card, lanes, baseline)
    design = draw_up(
        card,
        chosen,
        rate=rate,
        duration_s=duration_s,
        warmup_s=warmup_s,
        pairs=pairs,
        quick=quick,
        parameters=parameters,
        seed=seed,
    )
    if repeats < 0:
        raise UsageError(f"repeats={repeats!r} is out of range; give 0 or more attempts")
    if not design.arms and not control:
        raise UsageError(f"nothing to compare {design.baseline!r} with; name another lane")
    sayable = warmup_s is None and control and repeats == REPEATS
    line = (
        command(design, lanes, quick=quick)
        if sayable
        else python_call(design, lanes, control=control, repeats=repeats)
    )
    return _experiment(
        card,
        design,
        chosen,
        line=line,
        out=out,
        control=control,
        repeats=repeats,
        on_event=on_event,
        cancelled=cancelled,
    )


def look(
    scenario: str,
    *,
    lanes: Sequence[str] | None = None,
    rate: float = RATE_PER_S,
    duration_s: float | None = None,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: Path | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Comparison:
    """One run of each lane under one schedule: a look, recorded like any run, deciding nothing.

    A void run is kept and not repeated. Arguments, events and errors are those of `compare`; the
    first lane stands as the baseline of the record.
    """
    card = lane_room.scenario(scenario)
    names = [lane.name for lane in card.lanes] if lanes is None else list(lanes)
    if not names:
        raise UsageError(
            f"no lane to look at; {card.name} has {', '.join(choose(card, None, None))}"
        )
    first = lane_room.parse_lane(names[0])
    chosen = choose(card, names, first if isinstance(first, str) else first.name)
    design = draw_up(
        card,
        chosen,
        rate=rate,
        duration_s=duration_s,
        pairs=1,
        quick=True,
        parameters=parameters,
        seed=seed,
    )
    return _experiment(
        card,
        design,
        chosen,
        line=look_call(design, names),
        out=out,
        control=False,
        repeats=0,
        on_event=on_event,
        cancelled=cancelled,
    )


async def compare_async(
    scenario: str, *, cancelled: Event | None = None, **options: Any
) -> Comparison:
    """`compare` for a running event loop: the same arguments, errors and result, loop left free.

    Cancelling the task cancels the experiment, waits for its orderly stop and keeps what was
    measured; the recording is then below the directory given as `out`, or below `runs/`.
    """
    return await _beside_the_loop(compare, scenario, cancelled or Event(), options)


async def look_async(
    scenario: str, *, cancelled: Event | None = None, **options: Any
) -> Comparison:
    """`look` for a running event loop, cancelled as `compare_async` is."""
    return await _beside_the_loop(look, scenario, cancelled or Event(), options)


async def _beside_the_loop(
    measure: Callable[..., Comparison], scenario: str, stop: Event, options: Mapping[str, Any]
) -> Comparison:
    work = partial(measure, scenario, cancelled=stop, **options)
    running = asyncio.get_running_loop().run_in_executor(None, work)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        stop.set()
        # Shielded against scopes that would deliver the cancellation on every turn of the loop, and
        # against a second cancel of the task: servers must be gone before the caller goes on.
        with anyio.CancelScope(shield=True):
            while not running.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([running])
        running.exception()  # the interruption it ended with is what was asked for
        raise


def _experiment(
    card: Scenario,
    design: Design,
    chosen: Mapping[str, LaneChoice],
    *,
    line: str,
    out: Path | None,
    control: bool,
    repeats: int,
    on_event: OnEvent | None,
    cancelled: Event | None,
) -> Comparison:
    """Measure by the design in a new recording, alone on this machine."""
    folder = out or runs_dir() / new_run_id(card.name)
    check_vacant(folder)
    events = Events(on_event)
    stop = cancelled or Event()
    with machine_lock(
        f"compare {card.name}",
        on_wait=lambda message: events.emit("waiting", {"message": message}),
        cancelled=stop,
    ):
        recording = Recording.create(
            folder,
            design,
            fingerprint(),
            command=line,
            seeds={"blocks": block_seeds(pairs=design.pairs, seed=design.seed)},
        )
        if design.pairs < least_pairs(design.confidence):
            few = f"{design.pairs} of {least_pairs(design.confidence)} pairs: a look, no verdict"
            events.emit("notice", {"message": few})
        _conduct(
            card, recording, chosen, control=control, repeats=repeats, events=events, cancelled=stop
        )
    return Comparison(recording)


def _conduct(
    card: Scenario,
    recording: Recording,
    chosen: Mapping[str, LaneChoice],
    *,
    control: bool,
    repeats: int,
    events: Events,
    cancelled: Event,
) -> None:
    """Run every block; at the end, whatever the end, store verdicts and status."""
    placement = Placement.on(usable_cores())
    complete = False
    try:
        # Children start where their parent is, so everything but server and driver keeps off.
        with (
            kept_to(placement.others),
            Stage(card, recording.design.parameters) as stage,
        ):
            _check_foreign(stage, chosen.values(), events)
            arms = {**chosen, CONTROL: chosen[recording.design.baseline]} if control else chosen
            runner = Runner(stage, recording.design, arms, recording, placement, events, cancelled)
            _Schedule(runner, repeats=repeats).run()
        complete = True
    except (KeyboardInterrupt, InterruptedRunError) as exc:
        raise InterruptedRunError(
            f"interrupted; {_runs(len(recording.runs))} kept in {recording.path}"
        ) from exc
    finally:
        recording.save_verdicts(verdicts(recording.runs, recording.design))
        recording.finish(complete=complete)
        found = [asdict(verdict) for verdict in recording.verdicts]
        events.emit("verdicts", {"verdicts": found, "complete": complete})


class _Schedule:
    """Walks through the blocks and keeps count."""

    def __init__(self, runner: Runner, *, repeats: int) -> None:
        self._runner = runner
        self._repeats = repeats
        self._design = runner.design
        self._arms = tuple(runner.lanes)
        self._planned = len(self._arms) * runner.design.pairs
        self._spare = int(SPARE_SHARE * self._planned)
        self._made = 0
        self._settled = 0
        self._began_s = time.monotonic()

    def run(self) -> None:
        """Every block, every arm. Raises: as `Runner.run`."""
        self._emit(
            "experiment_started", arms=list(self._arms), path=str(self._runner.recording.path)
        )
        order = blocks(self._arms, pairs=self._design.pairs, seed=self._design.seed)
        for number, block in enumerate(order):
            self._emit("block_started", block=number, arms=[slot.arm for slot in block])
            for slot in block:
                self._settle(slot)
            if number == 0:
                self._project()

    def _settle(self, slot: Slot) -> None:
        """Measure one arm until a run is valid or patience ends."""
        attempt = 1
        while self._attempt(slot, attempt).void and attempt <= self._repeats and self._spare:
            attempt += 1
            self._spare -= 1
        self._settled += 1

    def _attempt(self, slot: Slot, attempt: int) -> RunRow:
        if self._runner.cancelled.is_set():
            raise InterruptedRunError("cancelled between two runs")
        self._made += 1
        name = f"r{self._made:04d}"
        self._emit("run_started", run=name, block=slot.block, arm=slot.arm, attempt=attempt)
        row = self._runner.run(slot, name=name, attempt=attempt)
        self._emit("run_finished", **asdict(row))
        return row

    def _project(self) -> None:
        """Say, and write down, how long it will take by the pace of the first block."""
        elapsed_s = time.monotonic() - self._began_s
        total_s = elapsed_s * self._design.pairs
        left_s = total_s - elapsed_s
        self._runner.recording.update(projected_s=round(total_s, 1))
        message = f"{_runs(self._planned)} planned, about {_duration(left_s)} left"
        self._emit("notice", message=message, left_s=left_s, total_s=total_s)

    def _emit(self, kind: str, **payload: Any) -> None:
        counts = {"planned": self._planned, "settled": self._settled}
        self._runner.events.emit(kind, {**payload, **counts})


def _check_foreign(stage: Stage, chosen: Any, events: Events) -> None:
    """A lane that we did not write keeps the contract, or the comparison is of two services."""
    for lane in chosen:
        if not isinstance(lane, ForeignLane) or not stage.scenario.checks:
            continue
        events.emit("notice", {"message": f"checking that {lane.name} keeps the contract"})
        with stage.deploy(lane) as deployment:
            results = lane_room.conform(deployment.site(), stage.scenario.checks)
        broken = [result for result in results if result.applicable and not result.passed]
        if broken:
            raise PeerError(
                f"lane {lane.name!r} breaks the contract in {len(broken)} of {len(results)} checks, "
                f"first {broken[0].name}: {broken[0].detail}"
            )


def _runs(count: int) -> str:
    return f"{count} run" if count == 1 else f"{count} runs"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
