"""What the bar says of a run: its block, its rate, or its cell."""

from typing import Any

import pytest

from labcore.cli.progress import RunProgress, busy, described

RUN = {"run": "r0001", "arm": "threads", "block": 2, "attempt": 1, "planned": 12, "settled": 3}


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({}, "block 3, threads"),
        ({"rate_per_s": 400.0}, "400/s, threads"),
        ({"rate_per_s": 50.0, "value": 20.0}, "cell 20 at 50/s, threads"),
    ],
)
def test_a_run_is_described_by_where_it_stands(more: dict[str, Any], said: str):
    assert described(RUN | more) == said


def test_notices_reach_a_reader_without_a_terminal(capsys: pytest.CaptureFixture[str]):
    with RunProgress() as progress:
        progress("run_started", RUN)
        progress("notice", {"message": "[3 of 12] cells to go"})
    assert "[3 of 12] cells to go" in capsys.readouterr().err


def test_a_sign_of_life_is_for_terminals_only(capsys: pytest.CaptureFixture[str]):
    with busy("bench tracing"):
        pass
    assert capsys.readouterr() == ("", "")
