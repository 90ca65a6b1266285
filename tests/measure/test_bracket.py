"""From the runs of a search to brackets, bottlenecks and sentences."""

import math
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest

from labcore.measure.bracket import capacity_results
from labcore.measure.record import (
    REQUEST_COLUMNS,
    SAMPLE_COLUMNS,
    CapacityResult,
    Design,
    RunRow,
)
from labcore.measure.recording import Recording
from labcore.measure.search import Ladder

DESIGN = Design(
    scenario="shop",
    baseline="threads",
    arms=(),
    rate_per_s=50.0,
    duration_s=1.0,
    warmup_s=0.0,
    pairs=1,
    arrivals="poisson",
    seed=3,
)
LADDER = Ladder(lowest_per_s=10, highest_per_s=160, start_per_s=20, steps_per_doubling=1)
REQUESTS = pd.DataFrame({name: [1] for name in REQUEST_COLUMNS}).assign(outcome="ok")
SAMPLES = pd.DataFrame([(0.0, "server", "x", 1.0)], columns=list(SAMPLE_COLUMNS))
FIGURES = {"p": 50.0, "f": 900.0, "v": 50.0}


def result(folder: Path, row: RunRow, tries: Sequence[tuple[int, str]]) -> CapacityResult:
    """The result of runs at rungs: each letter a run that passes, fails or is void."""
    facts = {"objective": "p99<250ms,errors<1%", "ladder": asdict(LADDER)}
    recording = Recording.create(folder / "run", DESIGN, {}, kind="capacity", facts=facts)
    for rung, letters in tries:
        for attempt, letter in enumerate(letters, 1):
            run = replace(
                row,
                run=f"r{rung}{attempt}",
                block=rung,
                attempt=attempt,
                p99_ms=FIGURES[letter] + attempt,
                bottleneck="worker pool" if letter == "f" else "none",
                evidence="Forty of forty." if letter == "f" else "Nothing was full.",
                void=letter == "v",
            )
            recording.add_run(run, samples=SAMPLES, requests=REQUESTS)
    return capacity_results(Recording.open(recording.path))[0]


def test_a_confirmed_gap_is_the_bracket_with_its_bottleneck(tmp_path: Path, healthy_row: RunRow):
    found = result(tmp_path, healthy_row, [(1, "p"), (2, "ppp"), (3, "ff")])
    assert found.state == "bracketed"
    assert (found.highest_passing_per_s, found.lowest_failing_per_s) == (40.0, 80.0)
    assert (found.bottleneck, found.evidence) == ("worker pool", "Forty of forty.")
    assert found.sentence == (
        "threads: 40/s keep p99<250ms,errors<1%, 80/s do not "
        "(p99 902 ms, errors 0.00%, bottleneck: worker pool)."
    )


def test_points_tell_every_rate_that_was_tried(tmp_path: Path, healthy_row: RunRow):
    found = result(tmp_path, healthy_row, [(1, "p"), (2, "ppp"), (3, "vff")])
    assert [(point.rate_per_s, point.state) for point in found.points] == [
        (20.0, "unconfirmed"),
        (40.0, "passed"),
        (80.0, "failed"),
    ]
    assert [point.p99_ms for point in found.points] == [51.0, 52.0, 902.5]
    assert (found.points[2].fails, found.points[2].voids) == (2, 1)
    assert found.points[2].runs == ("r31", "r32", "r33")


@pytest.mark.parametrize(
    ("tries", "state", "said"),
    [
        ([(4, "ppp")], "above the range", "the highest rate that was offered"),
        ([(0, "ff")], "below the range", "no rate keeps p99<250ms"),
        ([(2, "ppp"), (3, "vvv")], "void", "came out void"),
        (
            [(2, "ppp"), (3, "f")],
            "interrupted",
            "40/s keep p99<250ms,errors<1%; the search was cut",
        ),
        ([(1, "p")], "interrupted", "no rate was shown to keep"),
        ([], "interrupted", "cut short"),
    ],
)
def test_what_was_not_found_is_said(
    tmp_path: Path, healthy_row: RunRow, tries: list[tuple[int, str]], state: str, said: str
):
    found = result(tmp_path, healthy_row, tries)
    assert found.state == state
    assert said in found.sentence


def test_a_void_rate_has_no_figures(tmp_path: Path, healthy_row: RunRow):
    found = result(tmp_path, healthy_row, [(1, "vvv")])
    point = found.points[0]
    assert (point.state, point.bottleneck) == ("void", "")
    assert math.isnan(point.p99_ms)


def test_one_bad_run_of_three_widens_the_bracket(tmp_path: Path, healthy_row: RunRow):
    found = result(tmp_path, healthy_row, [(1, "ppp"), (2, "fpp"), (3, "ff")])
    assert (found.highest_passing_per_s, found.lowest_failing_per_s) == (20.0, 80.0)
