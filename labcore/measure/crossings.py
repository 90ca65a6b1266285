"""Crossover: which of two lanes wins where, over waiting time by offered rate.

Each cell of the grid is a small paired comparison of its own. Cells come in random order, so that a
drift of the machine draws no pattern on the map. A cell decides by its own pairs; the p-values are
adjusted over all cells, and the map says how many there are.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event
from typing import Any, Final

import numpy as np

from labcore import lanes as lane_room
from labcore.kernel import InterruptedRunError, UsageError, new_run_id, runs_dir
from labcore.lanes import Scenario, Value
from labcore.measure.cells import cell_of, crossover_result, grid_of, metric_of
from labcore.measure.design import (
    QUICK_DURATION_S,
    QUICK_PAIRS,
    QUICK_WARMUP_S,
    LaneChoice,
    choose,
    crossover_command,
    draw_up,
)
from labcore.measure.environment import fingerprint
from labcore.measure.experiment import REPEATS, measure_blocks, new_recording
from labcore.measure.grid import Grid
from labcore.measure.recording import Recording, check_vacant
from labcore.measure.reopening import lane_texts, recorded_lanes, reopen
from labcore.measure.run import Events, OnEvent
from labcore.measure.session import alone, beside_the_loop, counted, kept, spoken

METRIC: Final = "p99_ms"
SEED_STREAM: Final = 4  # keeps these draws apart from those of blocks and searches
PASSED_ON: Final = frozenset(
    {"block_started", "run_started", "run_finished", "sample", "progress", "look"}
)


def crossover(
    scenario: str,
    *,
    lanes: Sequence[str],
    parameter: str,
    values: Sequence[float],
    rates: Sequence[float],
    metric: str = METRIC,
    pairs: int = QUICK_PAIRS,
    duration_s: float = QUICK_DURATION_S,
    warmup_s: float = QUICK_WARMUP_S,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: Path | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Recording:
    """Compare two lanes in each cell of a grid; blocks until the last cell is stored.

    Args:
        scenario: name of a scenario.
        lanes: two lanes as a user writes them; the first is the baseline.
        parameter: the scenario's knob along one side, usually a wait such as `payment_ms`.
        values: its values, at least one.
        rates: offered loads along the other side, requests per second.
        metric: the one that decides; a name of `METRICS`.
        pairs: pairs a cell; below 6 nothing can be decided.
        duration_s: measured seconds of a run.
        warmup_s: seconds of the same load before, not recorded.
        parameters: the scenario's other knobs.
        seed: everything random is drawn from it; default a fresh one, recorded.
        out: new or empty directory of the recording; default one below `runs/`.
        on_event: as for `compare`, each with `value` and `rate_per_s` of its cell; beside those of a
            comparison's runs `experiment_started`, `cell_started`, `cell_finished` (the cell as far
            as it is known, before Holm) and `crossover` (the whole map).
        cancelled: set it to stop within a second or two; what was measured is kept.

    Returns:
        A recording of kind `crossover`; `crossover_result` reads the map from it.

    Raises:
        UsageError: an unknown name, a value out of range, other than two lanes.
        InterruptedRunError: cancelled, or interrupted by the keyboard; the recording is partial.
        PeerError: a server died, or a foreign lane breaks the contract.
        EnvironmentFault: no database, no port.
    """
    card = lane_room.scenario(scenario)
    grid = Grid(parameter, tuple(sorted(values)), tuple(sorted(rates)))
    unit = _check_grid(card, grid, parameters or {})
    metric_of(metric)
    chosen = _two(card, lanes)
    design = draw_up(
        card,
        chosen,
        rate=grid.rates_per_s[0],
        duration_s=duration_s,
        warmup_s=warmup_s,
        pairs=pairs,
        parameters={**(parameters or {}), parameter: grid.values[0]},
        seed=seed,
    )
    folder = out or runs_dir() / new_run_id(f"{card.name}-crossover")
    check_vacant(folder)
    events, stop = Events(on_event), cancelled or Event()
    with alone(f"crossover {card.name}", events=events, cancelled=stop):
        recording = Recording.create(
            folder,
            design,
            fingerprint(),
            command=crossover_command(design, lanes, grid=grid, metric=metric),
            kind="crossover",
            facts={
                "lanes": lane_texts(chosen),
                "grid": {**asdict(grid), "metric": metric, "unit": unit},
            },
        )
        _measure(card, recording, chosen, events=events, cancelled=stop)
    return recording


async def crossover_async(
    scenario: str, *, cancelled: Event | None = None, **options: Any
) -> Recording:
    """`crossover` for a running event loop, cancelled as `compare_async` is."""
    return await beside_the_loop(crossover, scenario, stop=cancelled or Event(), options=options)


def resume_crossover(
    path: str | Path,
    *,
    force: bool = False,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Recording:
    """Go on with a map that was cut short: finished cells stay, the one under way goes on.

    Arguments and errors are those of `resume_comparison`.
    """
    card = lane_room.scenario(Recording.open(path).design.scenario)
    events, stop = Events(on_event), cancelled or Event()
    with alone(f"crossover {card.name}", events=events, cancelled=stop):
        recording = reopen(path, "crossover", force=force)
        _measure(card, recording, recorded_lanes(recording), events=events, cancelled=stop)
    return recording


def _two(card: Scenario, lanes: Sequence[str]) -> dict[str, LaneChoice]:
    if len(lanes) != 2:
        raise UsageError(
            f"lanes={list(lanes)!r}: a crossover is of two; give a baseline and a lane"
        )
    first = lane_room.parse_lane(lanes[0])
    return choose(card, lanes, first if isinstance(first, str) else first.name)


def _check_grid(card: Scenario, grid: Grid, others: Mapping[str, Value]) -> str:
    """The unit of the grid's parameter. Raises: UsageError unless it is a number of the scenario's."""
    if grid.parameter in others:
        raise UsageError(f"{grid.parameter!r} is set and on the grid; give it once")
    for value in grid.values:
        card.values({grid.parameter: value})
    found = next(each for each in card.parameters if each.name == grid.parameter)
    if isinstance(found.default, (bool, str)):
        raise UsageError(
            f"{grid.parameter!r} is no number; put a parameter with a range on the grid"
        )
    return found.unit


def _measure(
    card: Scenario,
    recording: Recording,
    chosen: Mapping[str, LaneChoice],
    *,
    events: Events,
    cancelled: Event,
) -> None:
    """Every cell that is missing; at the end, whatever the end, store map and status."""
    count = _Count(recording)

    def save(complete: bool) -> None:
        recording.finish(complete=complete)
        result = asdict(crossover_result(recording))
        recording.save_result(result)
        events.emit("crossover", {"result": result, "complete": complete})

    with kept(recording, save=save, what=count.in_words):
        payload = {"arms": list(chosen), "path": str(recording.path), **count.total()}
        events.emit("experiment_started", payload)
        for place in _order(recording):
            if count.is_done(place):
                continue
            if cancelled.is_set():
                raise InterruptedRunError("cancelled between two cells")
            began_s = time.monotonic()
            _measure_cell(card, recording, place, chosen, count, events=events, cancelled=cancelled)
            if count.is_first() and count.left:
                _project(recording, count, time.monotonic() - began_s, events=events)


def _measure_cell(
    card: Scenario,
    recording: Recording,
    place: tuple[float, float],
    chosen: Mapping[str, LaneChoice],
    count: "_Count",
    *,
    events: Events,
    cancelled: Event,
) -> None:
    """One comparison, in its own recording: a new one, or the one that was cut short."""
    value, rate = place
    labels = {"value": value, "rate_per_s": rate}
    folder = recording.path / grid_of(recording).folder(value, rate)
    if (folder / "experiment.json").is_file():
        cell = Recording.open(folder)
    else:
        cell = _new_cell(card, recording, place, chosen, folder)
    events.emit("cell_started", {**labels, "path": str(folder), **count.total()})

    def pass_on(kind: str, payload: dict[str, Any]) -> None:
        if kind in PASSED_ON:
            events.emit(kind, {**payload, **labels, **count.within(payload)})

    measure_blocks(card, cell, chosen, events=Events(pass_on), cancelled=cancelled)
    count.add(place)
    events.emit("cell_finished", {**asdict(cell_of(recording, place)), **count.total()})


def _new_cell(
    card: Scenario,
    recording: Recording,
    place: tuple[float, float],
    chosen: Mapping[str, LaneChoice],
    folder: Path,
) -> Recording:
    value, rate = place
    design, grid = recording.design, grid_of(recording)
    number = grid.places.index(place)
    draw = np.random.default_rng([design.seed, SEED_STREAM, number])
    cell = replace(
        design,
        rate_per_s=rate,
        parameters=card.values({**design.parameters, grid.parameter: value}),
        seed=int(draw.integers(0, 2**31)),
    )
    return new_recording(
        folder,
        cell,
        chosen,
        line=recording.experiment["command"],
        control=False,
        repeats=REPEATS,
    )


def _order(recording: Recording) -> list[tuple[float, float]]:
    """The cells in the order they are measured, drawn from the seed."""
    places = grid_of(recording).places
    draw = np.random.default_rng([recording.design.seed, SEED_STREAM])
    return [places[number] for number in draw.permutation(len(places))]


def _project(recording: Recording, count: "_Count", cell_s: float, *, events: Events) -> None:
    """Say, and write down, how long it will take by the pace of the first cell."""
    left_s = cell_s * count.left
    recording.update(projected_s=round(cell_s * len(grid_of(recording).places), 1))
    message = f"{counted(count.left, 'cell')} to go, about {spoken(left_s)} left"
    events.emit("notice", {"message": message, "left_s": left_s})


class _Count:
    """How far a map is, in cells and in runs."""

    def __init__(self, recording: Recording) -> None:
        grid, design = grid_of(recording), recording.design
        self._places = grid.places
        self._runs_a_cell = 2 * design.pairs
        self._made = 0
        self._done = {
            place
            for place in grid.places
            if (folder := recording.path / grid.folder(*place)).is_dir()
            and (folder / "experiment.json").is_file()
            and Recording.open(folder).complete
        }

    @property
    def left(self) -> int:
        """Cells not measured yet."""
        return len(self._places) - len(self._done)

    def is_done(self, place: tuple[float, float]) -> bool:
        """Whether the cell was measured to its end."""
        return place in self._done

    def is_first(self) -> bool:
        """Whether one cell was measured since this session began."""
        return self._made == 1

    def add(self, place: tuple[float, float]) -> None:
        """A cell came to its end."""
        self._done.add(place)
        self._made += 1

    def total(self) -> dict[str, int]:
        """Runs planned and settled, of all cells."""
        return {
            "planned": self._runs_a_cell * len(self._places),
            "settled": self._runs_a_cell * len(self._done),
        }

    def within(self, payload: Mapping[str, Any]) -> dict[str, int]:
        """The same while a cell is under way, by what it says of itself."""
        total = self.total()
        if "settled" not in payload:
            return {}
        return {**total, "settled": total["settled"] + int(payload["settled"])}

    def in_words(self) -> str:
        """`3 of 12 cells`."""
        return f"{len(self._done)} of {counted(len(self._places), 'cell')}"
