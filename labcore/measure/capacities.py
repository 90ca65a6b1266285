"""Capacity: the highest offered rate at which a lane keeps its objective, with its bracket.

Each rate is tried by runs like those of a comparison: a fresh server, open-loop load, void runs
repeated. Lanes take turns, so that a drift of the machine falls on all of them. What was measured is
judged from the record alone: the same runs give the same brackets at any time.

A short run can hide an overload that has not had the time to queue up: with p99 below L seconds in
runs of D seconds, offering up to about L/D too much may still pass. Hence runs some twenty times as
long as the latency allowed, and a step of the ladder that is coarser than that share.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any, Final

import numpy as np

from labcore import lanes as lane_room
from labcore.kernel import InterruptedRunError, UsageError, new_run_id, runs_dir
from labcore.lanes import Value
from labcore.measure.blocks import Slot
from labcore.measure.bracket import capacity_results, lane_result, promise, tallies
from labcore.measure.design import LaneChoice, capacity_command, choose, draw_up
from labcore.measure.environment import fingerprint
from labcore.measure.objective import Objective
from labcore.measure.record import CapacityResult
from labcore.measure.recording import Recording, check_vacant
from labcore.measure.reopening import lane_texts, recorded_lanes, reopen
from labcore.measure.run import Events, OnEvent, Runner
from labcore.measure.search import Ladder, next_rung
from labcore.measure.session import alone, beside_the_loop, kept, on_stage, spoken

DURATION_S: Final = 5.0
QUICK_DURATION_S: Final = 2.0
WARMUP_S: Final = 1.0
QUICK_WARMUP_S: Final = 0.5
QUICK_STEPS: Final = 2  # a doubling: 41 % apart instead of 19 %
LEAST_REQUESTS: Final = 200  # in a run: slow rates are offered for longer, a p99 needs its hundreds
USUAL_RUNS: Final = 12  # of one lane: doublings, bisections and confirmations
SEED_STREAM: Final = 3  # keeps these draws apart from those of blocks


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a search for capacities leaves behind."""

    recording: Recording

    @property
    def results(self) -> list[CapacityResult]:
        """One result a lane, judged anew from the record's runs."""
        return capacity_results(self.recording)


def capacity(
    scenario: str,
    *,
    objective: str,
    lanes: Sequence[str] | None = None,
    ladder: Ladder | None = None,
    duration_s: float | None = None,
    warmup_s: float | None = None,
    quick: bool = False,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: Path | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Capacity:
    """Search each lane's capacity; blocks until the last bracket is confirmed.

    Args:
        scenario: name of a scenario.
        objective: upper bounds that have to hold together, `p99<250ms,errors<0.1%`
            (`labcore.measure.Objective`).
        lanes: lanes as a user writes them; default all of the scenario.
        ladder: the rates that may be offered; default 10 to 20 000 requests a second, four steps a
            doubling (quick: two).
        duration_s: measured seconds of a run; default 5, quick 2. Slow rates are offered for longer,
            until 200 requests are due.
        warmup_s: seconds of the same load before, not recorded; default 1, quick 0.5.
        quick: short runs and a coarse ladder.
        parameters: the scenario's knobs.
        seed: everything random is drawn from it; default a fresh one, recorded.
        out: new or empty directory of the recording; default one below `runs/`.
        on_event: as for `compare`; `block` is the rung, `rate_per_s` its rate. Kinds beside those of
            a run: `experiment_started`, `bracket` (the lane's result so far) and `capacities`.
        cancelled: set it to stop within a second or two; what was measured is kept.

    Raises:
        UsageError: an unknown name, a value out of range, an objective that is none.
        InterruptedRunError: cancelled, or interrupted by the keyboard; the recording is partial.
        PeerError: a server died, or a foreign lane breaks the contract.
        EnvironmentFault: no database, no port.
    """
    card = lane_room.scenario(scenario)
    promised = Objective.parse(objective)
    rungs = ladder or usual_ladder(quick=quick)
    names = [lane.name for lane in card.lanes] if lanes is None else list(lanes)
    if not names:
        raise UsageError(f"no lane to search; {scenario} has {', '.join(choose(card, None, None))}")
    first = lane_room.parse_lane(names[0])
    chosen = choose(card, names, first if isinstance(first, str) else first.name)
    usual = (QUICK_DURATION_S, QUICK_WARMUP_S) if quick else (DURATION_S, WARMUP_S)
    design = draw_up(
        card,
        chosen,
        rate=rungs.start_per_s,
        duration_s=usual[0] if duration_s is None else duration_s,
        warmup_s=usual[1] if warmup_s is None else warmup_s,
        pairs=1,
        parameters=parameters,
        seed=seed,
    )
    folder = out or runs_dir() / new_run_id(f"{card.name}-capacity")
    check_vacant(folder)
    events, stop = Events(on_event), cancelled or Event()
    with alone(f"capacity {card.name}", events=events, cancelled=stop):
        recording = Recording.create(
            folder,
            design,
            fingerprint(),
            command=capacity_command(design, names, objective=str(promised), ladder=rungs),
            kind="capacity",
            facts={
                "lanes": lane_texts(chosen),
                "objective": str(promised),
                "ladder": asdict(rungs),
            },
        )
        _search(recording, chosen, events=events, cancelled=stop)
    return Capacity(recording)


def usual_ladder(
    *,
    lowest: float | None = None,
    highest: float | None = None,
    start: float | None = None,
    steps: int | None = None,
    quick: bool = False,
) -> Ladder:
    """The ladder with these bounds, the usual ones where none is given, begun within them.

    Raises: UsageError as `Ladder`.
    """
    usual = Ladder()
    low = usual.lowest_per_s if lowest is None else lowest
    high = usual.highest_per_s if highest is None else highest
    every = QUICK_STEPS if quick else usual.steps_per_doubling
    return Ladder(
        lowest_per_s=low,
        highest_per_s=high,
        start_per_s=min(max(usual.start_per_s, low), high) if start is None else start,
        steps_per_doubling=every if steps is None else steps,
    )


async def capacity_async(
    scenario: str, *, cancelled: Event | None = None, **options: Any
) -> Capacity:
    """`capacity` for a running event loop, cancelled as `compare_async` is."""
    return await beside_the_loop(capacity, scenario, stop=cancelled or Event(), options=options)


def resume_capacity(
    path: str | Path,
    *,
    force: bool = False,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Capacity:
    """Go on with a search that was cut short, from the rates it has tried.

    Arguments and errors are those of `resume_comparison`.
    """
    scenario = Recording.open(path).design.scenario
    events, stop = Events(on_event), cancelled or Event()
    with alone(f"capacity {scenario}", events=events, cancelled=stop):
        recording = reopen(path, "capacity", force=force)
        _search(recording, recorded_lanes(recording), events=events, cancelled=stop)
    return Capacity(recording)


def _search(
    recording: Recording, chosen: Mapping[str, LaneChoice], *, events: Events, cancelled: Event
) -> None:
    """Every run that is missing; at the end, whatever the end, store results and status."""
    card = lane_room.scenario(recording.design.scenario)

    def save(complete: bool) -> None:
        found = [asdict(result) for result in capacity_results(recording)]
        recording.save_result(found)
        recording.finish(complete=complete)
        events.emit("capacities", {"results": found, "complete": complete})

    with (
        kept(recording, save=save),
        on_stage(card, recording.design.parameters, chosen.values(), events=events) as (
            stage,
            placement,
        ),
    ):
        runner = Runner(stage, recording.design, chosen, recording, placement, events, cancelled)
        _Turns(runner).run()


class _Turns:
    """Gives each lane in turn one run, until every search has come to its end."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._recording = runner.recording
        self._objective, self._ladder = promise(runner.recording)
        self._made = len(self._recording.runs)
        self._projected = False
        self._began_s = time.monotonic()

    def run(self) -> None:
        """Every run that is missing. Raises: as `Runner.run`."""
        open_lanes = list(self._runner.lanes)
        events = self._runner.events
        events.emit("experiment_started", {"arms": open_lanes, "path": str(self._recording.path)})
        while open_lanes:
            open_lanes = [lane for lane in open_lanes if self._turn(lane)]

    def _turn(self, lane: str) -> bool:
        """One run of a lane at the rung it needs; false where it needs none any more."""
        runs = self._recording.runs
        mine = runs[runs["arm"] == lane]
        rung = next_rung(tallies(mine, self._objective), self._ladder)
        if rung is None:
            result = self._result(lane)
            self._runner.events.emit("notice", {"message": result.sentence})
            return False
        self._attempt(lane, rung, attempt=int((mine["block"] == rung).sum()) + 1)
        self._runner.events.emit("bracket", asdict(self._result(lane)))
        return True

    def _attempt(self, lane: str, rung: int, *, attempt: int) -> None:
        runner, rate = self._runner, self._ladder.rate_per_s(rung)
        if runner.cancelled.is_set():
            raise InterruptedRunError("cancelled between two runs")
        self._made += 1
        name, seed = f"r{self._made:04d}", _seed(runner.design.seed, rung, attempt)
        labels = {"run": name, "block": rung, "arm": lane, "attempt": attempt, "rate_per_s": rate}
        runner.events.emit("run_started", {**labels, **self._counts()})
        design = replace(
            runner.design,
            rate_per_s=rate,
            duration_s=max(runner.design.duration_s, LEAST_REQUESTS / rate),
        )
        row = replace(runner, design=design).run(
            Slot(rung, 0, lane, seed), name=name, attempt=attempt
        )
        held = self._objective.holds(asdict(row))
        runner.events.emit("run_finished", {**asdict(row), **labels, "held": held} | self._counts())
        self._project()

    def _counts(self) -> dict[str, int]:
        """How far it is; how many runs a search takes is known only at its end."""
        usual = USUAL_RUNS * len(self._runner.lanes)
        return {"planned": max(usual, self._made), "settled": self._made - 1}

    def _project(self) -> None:
        """Say, and write down, how long it usually takes, by the pace of the first run."""
        if self._projected:
            return
        self._projected = True
        total_s = USUAL_RUNS * len(self._runner.lanes) * (time.monotonic() - self._began_s)
        self._recording.update(projected_s=round(total_s, 1))
        message = f"some {USUAL_RUNS} runs a lane are usual: about {spoken(total_s)}"
        self._runner.events.emit("notice", {"message": message, "total_s": total_s})

    def _result(self, lane: str) -> CapacityResult:
        runs = self._recording.runs
        return lane_result(
            runs[runs["arm"] == lane],
            lane,
            self._runner.design,
            objective=self._objective,
            ladder=self._ladder,
        )


def _seed(seed: int, rung: int, attempt: int) -> int:
    """Of one try at one rate; all lanes get the same."""
    draw = np.random.default_rng([seed, SEED_STREAM, rung, attempt])
    return int(draw.integers(0, 2**31))
