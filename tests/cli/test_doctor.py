"""The doctor's command on this very machine."""

import json
import subprocess
import sys
from pathlib import Path

import labcore


def doctor(*arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labcore", "doctor", *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )


def test_the_findings_are_one_json_document_and_decide_the_exit_code(tmp_path: Path):
    result = doctor("--json", cwd=tmp_path)
    document = json.loads(result.stdout)
    severities = {finding["severity"] for finding in document["findings"]}
    assert severities <= {"fine", "doubtful", "bad", "unknown"}
    assert document["bad"] == ("bad" in severities)
    assert result.returncode == (1 if document["bad"] else 0)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_sees_every_fact_with_its_verdict(tmp_path: Path):
    result = doctor(cwd=tmp_path)
    assert result.stderr == ""
    assert "cores" in result.stdout
    assert "clock source" in result.stdout


def test_the_same_is_a_call_that_gives_a_table():
    table = labcore.doctor()
    assert list(table.columns) == ["name", "value", "severity", "why", "remedy"]
    assert table["name"].is_unique
