"""The book's exercises run without a reader, in two states: as they are handed out, and solved."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from labcore.learn import catalogue, renew_cells, run_chapter
from labcore.learn.exercise import without_imports

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
CHAPTER = NOTEBOOKS / "01_reactive_checkout.ipynb"
TASKS = {task.name: task for task in catalogue() if task.chapter == "ch01"}
CHECK = re.compile(r"^check-(.+)$")


def exercises_alone(*, solved: bool) -> dict[str, Any]:
    """The chapter's import cell and its exercises; without the measurements in between."""
    notebook: dict[str, Any] = json.loads(CHAPTER.read_text())
    kept = ("imports", "exercise", "stub", "check")
    notebook["cells"] = [c for c in notebook["cells"] if c["id"].split("-")[0].startswith(kept)]
    for cell in notebook["cells"]:
        name = cell["id"].removeprefix("stub-")
        if solved and cell["id"].startswith("stub-"):
            cell["source"] = without_imports(TASKS[name].solution.text)
    return notebook


def executed(notebook: dict[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """The first output of each code cell that has one, by the cell's id."""
    (folder / "in.ipynb").write_text(json.dumps(notebook))
    run = run_chapter(folder / "in.ipynb", folder, timeout_s=60)
    cells = json.loads(run.read_text())["cells"]
    return {cell["id"]: cell["outputs"][0] for cell in cells if cell.get("outputs")}


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_tasks_and_stubs_are_those_of_the_exercises(path: Path, tmp_path: Path):
    copy = tmp_path / path.name
    shutil.copy(path, copy)
    assert not renew_cells(copy), "renew_cells would change this notebook"


def test_every_exercise_of_the_chapter_has_its_cells():
    ids = {cell["id"] for cell in json.loads(CHAPTER.read_text())["cells"]}
    missing = [
        f"{kind}-{name}"
        for name in TASKS
        for kind in ("exercise", "stub", "check")
        if f"{kind}-{name}" not in ids
    ]
    assert missing == []


def test_a_changed_stub_is_renewed_and_nothing_else(tmp_path: Path):
    copy = tmp_path / CHAPTER.name
    text = CHAPTER.read_text()
    copy.write_text(text.replace("Price and discount, both at once", "Something else"))
    assert renew_cells(copy)
    assert copy.read_text() == text


@pytest.mark.slow
@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    ("solved", "word"), [(False, "not started"), (True, "passed")], ids=["handed-out", "solved"]
)
def test_the_exercises_run_by_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, solved: bool, word: str
):
    monkeypatch.setenv("LABCORE_DATA", str(tmp_path / "data"))
    outputs = executed(exercises_alone(solved=solved), tmp_path)
    said = {
        found[1]: "".join(output["data"]["text/plain"]).splitlines()[0]
        for cell, output in outputs.items()
        if (found := CHECK.match(cell))
    }
    mark = "✓" if solved else "○"
    assert said == {name: f"{mark} {name}: {word}" for name in TASKS}
    for cell in ("exercises-retry", "exercises-demand"):
        assert "image/svg+xml" in outputs[cell]["data"]
    done = len(TASKS) if solved else 0
    assert f"{done} of " in "".join(outputs["exercises-progress"]["data"]["text/plain"])
    assert "<details>" in "".join(outputs["exercises-solutions"]["data"]["text/html"])
