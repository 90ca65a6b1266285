"""The synthetic study is labelled, its analysis is the real one, and its report stays small."""

from pathlib import Path

import pandas as pd
import pytest

from labcore.cli.bench import scale
from labcore.kernel import PeerError
from labcore.measure import CONTROL, Recording

MOST_BYTES = 3_000_000


def test_what_was_made_up_says_so(tmp_path: Path):
    recording = scale.synthesise(tmp_path / "run", scale._Study(pairs=1, requests_a_run=200))
    assert recording.design.scenario == "synthetic"
    assert "nothing was measured" in recording.experiment["environment"]["synthetic"]
    assert set(recording.runs["arm"]) == {*scale.LANES, CONTROL}


@pytest.mark.timeout(90)
def test_rows_and_verdicts_come_from_the_raw_requests(tmp_path: Path):
    recording = scale.synthesise(tmp_path / "run", scale._Study(pairs=6, requests_a_run=400))
    again = pd.DataFrame([scale._recomputed(recording, r) for r in recording.runs.itertuples()])
    pd.testing.assert_frame_equal(again, recording.runs, check_dtype=False)
    steps = scale.analyse(recording.path)
    assert [step["step"] for step in steps] == ["rows from raw requests", "verdicts", "report"]
    words = {(v.arm, v.metric): v.word for v in Recording.open(recording.path).verdicts}
    assert words["threads", "p50_ms"] == "slower"  # drawn with twice the median
    assert words[CONTROL, "p50_ms"] == "equal in practice"


@pytest.mark.timeout(120)
def test_the_report_of_a_full_comparison_stays_small(tmp_path: Path):
    """Twenty pairs of four lanes and the control, 2,000 requests a run: every chart at its fullest."""
    recording = scale.synthesise(tmp_path / "run", scale._Study(pairs=20, requests_a_run=2_000))
    scale.analyse(recording.path)
    assert (recording.path / "report.html").stat().st_size < MOST_BYTES


def test_a_child_that_fails_is_told_with_its_last_words(tmp_path: Path):
    with pytest.raises(PeerError, match="there is no recording"):
        scale._in_child(tmp_path / "nowhere")
