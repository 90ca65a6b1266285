"""The chapter runs from top to bottom without a reader, and records what its parameters say."""

import json
from pathlib import Path
from typing import Any

import pytest

from labcore import RESULT_MIME, load_run
from labcore.learn import Journal, run_chapter

CHAPTER = Path(__file__).parents[2] / "notebooks" / "01_reactive_checkout.ipynb"


def execute(out: Path, **parameters: Any) -> dict[str, Any]:
    run = run_chapter(CHAPTER, out, parameters={"out": str(out), **parameters}, timeout_s=240)
    document: dict[str, Any] = json.loads(run.read_text())
    return document


def results(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [
        output["data"][RESULT_MIME]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if RESULT_MIME in output.get("data", {})
    ]


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "parameters",
    [
        {"lanes": "reactive,threads", "rate_per_s": 40.0, "duration_s": 1.0},
        {
            "lanes": "reactive,threads,virtual",
            "rate_per_s": 60.0,
            "duration_s": 1.5,
            "payment_ms": 5.0,
            "failure_share": 0.2,
            "workers": 8,
            "seed": 7,
        },
    ],
    ids=["small", "everything-changed"],
)
def test_the_chapter_records_what_its_parameters_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parameters: dict[str, Any]
):
    monkeypatch.setenv("LABCORE_DATA", str(tmp_path / "data"))
    notebook = execute(tmp_path, **parameters)

    look = load_run(tmp_path / "look")
    lanes = parameters["lanes"].split(",")
    assert set(look.runs["lane"]) == set(lanes)
    assert look.recording.design.rate_per_s == parameters["rate_per_s"]
    for name in ("payment_ms", "failure_share", "workers"):
        if name in parameters:
            assert look.recording.design.parameters[name] == parameters[name]
    assert look.recording.design.seed == parameters.get("seed", 1)
    assert (look.runs["requests"] > 0).all()
    for row in look.runs.to_dict(orient="records"):
        assert sum(row["outcomes"].values()) == row["requests"]
        assert len(look.recording.requests(row["run"])) == row["requests"]

    compared = load_run(tmp_path / "compare")
    assert {verdict.arm for verdict in compared.recording.verdicts} == {*lanes[1:], "control"}
    assert {verdict.word for verdict in compared.recording.verdicts} <= {"undecided", "void"}
    assert (tmp_path / "compare" / "report.html").is_file()
    assert [result["status"] for result in results(notebook)] == ["complete"]
    kinds = [entry.kind for entry in Journal(tmp_path / "data").read()[0]]
    assert (kinds[0], kinds.count("scored"), kinds.count("checked")) == ("predicted", 1, 8)
