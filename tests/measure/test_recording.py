"""The record on disk: what was written comes back, nothing half-written counts."""

import json
import math
from dataclasses import fields, replace
from pathlib import Path

import pandas as pd
import pytest

from labcore.kernel import UsageError
from labcore.measure.record import REQUEST_COLUMNS, SAMPLE_COLUMNS, Design, RunRow
from labcore.measure.recording import Recording
from labcore.measure.verdict import Verdict

DESIGN = Design(
    scenario="checkout",
    baseline="reactive",
    arms=("threads", "virtual"),
    rate_per_s=150.0,
    duration_s=4.0,
    warmup_s=1.0,
    pairs=6,
    arrivals="poisson",
    seed=7,
    parameters={"payment_ms": 20, "outage": False, "note": "x", "share": 0.5},
)
VERDICT = Verdict(
    arm="threads",
    baseline="reactive",
    metric="p50_ms",
    word="undecided",
    ratio=1.02,
    low=math.nan,
    high=math.nan,
    t_low=0.9,
    t_high=1.1,
    pairs=3,
    void_pairs=1,
    zone_share=0.05,
    more_pairs=3,
    better="lower",
    sentence="too few pairs",
)
VALUES = {str: "text", int: 3, float: 1.5, bool: False}


def row(run: str = "r0001") -> RunRow:
    values = {
        field.name: VALUES[field.type] if isinstance(field.type, type) else {"ok": 2, "timeout": 1}
        for field in fields(RunRow)
    }
    return replace(RunRow(**values), run=run, rss_peak_mb=math.nan)  # type: ignore[arg-type]  # built by type


def requests() -> pd.DataFrame:
    numbers = pd.DataFrame({name: [1, 2] for name in REQUEST_COLUMNS})
    return numbers.assign(outcome=["ok", "timeout"])


def samples() -> pd.DataFrame:
    rows = [(0.1, "server", "cpu_s", 1.0), (0.2, "machine", "steal_share", 0.0)]
    return pd.DataFrame(rows, columns=list(SAMPLE_COLUMNS))


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    return Recording.create(tmp_path / "run", DESIGN, {"cores": 2}, command="labcore compare")


def test_a_reopened_recording_holds_what_was_written(recording: Recording):
    recording.add_run(row(), requests=requests(), samples=samples())
    recording.add_run(row("r0002"), requests=requests(), samples=samples())
    recording.save_verdicts([VERDICT])
    recording.finish(complete=True)

    again = Recording.open(recording.path)

    assert again.design == DESIGN
    assert again.experiment == recording.experiment
    assert again.experiment["status"] == "complete"
    pd.testing.assert_frame_equal(again.runs, recording.runs)
    assert list(again.runs.columns) == [field.name for field in fields(RunRow)]
    assert again.runs["outcomes"].iat[1] == {"ok": 2, "timeout": 1}
    assert again.runs["rss_peak_mb"].isna().all()
    assert list(again.requests("r0002").columns) == list(REQUEST_COLUMNS)
    assert again.requests("r0001")["outcome"].tolist() == ["ok", "timeout"]
    assert again.samples("r0001")["value"].tolist() == [1.0, 0.0]
    assert repr(again.verdicts) == repr([VERDICT])  # NaN differs from itself, its text does not


def test_integers_keep_the_widths_the_record_promises(recording: Recording):
    recording.add_run(row(), requests=requests(), samples=samples())
    dtypes = recording.requests("r0001").dtypes.astype(str).to_dict()
    promised = {name: kind for name, kind in REQUEST_COLUMNS.items() if kind != "string"}
    assert {name: dtypes[name] for name in promised} == promised


def test_a_new_recording_opens_as_partial_and_empty(recording: Recording):
    again = Recording.open(recording.path)
    assert again.experiment["status"] == "partial"
    assert again.experiment["finished_at"] is None
    assert again.runs.empty
    assert list(again.runs.columns) == [field.name for field in fields(RunRow)]
    assert again.verdicts == []


def test_requests_without_their_row_do_not_count(recording: Recording):
    requests().to_parquet(recording.requests_path("r0001"))
    again = Recording.open(recording.path)
    assert again.runs.empty
    with pytest.raises(UsageError, match="no run 'r0001'"):
        again.requests("r0001")


def test_a_run_is_stored_once(recording: Recording):
    recording.add_run(row(), requests=requests(), samples=samples())
    with pytest.raises(UsageError, match="recorded already"):
        recording.add_run(row(), requests=requests(), samples=samples())


def test_a_run_whose_requests_nobody_wrote_is_refused(recording: Recording):
    with pytest.raises(UsageError, match="has no requests"):
        recording.add_run(row(), samples=samples())
    assert recording.runs.empty


def test_a_missing_column_is_named(recording: Recording):
    with pytest.raises(UsageError, match="'metric' is missing"):
        recording.add_run(row(), requests=requests(), samples=samples().drop(columns="metric"))
    assert recording.runs.empty


def test_nothing_temporary_stays_behind(recording: Recording):
    recording.add_run(row(), requests=requests(), samples=samples())
    recording.save_verdicts([VERDICT])
    assert [path for path in recording.path.rglob("*") if path.name.startswith(".")] == []


def test_the_json_files_are_strict_json(recording: Recording):
    recording.save_verdicts([VERDICT])

    def refuse(word: str) -> float:
        raise AssertionError(f"{word} is no JSON")

    text = (recording.path / "verdict.json").read_text()
    assert json.loads(text, parse_constant=refuse)[0]["low"] is None


def test_an_occupied_directory_is_refused(tmp_path: Path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match="is not empty"):
        Recording.create(tmp_path, DESIGN, {})
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_file_in_the_way_is_refused(tmp_path: Path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(UsageError, match="is not empty"):
        Recording.create(tmp_path / "run", DESIGN, {})


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", "not json", '{"format": "labcore experiment"}']
)
def test_a_directory_of_something_else_is_refused(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "experiment.json").write_text(content)
    with pytest.raises(UsageError):
        Recording.open(tmp_path)


def test_a_missing_directory_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="there is no recording"):
        Recording.open(tmp_path / "nowhere")


def test_another_schema_version_is_refused(recording: Recording):
    path = recording.path / "experiment.json"
    path.write_text(path.read_text().replace('"schema_version": 1', '"schema_version": 99'))
    with pytest.raises(UsageError, match="schema version 99"):
        Recording.open(recording.path)
