"""What may go on, and what stops it: another machine, another kind, an end already reached."""

from pathlib import Path
from typing import Any

import pytest

from labcore.kernel import UsageError
from labcore.lanes import ForeignLane
from labcore.measure.design import LaneChoice
from labcore.measure.environment import fingerprint
from labcore.measure.record import Design
from labcore.measure.recording import Recording
from labcore.measure.reopening import differences, lane_texts, recorded_lanes, reopen

DESIGN = Design(
    scenario="shop",
    baseline="reactive",
    arms=("mine",),
    rate_per_s=50.0,
    duration_s=1.0,
    warmup_s=0.0,
    pairs=6,
    arrivals="poisson",
    seed=1,
)


def unfinished(folder: Path, **changes: Any) -> Recording:
    environment = fingerprint()
    for room, facts in changes.items():
        environment[room] = environment[room] | facts
    return Recording.create(folder / "run", DESIGN, environment)


def test_on_the_same_machine_it_goes_on_and_says_so(tmp_path: Path):
    path = unfinished(tmp_path).path
    again = reopen(path, "compare", force=True)
    assert again.design == DESIGN
    assert Recording.open(path).experiment["resumed"][0]["runs_before"] == 0


def test_another_version_is_named_and_refused(tmp_path: Path):
    path = unfinished(tmp_path, packages={"uvicorn": "0.1"}, machine={"cores": 999}).path
    with pytest.raises(UsageError, match=r"cores was 999, is \d+.*packages uvicorn was '0\.1'"):
        reopen(path, "compare")
    assert "resumed" not in Recording.open(path).experiment


def test_forcing_records_the_difference(tmp_path: Path):
    path = unfinished(tmp_path, packages={"uvicorn": "0.1"}).path
    reopen(path, "compare", force=True)
    note = Recording.open(path).experiment["resumed"][0]
    assert any("packages uvicorn was '0.1'" in difference for difference in note["differences"])


def test_what_passes_within_minutes_is_no_difference():
    present = fingerprint()
    earlier = present | {
        "machine": present["machine"] | {"load_average_before": [9.0, 9.0, 9.0]},
        "code": present["code"] | {"changed": not present["code"]["changed"]},
    }
    assert list(differences(earlier, present)) == []


def test_a_package_that_came_or_went_is_a_difference():
    found = list(differences({"packages": {"uvloop": "1"}}, {"packages": {"greenlet": "2"}}))
    assert found == ["packages greenlet was None, is '2'", "packages uvloop was '1', is None"]


def test_another_kind_of_experiment_is_refused(tmp_path: Path):
    path = unfinished(tmp_path).path
    with pytest.raises(UsageError, match="is a recording of 'compare', not of 'capacity'"):
        reopen(path, "capacity")


def test_what_is_complete_is_refused(tmp_path: Path):
    recording = unfinished(tmp_path)
    recording.finish(complete=True)
    with pytest.raises(UsageError, match="nothing to resume"):
        reopen(recording.path, "compare")


def test_lanes_come_back_as_they_were_written(tmp_path: Path):
    chosen: dict[str, LaneChoice] = {
        "reactive": "reactive",
        "mine": ForeignLane("mine", command="serve {port}"),
    }
    recording = Recording.create(tmp_path / "run", DESIGN, {}, facts={"lanes": lane_texts(chosen)})
    assert recorded_lanes(recording) == chosen


def test_older_recordings_knew_only_our_own_lanes(tmp_path: Path):
    recording = Recording.create(tmp_path / "run", DESIGN, {})
    assert recorded_lanes(recording) == {"reactive": "reactive", "mine": "mine"}
