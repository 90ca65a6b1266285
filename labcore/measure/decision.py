"""From verdicts to a choice, by a rule that is stated and that the user's own weights steer.

Pure. The rule, in the order in which it is applied:

1. Where the baseline came out different from itself, nothing is chosen.
2. A lane that breaks the objective in most of its valid runs is out; one that keeps it in some runs and
   not in others may not be chosen.
3. Every other lane has a *gain* over the baseline: the product of its ratios, each turned so that above
   1 is better and raised to its metric's share of the weights. *Equal in practice* counts as exactly 1. The
   ends of the gain multiply the ends of the intervals, so they are no tighter than the evidence.
4. A lane is chosen when the low end of its gain is above the high end of every other's; the baseline's
   gain is 1. Where no lane stands out, those that may still be the best are named, and nothing is chosen.

Source: weighted products of ratios after Bridgman, Dimensional Analysis (1922), and Miller and Starr's
weighted product model (1969), which needs no common unit.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from labcore.kernel import UsageError
from labcore.measure.objective import Objective
from labcore.measure.record import CONTROL
from labcore.measure.verdict import METRICS, Verdict

if TYPE_CHECKING:  # half a second for the load driver, which needs no table
    import pandas as pd

Fitness = Literal["kept", "broken", "mixed", "not asked", "unknown"]
DecisionState = Literal["decided", "undecided", "equal", "none fits", "withheld"]

_BETTER: Final = {metric.name: metric.better for metric in METRICS}


@dataclass(frozen=True, slots=True)
class Standing:
    """One lane under the rule. Gains are ratios: 1.2 is 20 % better than the baseline."""

    lane: str
    fitness: Fitness  # how it kept the objective
    kept_runs: int  # valid runs that kept it
    runs: int  # valid runs
    gain: float  # NaN where a weighted metric has no estimate
    low: float  # 0 where nothing bounds it
    high: float  # infinite where nothing bounds it
    open_metrics: tuple[str, ...]  # weighted, and without a decision


@dataclass(frozen=True, slots=True)
class Decision:
    """What the rule says, and by which weights and objective."""

    state: DecisionState
    lane: str  # the chosen one; empty where none is
    candidates: tuple[
        str, ...
    ]  # that may still be the best, the chosen one alone where there is one
    standings: tuple[Standing, ...]  # the baseline's first
    weights: Mapping[str, float]  # shares, their sum is 1
    objective: str  # empty where none was asked for


def decide(
    runs: "pd.DataFrame",
    verdicts: Sequence[Verdict],
    *,
    baseline: str,
    weights: Mapping[str, float] | None = None,
    objective: Objective | None = None,
) -> Decision:
    """Apply the rule.

    Args:
        runs: one row a run, the fields of `RunRow`.
        verdicts: of the lanes and the control.
        baseline: the lane that the verdicts compare with.
        weights: how much each metric counts, in any unit; default every judged metric alike.
        objective: what a lane must keep to be chosen; None asks for nothing.

    Raises:
        UsageError: a metric without verdicts, a negative weight, or none above 0.
    """
    shares = _shares(weights, verdicts)
    lanes = list(dict.fromkeys([baseline, *(one.arm for one in verdicts if one.arm != CONTROL)]))
    standings = tuple(
        _standing(lane, runs, verdicts, baseline=baseline, shares=shares, objective=objective)
        for lane in lanes
    )
    differs = any(
        one.arm == CONTROL and one.word in {"faster", "slower"} and one.metric in shares
        for one in verdicts
    )
    state, candidates = ("withheld", ()) if differs else _chosen(standings)
    return Decision(
        state=state,
        lane=candidates[0] if state == "decided" else "",
        candidates=candidates,
        standings=standings,
        weights=shares,
        objective="" if objective is None else str(objective),
    )


def _shares(weights: Mapping[str, float] | None, verdicts: Sequence[Verdict]) -> dict[str, float]:
    judged = list(dict.fromkeys(verdict.metric for verdict in verdicts))
    if not judged:
        raise UsageError("there are no verdicts to decide by; measure at least two lanes in pairs")
    given = dict.fromkeys(judged, 1.0) if weights is None else dict(weights)
    for name, weight in given.items():
        if name not in judged:
            raise UsageError(f"no verdict on {name!r} to weigh; there are: {', '.join(judged)}")
        if not 0 <= weight < math.inf:
            raise UsageError(f"weight {name}={weight!r} is out of range; give 0 or more")
    total = sum(given.values())
    if not total:
        raise UsageError("every weight is 0, so nothing counts; give at least one above 0")
    return {name: weight / total for name, weight in given.items() if weight}


def _standing(
    lane: str,
    runs: "pd.DataFrame",
    verdicts: Sequence[Verdict],
    *,
    baseline: str,
    shares: Mapping[str, float],
    objective: Objective | None,
) -> Standing:
    valid = runs[(runs["arm"] == lane) & ~runs["void"].astype(bool)]
    kept = 0
    if objective is not None:
        rows: list[Any] = valid.to_dict("records")
        kept = sum(objective.holds(run) for run in rows)
    mine = {one.metric: one for one in verdicts if one.arm == lane}
    ends = (
        [(1.0, 1.0, 1.0)]
        if lane == baseline
        else [
            tuple(value**share for value in _oriented(mine.get(name)))
            for name, share in shares.items()
        ]
    )
    gain, low, high = (math.prod(values) for values in zip(*ends, strict=True))
    still_open = (
        ()
        if lane == baseline
        else tuple(
            name for name in shares if name not in mine or mine[name].word in {"undecided", "void"}
        )
    )
    return Standing(
        lane, _fitness(objective, kept, len(valid)), kept, len(valid), gain, low, high, still_open
    )


def _oriented(verdict: Verdict | None) -> tuple[float, float, float]:
    """Estimate, low and high end of one ratio, turned so that above 1 is better."""
    if verdict is None or verdict.word == "void":
        return math.nan, 0.0, math.inf
    if verdict.word == "equal in practice":
        return 1.0, 1.0, 1.0
    low = verdict.low if verdict.low > 0 else 0.0
    high = verdict.high if verdict.high > 0 else math.inf
    if _BETTER[verdict.metric] == "higher":
        return verdict.ratio, low, high
    return 1 / verdict.ratio, 1 / high, math.inf if not low else 1 / low


def _fitness(objective: Objective | None, kept: int, runs: int) -> Fitness:
    if objective is None:
        return "not asked"
    if not runs:
        return "unknown"
    if kept == runs:
        return "kept"
    return "broken" if 2 * kept < runs else "mixed"


def _chosen(standings: Sequence[Standing]) -> tuple[DecisionState, tuple[str, ...]]:
    fit = [one for one in standings if one.fitness != "broken"]
    if not fit:
        return "none fits", ()
    floor = max(one.low for one in fit)
    possible = [one for one in fit if one.high >= floor]
    names = tuple(one.lane for one in possible)
    if len(possible) > 1:
        alike = all(one.low == one.high == 1.0 for one in possible)
        return ("equal" if alike else "undecided"), names
    certain = possible[0].fitness in {"kept", "not asked"}
    return ("decided" if certain else "undecided"), names
