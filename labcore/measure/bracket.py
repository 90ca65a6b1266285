"""From the runs of a search to the bracket of each lane.

Pure but for reading the record: rungs stand in `block`, tries in `attempt`, and whether a run kept
the objective is judged from its row. So a recording cut short has its brackets too.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import mode
from typing import TYPE_CHECKING, Any

import numpy as np

from labcore.measure.objective import Objective
from labcore.measure.record import CapacityPoint, CapacityResult, CapacityState, Design
from labcore.measure.recording import Recording
from labcore.measure.search import Ladder, Tally, highest_passing, next_rung

if TYPE_CHECKING:  # half a second for the load driver, which needs no table
    import pandas as pd


def capacity_results(recording: Recording) -> list[CapacityResult]:
    """The bracket of each lane by the runs of a recording of kind `capacity`, whole or partial."""
    objective, ladder = promise(recording)
    design, runs = recording.design, recording.runs
    return [
        lane_result(runs[runs["arm"] == lane], lane, design, objective=objective, ladder=ladder)
        for lane in (design.baseline, *design.arms)
    ]


def promise(recording: Recording) -> tuple[Objective, Ladder]:
    """What was asked of the lanes, and at which rates it may be tried."""
    facts = recording.experiment
    return Objective.parse(facts["objective"]), Ladder(**facts["ladder"])


def tallies(runs: "pd.DataFrame", objective: Objective) -> dict[int, Tally]:
    """What the runs of one lane came to, by rung."""
    return {
        int(str(rung)): _tally(tries.to_dict("records"), objective)
        for rung, tries in runs.groupby("block")
    }


def _tally(tries: Sequence[Mapping[Any, Any]], objective: Objective) -> Tally:
    words = Counter("void" if run["void"] else objective.holds(run) for run in tries)
    return Tally(passes=words[True], fails=words[False], voids=words["void"])


def lane_result(
    runs: "pd.DataFrame", lane: str, design: Design, *, objective: Objective, ladder: Ladder
) -> CapacityResult:
    """The bracket of one lane by its runs so far."""
    found = tallies(runs, objective)
    states = {rung: tally.state for rung, tally in found.items()}
    barrier = min((rung for rung, state in states.items() if state == "failed"), default=None)
    passed = {rung: tally for rung, tally in found.items() if tally.state == "passed"}
    low = highest_passing(passed, below=barrier)
    points = {
        rung: _point(runs[runs["block"] == rung], lane, tally, rate_per_s=ladder.rate_per_s(rung))
        for rung, tally in sorted(found.items())
    }
    broken = None if barrier is None else points[barrier]
    ended = next_rung(found, ladder) is None
    result = CapacityResult(
        scenario=design.scenario,
        lane=lane,
        objective=str(objective),
        state=_state(low, barrier, top=ladder.top) if ended else "interrupted",
        highest_passing_per_s=np.nan if low is None else ladder.rate_per_s(low),
        lowest_failing_per_s=np.nan if broken is None else broken.rate_per_s,
        bottleneck="" if broken is None else broken.bottleneck,
        evidence="" if broken is None else broken.evidence,
        points=tuple(points.values()),
        sentence="",
    )
    return replace(result, sentence=_sentence(result, broken))


def _state(low: int | None, barrier: int | None, *, top: int) -> CapacityState:
    if low is not None and barrier is not None:
        return "bracketed"
    if barrier is not None:
        return "below the range"
    return "above the range" if low == top else "void"


def _point(runs: "pd.DataFrame", lane: str, tally: Tally, *, rate_per_s: float) -> CapacityPoint:
    valid = runs[~runs["void"].astype(bool)]
    named = str(mode(valid["bottleneck"])) if len(valid) else ""
    evidence = valid.loc[valid["bottleneck"] == named, "evidence"]
    figures = (
        "p50_ms", "p99_ms", "error_share", "achieved_per_s", "server_cpu_share", "cpu_per_request_us",
    )  # fmt: skip
    return CapacityPoint(
        lane=lane,
        rate_per_s=rate_per_s,
        state=tally.state,
        passes=tally.passes,
        fails=tally.fails,
        voids=tally.voids,
        bottleneck=named,
        evidence=str(evidence.iloc[-1]) if len(evidence) else "",
        runs=tuple(map(str, runs["run"])),
        **{figure: float(valid[figure].median()) for figure in figures},
    )


def _sentence(result: CapacityResult, broken: CapacityPoint | None) -> str:
    holds = f"{result.lane}: {result.highest_passing_per_s:g}/s keep {result.objective}"
    breaks = (
        ""
        if broken is None
        else f"{broken.rate_per_s:g}/s do not (p99 {broken.p99_ms:.3g} ms, errors "
        f"{broken.error_share:.2%}, bottleneck: {broken.bottleneck})"
    )
    sentences = {
        "bracketed": f"{holds}, {breaks}.",
        "above the range": f"{holds}, the highest rate that was offered.",
        "below the range": f"{result.lane}: no rate keeps {result.objective}; {breaks}.",
        "void": f"{_so_far(result)}; the runs that would tell more came out void.",
        "interrupted": f"{_so_far(result)}; the search was cut short.",
    }
    return sentences[result.state]


def _so_far(result: CapacityResult) -> str:
    if np.isnan(result.highest_passing_per_s):
        return f"{result.lane}: no rate was shown to keep {result.objective}"
    return f"{result.lane}: {result.highest_passing_per_s:g}/s keep {result.objective}"
