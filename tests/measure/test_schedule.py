"""Which lanes go on after a look, and that a walk cut short goes on where it stopped."""

from dataclasses import replace
from pathlib import Path
from threading import Event
from typing import Any, cast

import pandas as pd
import pytest

from labcore.kernel import InterruptedRunError
from labcore.measure.blocks import Slot
from labcore.measure.record import CONTROL, REQUEST_COLUMNS, SAMPLE_COLUMNS, Design, RunRow
from labcore.measure.recording import Recording
from labcore.measure.run import Events, Runner
from labcore.measure.schedule import Schedule

DESIGN = Design(
    scenario="shop",
    baseline="even",
    arms=("twice", "noisy"),
    rate_per_s=50.0,
    duration_s=1.0,
    warmup_s=0.0,
    pairs=20,
    arrivals="poisson",
    seed=3,
    looks=(10, 20),
)
REQUESTS = pd.DataFrame({name: [1] for name in REQUEST_COLUMNS}).assign(outcome="ok")
SAMPLES = pd.DataFrame([(0.0, "server", "x", 1.0)], columns=list(SAMPLE_COLUMNS))


class Known:
    """Stands where servers run: `twice` needs double of everything, `noisy` wavers about it all."""

    def __init__(self, path: Path, row: RunRow, *, stop_after: int = 0) -> None:
        made = not path.exists()
        self.design = DESIGN
        self.recording = Recording.create(path, DESIGN, {}) if made else Recording.open(path)
        self.lanes = {"even": "even", "twice": "twice", "noisy": "noisy", CONTROL: "even"}
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.events = Events(lambda kind, payload: self.told.append((kind, payload)))
        self.cancelled = Event()
        self._row = row
        self._left = stop_after

    def run(self, slot: Slot, *, name: str, attempt: int) -> RunRow:
        """A run whose figures are known beforehand."""
        factor = {"twice": 2.0, "noisy": 4.0 if slot.block % 2 else 0.25}.get(slot.arm, 1.0)
        grown = {
            figure: factor * getattr(self._row, figure)
            for figure in (
                "p50_ms",
                "p99_ms",
                "cpu_per_request_us",
                "rss_peak_mb",
                "achieved_per_s",
            )
        }
        place = {"block": slot.block, "arm": slot.arm, "lane": slot.arm, "seed": slot.seed}
        figures: dict[str, Any] = place | grown
        row = replace(self._row, run=name, attempt=attempt, **figures)
        self.recording.add_run(row, samples=SAMPLES, requests=REQUESTS)
        self._left -= 1
        if self._left == 0:
            self.cancelled.set()
        return row


def walk(known: Known) -> Known:
    Schedule(cast("Runner", known), repeats=0).run()
    return known


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, healthy_row: RunRow) -> Known:
    return walk(Known(tmp_path_factory.mktemp("whole") / "run", healthy_row))


def counts(known: Known) -> dict[str, int]:
    return {
        str(arm): int(count) for arm, count in known.recording.runs["arm"].value_counts().items()
    }


def test_a_decided_lane_rests_while_the_others_go_on(whole: Known):
    assert counts(whole) == {"twice": 10, "noisy": 20, "even": 20, CONTROL: 20}


def test_a_look_is_told_and_kept(whole: Known):
    looks = [payload for kind, payload in whole.told if kind == "look"]
    assert [(look["pairs"], look["decided"], look["open"]) for look in looks] == [
        (10, ["twice"], ["noisy"])
    ]
    kept = [{"pairs": 10, "decided": ["twice"], "open": ["noisy"]}]
    assert whole.recording.experiment["looks_taken"] == kept
    said = [payload["message"] for kind, payload in whole.told if kind == "notice"]
    assert any("look at 10 pairs: twice decided, noisy to go on" in message for message in said)


def test_the_plan_shrinks_when_a_lane_rests(whole: Known):
    planned = [payload["planned"] for kind, payload in whole.told if kind == "run_finished"]
    assert (planned[0], planned[-1]) == (80, 70)


def test_the_projection_is_the_longest_and_names_the_look(whole: Known):
    said = [payload["message"] for kind, payload in whole.told if kind == "notice"]
    assert "80 runs planned, at most about" in said[0]
    assert "the look at 10 pairs" in said[0]


@pytest.mark.parametrize("stop_after", [3, 8, 41, 44])
def test_a_walk_cut_short_goes_on_as_if_it_had_never_stopped(
    tmp_path: Path, healthy_row: RunRow, whole: Known, stop_after: int
):
    path = tmp_path / "run"
    with pytest.raises(InterruptedRunError):
        walk(Known(path, healthy_row, stop_after=stop_after))
    resumed = walk(Known(path, healthy_row)).recording
    columns = ["block", "arm", "seed", "p50_ms"]
    kept = resumed.runs[~resumed.runs["void"].astype(bool)][columns].reset_index(drop=True)
    pd.testing.assert_frame_equal(kept, whole.recording.runs[columns])
    assert resumed.experiment["looks_taken"] == whole.recording.experiment["looks_taken"]


def test_it_ends_when_every_lane_is_decided(tmp_path: Path, healthy_row: RunRow):
    known = Known(tmp_path / "run", healthy_row)
    known.design = replace(DESIGN, arms=("twice",))
    del known.lanes["noisy"]
    assert counts(walk(known)) == {"twice": 10, "even": 10, CONTROL: 10}


def test_a_control_alone_is_a_claim_of_its_own(tmp_path: Path, healthy_row: RunRow):
    known = Known(tmp_path / "run", healthy_row)
    known.design = replace(DESIGN, arms=())
    known.lanes = {"even": "even", CONTROL: "even"}
    assert counts(walk(known)) == {"even": 10, CONTROL: 10}
