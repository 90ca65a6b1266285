"""What is decided before the first run: names resolved, values checked, nothing measured yet.

Pure but for the seed, which is drawn afresh where none is given.
"""

import math
import secrets
import shlex
from collections.abc import Mapping, Sequence
from typing import Final

from labcore.kernel import UsageError
from labcore.lanes import ForeignLane, Scenario, Value, parse_lane
from labcore.measure import statistics
from labcore.measure.grid import Grid
from labcore.measure.record import CONTROL, Design
from labcore.measure.search import Ladder

RATE_PER_S: Final = 150.0
PAIRS: Final = 20
QUICK_PAIRS: Final = 6
LOOKS: Final = (10, 20, 40)  # pairs after which a lane that is decided needs no more
LATEST_LOOK_SHARE: Final = 0.75  # of all pairs: a look later than that would save little
DURATION_S: Final = 10.0
QUICK_DURATION_S: Final = 3.0
WARMUP_S: Final = 2.0
QUICK_WARMUP_S: Final = 1.0

LaneChoice = str | ForeignLane


def draw_up(
    card: Scenario,
    chosen: Mapping[str, LaneChoice],
    *,
    rate: float = RATE_PER_S,
    duration_s: float | None = None,
    warmup_s: float | None = None,
    pairs: int | None = None,
    quick: bool = False,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
) -> Design:
    """The design of a comparison of these lanes, the first of which is the baseline.

    Raises: UsageError for a value out of range, naming it and the range.
    """
    usual = (QUICK_DURATION_S, QUICK_WARMUP_S) if quick else (DURATION_S, WARMUP_S)
    baseline, *arms = chosen
    most = _enough((QUICK_PAIRS if quick else PAIRS) if pairs is None else pairs)
    return Design(
        scenario=card.name,
        baseline=baseline,
        arms=tuple(arms),
        rate_per_s=_positive("rate", rate),
        duration_s=_positive("duration_s", usual[0] if duration_s is None else duration_s),
        warmup_s=_not_negative("warmup_s", usual[1] if warmup_s is None else warmup_s),
        pairs=most,
        arrivals="poisson",
        seed=_seed(seed),
        parameters=card.values(parameters),
        looks=look_points(most),
    )


def look_points(pairs: int) -> tuple[int, ...]:
    """The pairs after which the data are looked at, fixed before the first: the last is the end."""
    return (*(look for look in LOOKS if look <= LATEST_LOOK_SHARE * pairs), pairs)


def choose(
    card: Scenario, names: Sequence[str] | None, baseline: str | None
) -> dict[str, LaneChoice]:
    """The lanes by name, the baseline first. Raises: UsageError."""
    texts = [lane.name for lane in card.lanes] if names is None else list(names)
    chosen: dict[str, LaneChoice] = {}
    for text in texts:
        lane = parse_lane(text)
        name = lane if isinstance(lane, str) else lane.name
        if isinstance(lane, str):
            card.lane(lane)
        if name in chosen or name == CONTROL:
            taken = "kept for the baseline once more" if name == CONTROL else "given twice"
            raise UsageError(f"lane name {name!r} is {taken}; give every lane its own name")
        chosen[name] = lane
    first = baseline or card.baseline
    if first not in chosen:
        chosen[first] = card.lane(first).name
    return {first: chosen[first], **{name: chosen[name] for name in chosen if name != first}}


def command(design: Design, lanes: Sequence[str] | None, *, quick: bool) -> str:
    """The line for a terminal that measures the same again; `lanes` as the user wrote them."""
    words = ["labcore", "compare", design.scenario, "--baseline", design.baseline]
    words += [] if lanes is None else ["--lanes", ",".join(lanes)]
    words += ["--rate", f"{design.rate_per_s:g}", "--duration", f"{design.duration_s:g}"]
    words += ["--pairs", str(design.pairs), "--seed", str(design.seed)]
    words += ["--quick"] if quick else []
    return shlex.join([*words, *_settings(design)])


def python_call(design: Design, lanes: Sequence[str] | None, *, control: bool, repeats: int) -> str:
    """The same as `command` for what a terminal cannot say: warm-up, control, repeats."""
    arguments = {
        "lanes": None if lanes is None else list(lanes),
        "baseline": design.baseline,
        "rate": design.rate_per_s,
        "duration_s": design.duration_s,
        "warmup_s": design.warmup_s,
        "pairs": design.pairs,
        "parameters": dict(design.parameters),
        "seed": design.seed,
        "control": control,
        "repeats": repeats,
    }
    return _python("compare", design.scenario, arguments)


def look_call(design: Design, lanes: Sequence[str]) -> str:
    """The line that looks at the same lanes again."""
    arguments = {
        "lanes": list(lanes),
        "rate": design.rate_per_s,
        "duration_s": design.duration_s,
        "parameters": dict(design.parameters),
        "seed": design.seed,
    }
    return _python("look", design.scenario, arguments)


def capacity_command(
    design: Design, lanes: Sequence[str], *, objective: str, ladder: Ladder
) -> str:
    """The line for a terminal that searches the same capacities again."""
    words = ["labcore", "capacity", design.scenario, "--objective", objective]
    words += ["--lanes", ",".join(lanes), "--seed", str(design.seed)]
    words += ["--duration", f"{design.duration_s:g}", "--warmup", f"{design.warmup_s:g}"]
    words += ["--lowest", f"{ladder.lowest_per_s:g}", "--highest", f"{ladder.highest_per_s:g}"]
    words += ["--start", f"{ladder.start_per_s:g}", "--steps", str(ladder.steps_per_doubling)]
    return shlex.join([*words, *_settings(design)])


def crossover_command(design: Design, lanes: Sequence[str], *, grid: Grid, metric: str) -> str:
    """The line for a terminal that measures the same map again."""
    values = ",".join(f"{value:g}" for value in grid.values)
    words = ["labcore", "crossover", design.scenario, "--lanes", ",".join(lanes)]
    words += ["--grid", f"{grid.parameter}={values}"]
    words += ["--rates", ",".join(f"{rate:g}" for rate in grid.rates_per_s), "--metric", metric]
    words += ["--pairs", str(design.pairs), "--seed", str(design.seed)]
    words += ["--duration", f"{design.duration_s:g}", "--warmup", f"{design.warmup_s:g}"]
    return shlex.join([*words, *_settings(design, without=grid.parameter)])


def _settings(design: Design, *, without: str = "") -> list[str]:
    given = {name: value for name, value in design.parameters.items() if name != without}
    pairs = [("--set", f"{name}={value}") for name, value in given.items()]
    return [word for pair in pairs for word in pair]


def _python(verb: str, scenario: str, arguments: Mapping[str, object]) -> str:
    given = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
    call = f"from labcore.measure import {verb}; {verb}({scenario!r}, {given})"
    return shlex.join(["python", "-c", call])


def _positive(name: str, value: float) -> float:
    if not 0 < value < math.inf:
        raise UsageError(f"{name}={value!r} is out of range; give a number above 0")
    return float(value)


def _not_negative(name: str, value: float) -> float:
    if not 0 <= value < math.inf:
        raise UsageError(f"{name}={value!r} is out of range; give 0 or more seconds")
    return float(value)


def _enough(pairs: int) -> int:
    if pairs < 1:
        raise UsageError(
            f"pairs={pairs!r} is out of range; give 1 or more, and at least "
            f"{statistics.least_pairs()} for an interval of 95 %"
        )
    return int(pairs)


def _seed(given: int | None) -> int:
    if given is None:
        return secrets.randbelow(2**31)
    if given < 0:
        raise UsageError(f"seed={given!r} is out of range; give a whole number from 0")
    return int(given)
