"""What a script holds in its hands after a search or a map, and after opening one of last week."""

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from pathlib import Path

import pandas as pd
import pytest

from labcore import CapacitySearch, CrossoverMap, Result, load_run
from labcore.faces import RESULT_MIME
from labcore.measure import REQUEST_COLUMNS, SAMPLE_COLUMNS, Design, Ladder, Recording, RunRow

DESIGN = Design(
    scenario="checkout",
    baseline="reactive",
    arms=("threads",),
    rate_per_s=20.0,
    duration_s=1.0,
    warmup_s=0.0,
    pairs=6,
    arrivals="poisson",
    seed=3,
)
VALUES = {str: "none", int: 3, float: 1.5, bool: False}
REQUESTS = pd.DataFrame({name: [1] for name in REQUEST_COLUMNS}).assign(outcome="ok")
SAMPLES = pd.DataFrame([(0.0, "server", "x", 1.0)], columns=list(SAMPLE_COLUMNS))


def add(recording: Recording, arm: str, *, block: int, attempt: int = 1, p99_ms: float) -> None:
    """A run of plain figures; only its p99 matters."""
    figures: dict[str, object] = {
        field.name: VALUES[field.type] if isinstance(field.type, type) else {"ok": 3}
        for field in fields(RunRow)
    }
    figures |= {
        "run": f"{arm}{block}{attempt}",
        "arm": arm,
        "lane": arm,
        "block": block,
        "attempt": attempt,
        "p99_ms": p99_ms,
        "error_share": 0.0,
    }
    row = RunRow(**figures)  # type: ignore[arg-type]  # built by type
    recording.add_run(row, samples=SAMPLES, requests=REQUESTS)


@pytest.fixture
def searched(tmp_path: Path) -> Path:
    """`reactive` holds 40/s and breaks at 80/s; `threads` was hardly begun."""
    ladder = Ladder(lowest_per_s=10, highest_per_s=160, start_per_s=20, steps_per_doubling=1)
    facts = {"objective": "p99<250ms,errors<1%", "ladder": asdict(ladder)}
    recording = Recording.create(tmp_path / "search", DESIGN, {}, kind="capacity", facts=facts)
    tries: Sequence[tuple[int, list[float]]] = [(1, [9.0]), (2, [9.0] * 3), (3, [900.0] * 2)]
    for rung, latencies in tries:
        for attempt, p99_ms in enumerate(latencies, 1):
            add(recording, "reactive", block=rung, attempt=attempt, p99_ms=p99_ms)
    add(recording, "threads", block=1, p99_ms=9.0)
    recording.finish(complete=False)
    return recording.path


@pytest.fixture
def mapped(tmp_path: Path) -> Path:
    """Of two waits at one rate one was measured: there `threads` takes twice as long."""
    grid = {"parameter": "payment_ms", "values": [0, 20], "rates_per_s": [50]}
    facts = {"grid": {**grid, "metric": "p99_ms", "unit": "ms"}}
    whole = Recording.create(tmp_path / "map", DESIGN, {}, kind="crossover", facts=facts)
    cell = Recording.create(whole.path / "cells" / "payment_ms_20_rate_50", DESIGN, {})
    for block in range(6):
        add(cell, "reactive", block=block, p99_ms=40.0 + block)
        add(cell, "threads", block=block, p99_ms=80.0 + 2 * block)
    cell.finish(complete=True)
    return whole.path


def test_a_recording_opens_with_the_face_of_its_kind(searched: Path, mapped: Path):
    assert type(load_run(searched)) is CapacitySearch
    assert type(load_run(mapped)) is CrossoverMap
    cell = load_run(mapped / "cells" / "payment_ms_20_rate_50")
    assert type(cell) is Result
    assert cell.summary()["kind"] == "compare"


def test_brackets_are_a_row_a_lane_and_points_a_row_a_rate(searched: Path):
    found = load_run(searched)
    assert isinstance(found, CapacitySearch)
    brackets = found.brackets.set_index("lane")
    assert brackets.loc["reactive", "highest_passing_per_s"] == 40
    assert brackets.loc["reactive", "lowest_failing_per_s"] == 80
    assert brackets["state"].to_dict() == {"reactive": "bracketed", "threads": "interrupted"}
    points = found.points[found.points["lane"] == "reactive"]
    assert points["rate_per_s"].tolist() == [20, 40, 80]
    assert points["state"].tolist() == ["unconfirmed", "passed", "failed"]


def test_the_map_is_a_row_a_value_and_a_column_a_rate(mapped: Path):
    found = load_run(mapped)
    assert isinstance(found, CrossoverMap)
    assert found.words.loc[20, 50] == "slower"
    assert found.words.loc[0, 50] == "undecided"
    cells = found.cells.set_index("value")
    assert cells.loc[20, "ratio"] == pytest.approx(2.0)
    assert cells["measured"].to_dict() == {0: False, 20: True}


def test_the_runs_of_a_map_are_those_of_its_cells(mapped: Path):
    runs = load_run(mapped).runs
    assert len(runs) == 12
    assert set(runs["value"]) == {20}


def test_summaries_are_plain_enough_for_a_notebook(searched: Path, mapped: Path):
    for path, kind in ((searched, "capacity"), (mapped, "crossover")):
        bundle = load_run(path)._repr_mimebundle_()
        summary = bundle[RESULT_MIME]
        json.dumps(summary, allow_nan=False)
        assert (summary["kind"], summary["status"]) == (kind, "partial")
        assert "<table" in bundle["text/html"]


def test_a_terminal_gets_sentences(
    searched: Path, mapped: Path, capsys: pytest.CaptureFixture[str]
):
    load_run(searched).print()
    said = " ".join(capsys.readouterr().out.split())
    assert "reactive: 40/s keep p99<250ms,errors<1%, 80/s do not" in said
    assert "threads: no rate was shown to keep" in said
    load_run(mapped).print()
    said = " ".join(capsys.readouterr().out.split())
    assert "rows: payment_ms (ms); columns: requests/s" in said
    assert "20 slower" in said
    assert "1 of 2 cells measured: slower in 1" in said
