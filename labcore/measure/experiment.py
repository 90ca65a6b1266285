"""An experiment: lanes against a baseline in interleaved pairs, from the first run to the verdicts.

One block is one run of each arm, the baseline and the control (the baseline once more) among them,
all under the schedule of the block's seed; each arm is paired with the block's baseline. A void run
is repeated on the spot, a bounded number of times; it stays in the record with its reason and is
never averaged in. At looks fixed beforehand a lane whose every verdict is a decision comes to rest.
However an experiment ends, what was measured is kept, can be opened, and can be gone on with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event
from typing import Any, Final

from labcore import lanes as lane_room
from labcore.kernel import UsageError, new_run_id, runs_dir
from labcore.lanes import Scenario, Value
from labcore.measure.blocks import block_seeds
from labcore.measure.design import (
    RATE_PER_S,
    LaneChoice,
    choose,
    command,
    draw_up,
    look_call,
    python_call,
)
from labcore.measure.environment import fingerprint
from labcore.measure.record import CONTROL, Design
from labcore.measure.recording import Recording, check_vacant
from labcore.measure.reopening import lane_texts, recorded_lanes, reopen
from labcore.measure.run import Events, OnEvent, Runner
from labcore.measure.schedule import Schedule
from labcore.measure.session import alone, beside_the_loop, kept, on_stage
from labcore.measure.statistics import least_pairs
from labcore.measure.verdict import Verdict, verdicts

REPEATS: Final = 2  # of a void run, beside the first attempt


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
        pairs: the most pairs a lane; default 20, quick 6, below which nothing can be decided. After
            10, 20 and 40 of them, where those are not the last, a lane that is decided rests; the
            error that 95 % permit is shared among the looks.
        quick: short runs and few pairs, looked at once.
        parameters: the scenario's knobs.
        seed: everything random is drawn from it; default a fresh one, recorded.
        out: new or empty directory of the recording; default one below `runs/`.
        control: measure the baseline against itself as well.
        repeats: further attempts at a run that came out void, within a quarter of the planned runs
            in all; what stays void is kept as such.
        on_event: called with a kind and a payload, one call at a time but on changing threads, some
            twenty times a second while a run lasts. Kinds: `waiting` and `notice` (with `message`),
            `experiment_started`, `block_started`, `run_started`, `sample`, `progress`,
            `run_finished`, `look`, `verdicts`.
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
    return await beside_the_loop(compare, scenario, stop=cancelled or Event(), options=options)


async def look_async(
    scenario: str, *, cancelled: Event | None = None, **options: Any
) -> Comparison:
    """`look` for a running event loop, cancelled as `compare_async` is."""
    return await beside_the_loop(look, scenario, stop=cancelled or Event(), options=options)


def resume_comparison(
    path: str | Path,
    *,
    force: bool = False,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Comparison:
    """Go on with a comparison that was cut short: its design, its seeds, its finished blocks.

    A block that was under way is measured again; its runs stay in the record, void.

    Args:
        path: directory of the recording.
        force: go on though the machine or its software is another now, and record how.
        on_event: as for `compare`.
        cancelled: as for `compare`.

    Raises:
        UsageError: no unfinished comparison there, or another machine.
        InterruptedRunError, PeerError, EnvironmentFault: as `compare`.
    """
    card = lane_room.scenario(Recording.open(path).design.scenario)
    events, stop = Events(on_event), cancelled or Event()
    with alone(f"compare {card.name}", events=events, cancelled=stop):
        recording = reopen(path, "compare", force=force)
        measure_blocks(card, recording, recorded_lanes(recording), events=events, cancelled=stop)
    return Comparison(recording)


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
    events, stop = Events(on_event), cancelled or Event()
    with alone(f"compare {card.name}", events=events, cancelled=stop):
        recording = new_recording(
            folder, design, chosen, line=line, control=control, repeats=repeats
        )
        if design.pairs < least_pairs(design.confidence):
            few = f"{design.pairs} of {least_pairs(design.confidence)} pairs: a look, no verdict"
            events.emit("notice", {"message": few})
        measure_blocks(card, recording, chosen, events=events, cancelled=stop)
    return Comparison(recording)


def new_recording(
    folder: Path,
    design: Design,
    chosen: Mapping[str, LaneChoice],
    *,
    line: str,
    control: bool,
    repeats: int,
) -> Recording:
    """An empty recording of pairs, with all that is needed to fill it now or later."""
    return Recording.create(
        folder,
        design,
        fingerprint(),
        command=line,
        seeds={"blocks": block_seeds(pairs=design.pairs, seed=design.seed)},
        facts={"lanes": lane_texts(chosen), "control": control, "repeats": repeats},
    )


def measure_blocks(
    card: Scenario,
    recording: Recording,
    chosen: Mapping[str, LaneChoice],
    *,
    events: Events,
    cancelled: Event,
) -> None:
    """Run every block that is missing; at the end, whatever the end, store verdicts and status.

    The machine must be held already (`session.alone`). Raises: as `compare`.
    """
    facts, design = recording.experiment, recording.design
    arms = dict(chosen)
    if facts.get("control", True):
        arms[CONTROL] = chosen[design.baseline]

    def save(complete: bool) -> None:
        recording.save_verdicts(verdicts(recording.runs, design))
        recording.finish(complete=complete)
        found = [asdict(verdict) for verdict in recording.verdicts]
        events.emit("verdicts", {"verdicts": found, "complete": complete})

    with (
        kept(recording, save=save),
        on_stage(card, design.parameters, chosen.values(), events=events) as (stage, placement),
    ):
        runner = Runner(stage, design, arms, recording, placement, events, cancelled)
        Schedule(runner, repeats=facts.get("repeats", REPEATS)).run()
