"""Ctrl-C leaves what was measured, and `--resume` goes on from there."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SHORT = ["--lanes", "exact,tenth", "--rate", "50", "--duration", "0.3", "--pairs", "2"]


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    """The command with a machine-wide lock of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "labcore", *arguments],
        cwd=cwd,
        env=os.environ | {"TMPDIR": str(cwd)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_an_interrupted_comparison_goes_on_from_the_command_line(tmp_path: Path):
    out = tmp_path / "run"
    with start("compare", "calibration", *SHORT, "--out", str(out), cwd=tmp_path) as process:
        assert process.stderr is not None
        line = "begin"
        while line and "planned" not in line:  # told once the first block is measured
            line = process.stderr.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert "kept in" in errors.strip().splitlines()[-1]
    assert json.loads((out / "experiment.json").read_text())["status"] == "partial"

    with start("compare", "--resume", str(out), "--force", "--json", cwd=tmp_path) as process:
        answer, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    summary = json.loads(answer)
    assert summary["status"] == "complete"
    assert {verdict["arm"] for verdict in summary["verdicts"]} == {"tenth", "control"}

    with start("capacity", "--resume", str(out), cwd=tmp_path) as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "use labcore compare --resume" in errors
