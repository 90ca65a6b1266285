"""From the recordings of cells to the map: words, adjusted p-values, what is missing."""

import math
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from labcore.kernel import UsageError
from labcore.measure.cells import crossover_result, metric_of
from labcore.measure.grid import Grid
from labcore.measure.record import (
    REQUEST_COLUMNS,
    SAMPLE_COLUMNS,
    CrossoverResult,
    Design,
    RunRow,
)
from labcore.measure.recording import Recording

DESIGN = Design(
    scenario="shop",
    baseline="reactive",
    arms=("threads",),
    rate_per_s=50.0,
    duration_s=1.0,
    warmup_s=0.0,
    pairs=6,
    arrivals="poisson",
    seed=3,
)
GRID = Grid("payment_ms", (0.0, 20.0), (50.0, 100.0))
REQUESTS = pd.DataFrame({name: [1] for name in REQUEST_COLUMNS}).assign(outcome="ok")
SAMPLES = pd.DataFrame([(0.0, "server", "x", 1.0)], columns=list(SAMPLE_COLUMNS))


def crossover(folder: Path) -> Recording:
    facts = {"grid": {**asdict(GRID), "metric": "p99_ms", "unit": "ms"}}
    return Recording.create(folder / "map", DESIGN, {}, kind="crossover", facts=facts)


def add_cell(
    whole: Recording,
    row: RunRow,
    *,
    place: int,
    ratio: float,
    blocks: int = 6,
    complete: bool = True,
) -> None:
    """A cell in which the lane's p99 is so many times the baseline's."""
    path = whole.path / GRID.folder(*GRID.places[place])
    cell = Recording.create(path, DESIGN, {})
    for block in range(blocks):
        for arm, factor in (("reactive", 1.0), ("threads", ratio)):
            run = replace(
                row,
                run=f"{arm}{block}",
                block=block,
                arm=arm,
                p99_ms=factor * (40.0 + block),
                bottleneck="worker pool" if arm == "threads" else "none",
            )
            cell.add_run(run, samples=SAMPLES, requests=REQUESTS)
    cell.finish(complete=complete)


@pytest.fixture
def found(tmp_path: Path, healthy_row: RunRow) -> CrossoverResult:
    whole = crossover(tmp_path)
    add_cell(whole, healthy_row, place=0, ratio=0.5)
    add_cell(whole, healthy_row, place=1, ratio=2.0)
    add_cell(whole, healthy_row, place=2, ratio=1.0, blocks=3, complete=False)
    return crossover_result(Recording.open(whole.path))


def test_each_cell_has_the_word_of_its_pairs(found: CrossoverResult):
    assert [cell.word for cell in found.cells] == ["faster", "slower", "undecided", "undecided"]
    assert [cell.measured for cell in found.cells] == [True, True, False, False]
    assert [cell.pairs for cell in found.cells] == [6, 6, 3, 0]
    assert found.cells[0].ratio == pytest.approx(0.5)


def test_a_cell_not_reached_says_nothing(found: CrossoverResult):
    last = found.cells[-1]
    assert (last.value, last.rate_per_s, last.bottleneck) == (20.0, 100.0, "")
    assert math.isnan(last.ratio)
    assert last.more_pairs is None


def test_bottlenecks_of_both_lanes_are_named(found: CrossoverResult):
    first = found.cells[0]
    assert (first.bottleneck, first.baseline_bottleneck) == ("worker pool", "none")


def test_p_values_are_adjusted_over_the_cells(found: CrossoverResult):
    assert found.cells[0].p_value == pytest.approx(2 / 64)
    assert found.cells[0].p_holm == pytest.approx(3 * 2 / 64)


def test_the_map_says_what_it_is_of(found: CrossoverResult):
    assert (found.parameter, found.unit, found.metric, found.better) == (
        "payment_ms",
        "ms",
        "p99_ms",
        "lower",
    )
    assert (found.values, found.rates_per_s) == ((0.0, 20.0), (50.0, 100.0))
    assert found.zone_share == pytest.approx(0.10)
    assert not found.complete
    assert found.sentence == (
        "threads beside reactive on p99 latency, 2 of 4 cells measured: faster in 1, slower in 1."
    )


def test_every_cell_leads_to_its_own_recording(found: CrossoverResult):
    assert found.cells[1].path == "cells/payment_ms_0_rate_100"


def test_a_metric_that_is_none_is_named():
    with pytest.raises(UsageError, match="no metric 'speed'; there are: p50_ms, p99_ms"):
        metric_of("speed")
