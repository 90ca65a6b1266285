"""The cells of a crossover: where each lies, what its pairs say, and the map they make together.

Pure but for reading the record. A cell is a comparison of its own, recorded below `cells/`, so that
it opens, reports and resumes like any other; the map is judged from those recordings alone.
"""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import mode
from typing import TYPE_CHECKING, Any

from labcore.kernel import UsageError
from labcore.measure import statistics
from labcore.measure.grid import Grid
from labcore.measure.record import CrossoverCell, CrossoverResult, Design
from labcore.measure.recording import Recording
from labcore.measure.verdict import METRICS, Metric, judge, pairs_of

if TYPE_CHECKING:  # half a second for the load driver, which needs no table
    import pandas as pd


def metric_of(name: str) -> Metric:
    """The metric of that name. Raises: UsageError listing those there are."""
    for metric in METRICS:
        if metric.name == name:
            return metric
    known = ", ".join(metric.name for metric in METRICS)
    raise UsageError(f"there is no metric {name!r}; there are: {known}")


def grid_of(recording: Recording) -> Grid:
    """The grid of a recording of kind `crossover`."""
    facts = recording.experiment["grid"]
    return Grid(facts["parameter"], tuple(facts["values"]), tuple(facts["rates_per_s"]))


def crossover_result(recording: Recording) -> CrossoverResult:
    """The map by the cells that a recording of kind `crossover` has so far."""
    grid, design = grid_of(recording), recording.design
    facts = recording.experiment["grid"]
    metric = metric_of(facts["metric"])
    cells = [
        _cell(recording.path, grid, value, rate, design=design, metric=metric)
        for value, rate in grid.places
    ]
    adjusted = statistics.holm([cell.p_value for cell in cells])
    found = tuple(
        replace(cell, p_holm=p_holm) for cell, p_holm in zip(cells, adjusted, strict=True)
    )
    return CrossoverResult(
        scenario=design.scenario,
        baseline=design.baseline,
        lane=design.arms[0],
        metric=metric.name,
        better=metric.better,
        parameter=grid.parameter,
        unit=facts["unit"],
        values=grid.values,
        rates_per_s=grid.rates_per_s,
        zone_share=design.zone_p99_share if metric.tail else design.zone_share,
        cells=found,
        complete=recording.complete,
        sentence=_sentence(design, metric, found),
    )


def cell_of(recording: Recording, place: tuple[float, float]) -> CrossoverCell:
    """One cell as its own pairs have it, before Holm's adjustment."""
    metric = metric_of(recording.experiment["grid"]["metric"])
    return _cell(recording.path, grid_of(recording), *place, design=recording.design, metric=metric)


def _cell(
    folder: Path, grid: Grid, value: float, rate_per_s: float, *, design: Design, metric: Metric
) -> CrossoverCell:
    inner = grid.folder(value, rate_per_s)
    empty = CrossoverCell(
        value=value,
        rate_per_s=rate_per_s,
        word="undecided",
        ratio=math.nan,
        low=math.nan,
        high=math.nan,
        pairs=0,
        void_pairs=0,
        more_pairs=None,
        p_value=math.nan,
        p_holm=math.nan,
        detectable_share=math.nan,
        bottleneck="",
        baseline_bottleneck="",
        measured=False,
        path=inner,
    )
    if not (folder / inner / "experiment.json").is_file():
        return empty
    recording = Recording.open(folder / inner)
    runs = recording.runs
    lane = design.arms[0]
    pairs = pairs_of(runs, arm=lane, metric=metric.name, design=recording.design)
    if pairs is None:
        return empty
    verdict = judge(pairs, arm=lane, metric=metric, design=recording.design)
    shared: dict[str, Any] = {
        name: getattr(verdict, name)
        for name in (
            "word", "ratio", "low", "high", "pairs", "void_pairs", "more_pairs", "p_value",
            "detectable_share",
        )
    }  # fmt: skip
    return replace(
        empty,
        **shared,
        bottleneck=_bottleneck(runs, lane),
        baseline_bottleneck=_bottleneck(runs, design.baseline),
        measured=recording.complete,
    )


def _bottleneck(runs: "pd.DataFrame", arm: str) -> str:
    valid = runs[(runs["arm"] == arm) & ~runs["void"].astype(bool)]
    return str(mode(valid["bottleneck"])) if len(valid) else ""


def _sentence(design: Design, metric: Metric, cells: Sequence[CrossoverCell]) -> str:
    measured = [cell for cell in cells if cell.measured]
    words = Counter(cell.word for cell in measured)
    counts = ", ".join(f"{word} in {count}" for word, count in words.most_common())
    return (
        f"{design.arms[0]} beside {design.baseline} on {metric.title}, {len(measured)} of {len(cells)} "
        f"cells measured: {counts or 'nothing to say yet'}."
    )
