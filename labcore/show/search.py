"""What the report of a search says: a capacity's brackets or a crossover's map, in plain words."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from labcore.kernel import UsageError
from labcore.measure import (
    CapacityResult,
    CrossoverResult,
    Recording,
    capacity_results,
    crossover_result,
)
from labcore.show.charts import Chart, Table, capacity_curve, crossover_map
from labcore.show.charts.capacity import bracket_text
from labcore.show.evidence import metric
from labcore.show.words import listed, number

SECTIONS = (
    "answer", "charts", "limits", "method", "validity", "parameters", "environment", "reproduce",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Search:
    """The parts of a page that a search fills: plain words, charts and one table of limits."""

    eyebrow: str
    question: str
    load: str
    lead: str
    sentences: tuple[str, ...]
    charts: tuple[Chart, ...]
    limits: Table
    method: tuple[tuple[str, str], ...]
    runs: pd.DataFrame  # all that were made, void ones too


def search_of(recording: Recording) -> Search:
    """What the recording of a search says. Raises: UsageError for a kind without a page."""
    if recording.kind == "capacity":
        return _capacity(recording)
    if recording.kind == "crossover":
        return _crossover(recording)
    raise UsageError(
        f"no report for a recording of kind {recording.kind!r}; give a capacity or a crossover"
    )


def _capacity(recording: Recording) -> Search:
    results = capacity_results(recording)
    scenario, lanes = recording.design.scenario, listed(result.lane for result in results)
    ladder = recording.experiment["ladder"]
    chart = capacity_curve(results)
    return Search(
        eyebrow="Capacity",
        question=f"How much load can {lanes} take on {scenario}?",
        load=f"{number(ladder['lowest_per_s'])} to {number(ladder['highest_per_s'])} requests/s in open loop",
        lead=chart.title,
        sentences=tuple(result.sentence for result in results),
        charts=(chart,) if chart.table.rows else (),
        limits=_limits(results),
        method=(
            (
                "A bracket, not a fit",
                "Rates are rungs of a ladder fixed beforehand. The capacity lies between the highest rate"
                " that kept the objective in every confirming run and the lowest that most runs missed.",
            ),
            (
                "Each rate anew",
                "Every run has a fresh server and its own arrivals; lanes take turns, so that a drift of"
                " the machine falls on all of them.",
            ),
            (
                "What a short run can hide",
                "An overload needs time to queue up: with p99 below L seconds in runs of D seconds,"
                " offering up to about L/D too much may still pass.",
            ),
        ),
        runs=recording.runs,
    )


def _crossover(recording: Recording) -> Search:
    result = crossover_result(recording)
    measured = [cell for cell in result.cells if cell.measured]
    design = recording.design
    return Search(
        eyebrow="Crossover",
        question=f"Where does {result.lane} beat {result.baseline} on {result.scenario}?",
        load=f"{listed(number(rate) for rate in result.rates_per_s)} requests/s in open loop",
        lead=result.sentence,
        sentences=tuple(_wins(result)),
        charts=(crossover_map(result),) if measured else (),
        limits=_cell_limits(result),
        method=(
            (
                "A small comparison in every cell",
                f"{design.pairs} pairs of runs of {number(design.duration_s)} s a cell, the halves of a"
                " pair under one schedule, each on a fresh server. Cells came in random order, so that a"
                " drift of the machine draws no pattern.",
            ),
            (
                "A zone fixed beforehand",
                f"Differences within ±{result.zone_share:.0%} count as equal in practice; a cell decides"
                " by the exact signed-rank interval over its own pairs.",
            ),
            (
                "Many questions at once",
                f"{len(result.cells)} cells were asked; the p-values beside the map are adjusted over all"
                " of them by Holm's method.",
            ),
        ),
        runs=_runs_of_cells(recording, result),
    )


def _wins(result: CrossoverResult) -> Iterator[str]:
    """One sentence a row of the map, about what was decided there."""
    title = metric(result.metric).label
    for value in result.values:
        row = [cell for cell in result.cells if cell.value == value and cell.measured]
        words = {
            word: [number(cell.rate_per_s) for cell in row if cell.word == word]
            for word in ("faster", "slower", "equal in practice", "undecided", "void")
        }
        told = [f"{word} at {listed(rates)}/s" for word, rates in words.items() if rates]
        place = f"{result.parameter} {number(value)} {result.unit}".strip()
        yield f"{place}: {result.lane} is {listed(told) or 'not measured'} on {title}."


def _cell_limits(result: CrossoverResult) -> Table:
    rows = tuple(
        (cell.value, cell.rate_per_s, cell.bottleneck or "–", cell.baseline_bottleneck or "–")
        for cell in result.cells
    )
    unit = f", {result.unit}" if result.unit else ""
    return Table((f"{result.parameter}{unit}", "offered, /s", result.lane, result.baseline), rows)


def _runs_of_cells(recording: Recording, result: CrossoverResult) -> pd.DataFrame:
    """The runs of every cell begun; a run's name tells its cell, where names begin anew."""
    frames = [recording.runs]
    for cell in result.cells:
        if (recording.path / cell.path / "experiment.json").is_file():
            runs = Recording.open(recording.path / cell.path).runs
            frames.append(runs.assign(run=cell.path + "/" + runs["run"]))
    filled = [frame for frame in frames if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else recording.runs


def _limits(results: Sequence[CapacityResult]) -> Table:
    rows = tuple(
        (
            result.lane,
            bracket_text(result),
            result.state,
            result.bottleneck or "–",
            result.evidence or "–",
        )
        for result in results
    )
    columns = ("lane", "capacity", "bracket", "bottleneck where it broke", "evidence")
    return Table(columns, rows)
