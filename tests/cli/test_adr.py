"""`labcore adr` on a small recording, through the command line as a user types it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from labcore.measure import Design, Recording
from labcore.measure.verdict import Verdict

DESIGN = Design("checkout", "reactive", ("virtual",), 100.0, 4.0, 1.0, 6, "poisson", 1)
CHEAPER = Verdict(
    arm="virtual", baseline="reactive", metric="cpu_per_request_us", word="faster", ratio=0.5,
    low=0.45, high=0.55, t_low=0.45, t_high=0.55, pairs=6, void_pairs=0, zone_share=0.05,
    more_pairs=None, better="lower", sentence="virtual: CPU per request is half.",
)  # fmt: skip


@pytest.fixture
def run(tmp_path: Path) -> Path:
    recording = Recording.create(tmp_path / "run", DESIGN, {}, command="labcore compare checkout")
    recording.save_verdicts([CHEAPER])
    recording.finish(complete=True)
    return recording.path


def labcore(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "labcore", "adr", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_record_is_written_beside_the_recording_and_said(run: Path):
    done = labcore(run)
    assert done.returncode == 0, done.stderr
    assert "Chosen option: `virtual`" in done.stdout
    assert "Chosen option: `virtual`" in (run / "adr.md").read_text(encoding="utf-8")


def test_json_says_what_was_decided(run: Path, tmp_path: Path):
    done = labcore(run, "--weight", "cpu_per_request_us=3", "--out", tmp_path / "a.md", "--json")
    assert json.loads(done.stdout) == {
        "adr": str(tmp_path / "a.md"),
        "state": "decided",
        "lane": "virtual",
    }


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--weight", "p99_ms"], "--weight 'p99_ms' is not key=value"),
        (["--weight", "p99_ms=much"], "'much' is no number"),
        (["--weight", "p99_ms=1"], "no verdict on 'p99_ms'"),
        (["--objective", "fast"], "objective 'fast'"),
    ],
)
def test_bad_input_is_one_clear_line(run: Path, arguments: list[str], told: str):
    done = labcore(run, *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr
    assert not (run / "adr.md").exists()
