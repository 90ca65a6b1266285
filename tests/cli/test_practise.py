"""`labcore practise`: the way of an exercise from the list to passed, on a terminal."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from labcore.learn import exercise


def practise(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labcore", "practise", *arguments],
        cwd=home,
        env=os.environ | {"LABCORE_DATA": str(home / "data")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.timeout(120)
def test_an_exercise_is_started_checked_and_passed(tmp_path: Path):
    started = practise("start", "zip", "--to", "mine", home=tmp_path)
    assert started.returncode == 0, started.stderr
    file = tmp_path / "mine" / "zip.py"
    assert file.read_text().startswith("# Price and discount, both at once\n")

    untouched = practise("check", "mine/zip.py", home=tmp_path)
    assert (untouched.returncode, untouched.stderr) == (1, "")
    assert "not started" in untouched.stdout

    wrong = next(one for one in exercise("zip").wrong if one.name == "one_after_the_other")
    file.write_text(wrong.source)
    checked = practise("check", "mine/zip.py", "--json", home=tmp_path)
    assert checked.returncode == 1
    assert json.loads(checked.stdout)["misconception"] == wrong.name

    file.write_text(practise("solution", "zip", home=tmp_path).stdout)
    passed = practise("check", "mine/zip.py", home=tmp_path)
    assert (passed.returncode, passed.stdout) == (0, "✓ zip: passed\n")

    listed = json.loads(practise("list", "--json", home=tmp_path).stdout)
    (standing,) = [one for one in listed["exercises"] if one["name"] == "zip"]
    assert (standing["state"], standing["attempts"], listed["passed"]) == ("passed", 2, 1)


@pytest.mark.timeout(60)
def test_hints_go_further_from_call_to_call(tmp_path: Path):
    first, second = (practise("hint", "retry", home=tmp_path).stdout for _ in range(2))
    assert first.startswith("Hint 1 of 3")
    assert second.startswith("Hint 2 of 3")
    assert "retry" in practise("list", home=tmp_path).stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["start", "zap"], ["'zap'", "zip"]),
        (["check", "nowhere.py"], ["nowhere.py", "start NAME"]),
        (["check", "mine.py"], ["'mine'", "zip"]),
        (["start", "mine"], ["'mine'"]),
    ],
)
def test_bad_input_is_one_line(tmp_path: Path, arguments: list[str], told: list[str]):
    (tmp_path / "mine.py").write_text("x = 1\n")
    result = practise(*arguments, home=tmp_path)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert all(word in result.stderr for word in told)


@pytest.mark.timeout(60)
def test_work_is_never_overwritten(tmp_path: Path):
    (tmp_path / "zip.py").write_text("mine = True\n")
    result = practise("start", "zip", home=tmp_path)
    assert result.returncode == 2
    assert "exists" in result.stderr
    assert (tmp_path / "zip.py").read_text() == "mine = True\n"
