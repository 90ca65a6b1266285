"""The decision record says what the verdicts say, and no more."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labcore.kernel import EnvironmentFault, UsageError
from labcore.measure import CONTROL, Recording
from labcore.show.adr import digest_of, render_adr, write_adr

Build = Callable[..., Recording]

HEADINGS = [
    "## Context and problem statement",
    "## Decision drivers",
    "## Considered options",
    "## Decision outcome",
    "### Consequences",
    "### Confirmation",
    "## Evidence",
    "## When to decide anew",
]


def test_the_headings_come_in_the_order_of_the_template(recording: Recording):
    text = render_adr(recording)
    assert [line for line in text.splitlines() if re.match("##", line)] == HEADINGS
    assert text.startswith("---\nstatus: ")
    assert "\n\n\n" not in text


def test_the_same_data_give_the_same_text(recording: Recording):
    assert render_adr(recording) == render_adr(Recording.open(recording.path))


def test_every_weighted_verdict_stands_in_the_evidence_with_its_interval(recording: Recording):
    text = render_adr(recording, weights={"p50_ms": 2, "cpu_per_request_us": 1})
    evidence = text[text.index("## Evidence") :]
    rows = [line for line in evidence.splitlines() if line.startswith("| ")]
    assert sum("median latency" in row for row in rows) == 3
    assert not any("peak memory" in row for row in rows)
    for verdict in recording.verdicts:
        if verdict.metric == "p50_ms" and verdict.arm != CONTROL:
            assert any(f"{verdict.low:.2f} to {verdict.high:.2f}" in row for row in rows)
    assert f"sha256:{digest_of(recording)}" in text
    assert recording.path.name in text


def test_a_lane_that_stands_out_is_chosen_with_its_reason(make_recording: Build):
    better = {"virtual": {"median_ms": 20.0, "cpu_us": 300.0, "rss_mb": 60.0}}
    text = render_adr(
        make_recording(natures=better), weights={"p50_ms": 1, "cpu_per_request_us": 1}
    )
    assert "status: proposed" in text
    assert "Chosen option: `virtual`, because its weighted gain of" in text
    assert "Good: virtual: median latency" in text


def test_undecided_stays_undecided_in_the_text(recording: Recording):
    text = render_adr(recording, weights={"p50_ms": 1})
    assert "status: undecided" in text
    assert "Chosen option" not in text
    assert "Undecided: by these weights the evidence does not tell" in text


def test_a_session_that_cannot_tell_lanes_apart_chooses_nothing(make_recording: Build):
    shaky = make_recording()
    shaky.save_verdicts(
        replace(one, word="slower") if one.arm == CONTROL else one for one in shaky.verdicts
    )
    text = render_adr(shaky)
    assert "came out different from itself" in text
    assert "status: undecided" in text


def test_the_objective_is_applied_and_told(recording: Recording):
    text = render_adr(recording, objective="p99<1ms")
    assert "every lane breaks the objective p99<1ms,errors<1%" in text
    assert "broken in 6 of 6 runs" in text


def test_a_partial_recording_says_so(make_recording: Build):
    assert "cut short" in render_adr(make_recording(complete=False))


def test_a_recording_without_verdicts_is_no_basis(make_recording: Build):
    with pytest.raises(UsageError, match="no verdicts"):
        render_adr(make_recording(verdicts=False))


def test_credentials_stay_out(make_recording: Build):
    recording = make_recording()
    recording.update(command="labcore compare checkout --lane a=http://ann:hunter2@host/")
    assert "hunter2" not in render_adr(recording)


def test_it_is_written_where_asked_or_the_fault_is_named(recording: Recording, tmp_path: Path):
    path = write_adr(recording, tmp_path / "decisions" / "0001.md", title="Checkout")
    assert "# Checkout\n" in path.read_text(encoding="utf-8")
    with pytest.raises(EnvironmentFault, match="cannot write the record"):
        write_adr(recording, tmp_path)
