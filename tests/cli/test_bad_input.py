"""Bad input gives one clear line and exit code 2; no traceback reaches a user."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

UNREACHABLE = "postgresql://labcore:hush@127.0.0.1:1/labcore"

CROSSOVER = ["crossover", "checkout", "--lanes", "reactive,threads"]


def labcore(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "labcore", *arguments],
        cwd=cwd,
        env=os.environ | {"TMPDIR": str(cwd)} | environment,  # the lock of this test alone
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["compare", "chekout"], ["chekout", "checkout"]),
        (["compare", "checkout", "--lanes", "reactive,fibres"], ["fibres", "virtual"]),
        (["compare", "checkout", "--rate", "-5"], ["-5", "rate"]),
        (["compare", "checkout", "--rate", "nan"], ["nan", "rate"]),
        (["compare", "checkout", "--pairs", "0"], ["0", "pairs"]),
        (["compare", "checkout", "--set", "payment_ms"], ["payment_ms", "key=value"]),
        (["compare", "checkout", "--set", "payment_ms=soon"], ["payment_ms", "soon"]),
        (["compare", "checkout", "--set", "colour=blue"], ["colour", "payment_ms"]),
        (["compare", "checkout", "--baseline", "fibres"], ["fibres", "reactive"]),
        (["compare", "checkout", "--lanes", "mine=ftp://here"], ["mine", "http"]),
        (["compare"], ["scenario", "--resume"]),
        (["compare", "--force"], ["--force", "--resume"]),
        (["compare", "--resume", "nowhere"], ["nowhere", "runs/"]),
        (["compare", "--resume", "nowhere", "--rate", "5"], ["rate", "cannot be changed"]),
        (["capacity", "checkout"], ["--objective", "p99<250ms"]),
        (["capacity", "checkout", "--objective", "p99>4ms"], ["p99>4ms", "p99<4ms"]),
        (["capacity", "checkout", "--objective", "p98<4ms"], ["p98", "p99.9"]),
        (["capacity", "checkout", "--objective", "p99<4"], ["'4'", "p99<250ms"]),
        (["capacity", "chekout", "--objective", "p99<4ms"], ["chekout", "checkout"]),
        (
            ["capacity", "checkout", "--objective", "p99<4ms", "--lowest", "0"],
            ["lowest=0", "above 0"],
        ),
        (["sweep", "checkout"], ["--grid payment_ms=0,20,100", "--resume"]),
        (["sweep", "checkout", "--grid", "payment_ms"], ["payment_ms", "payment_ms=0,5,20"]),
        (["sweep", "checkout", "--grid", "payment_ms=-1,5"], ["payment_ms", "-1"]),
        (["sweep", "--resume", "nowhere"], ["nowhere", "no sweep"]),
        (["sweep", "--resume", "nowhere", "--rate", "5"], ["rate", "cannot be changed"]),
        (["adr", "nowhere"], ["nowhere", "runs/"]),
        (["crossover", "checkout"], ["--grid", "--rates"]),
        ([*CROSSOVER, "--grid", "payment_ms", "--rates", "50"], ["payment_ms=0,5,20"]),
        ([*CROSSOVER, "--grid", "payment_ms=a", "--rates", "50"], ["'a'", "number"]),
        ([*CROSSOVER, "--grid", "colour=1", "--rates", "50"], ["colour", "payment_ms"]),
        ([*CROSSOVER, "--grid", "payment_ms=1", "--rates", "-5"], ["-5", "rates"]),
        (
            [*CROSSOVER, "--grid", "payment_ms=1", "--rates", "5", "--metric", "x"],
            ["'x'", "p50_ms"],
        ),
        (["report", "nowhere"], ["nowhere", "runs/"]),
        (["bench", "nothing"], ["nothing", "driver"]),
        (["lab", "nowhere"], ["nowhere", "notebooks"]),
        (["serve", "checkout", "--lane", "fibres"], ["fibres", "reactive"]),
        (["conform", "checkout", "--lane", "fibres"], ["fibres", "reactive"]),
        (["nonsense"], ["nonsense"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_bad_input_is_one_line_and_exit_code_2(
    tmp_path: Path, arguments: list[str], told: list[str]
):
    result = labcore(*arguments, cwd=tmp_path)
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    assert all(word in result.stderr for word in told), result.stderr
    assert result.stdout == ""
    if arguments != ["nonsense"]:
        assert len(result.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.timeout(60)
def test_an_occupied_directory_is_refused_and_left_alone(tmp_path: Path):
    occupied = tmp_path / "thesis"
    occupied.mkdir()
    (occupied / "chapter.tex").write_text("years of work")
    result = labcore("compare", "checkout", "--quick", "--out", str(occupied), cwd=tmp_path)
    assert result.returncode == 2
    assert "thesis" in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert [path.name for path in occupied.iterdir()] == ["chapter.tex"]


@pytest.mark.timeout(60)
def test_an_unreachable_database_is_named_without_its_password(tmp_path: Path):
    result = labcore(
        "compare", "checkout", "--quick", cwd=tmp_path, LABCORE_DATABASE_URL=UNREACHABLE
    )
    assert result.returncode == 2
    assert "LABCORE_DATABASE_URL" in result.stderr
    assert "hush" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_every_verb_explains_itself(tmp_path: Path):
    for verb in ("compare", "capacity", "crossover", "serve", "conform", "report", "bench", "lab"):
        result = labcore(verb, "--help", cwd=tmp_path)
        assert result.returncode == 0
        assert "Usage" in result.stdout
