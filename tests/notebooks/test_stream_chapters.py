"""The stream chapters run from top to bottom without a reader, over real sockets."""

import json
from pathlib import Path
from typing import Any

import pytest

from labcore.learn import Journal, catalogue
from labcore.learn.chapters import run_chapter

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SMALL: dict[str, dict[str, Any]] = {
    "02_streaming_inventory": {"duration_s": 1.5},
    "06_lab_websocket_lifecycle": {"token_s": 0.2},
    "07_lab_sse_last_event_id": {"events": 20, "interval_ms": 20.0, "keep": 2},
}
CHAPTERS = sorted(SMALL)


def outputs(executed: Path) -> dict[str, str]:
    """What each cell said, as text, by the cell's id."""
    cells = json.loads(executed.read_text(encoding="utf-8"))["cells"]
    return {
        cell["id"]: "".join(
            "".join(one.get("text") or one.get("data", {}).get("text/plain", ""))
            for one in cell["outputs"]
        )
        for cell in cells
        if cell.get("outputs")
    }


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", CHAPTERS)
def test_the_chapter_runs_by_itself(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABCORE_DATA", str(tmp_path / "data"))
    executed = run_chapter(
        NOTEBOOKS / f"{name}.ipynb", tmp_path, parameters=SMALL[name], timeout_s=60
    )
    said = outputs(executed)
    tasks = [task.name for task in catalogue() if task.chapter == f"ch{name[:2]}"]
    assert [said[f"check-{task}"].splitlines()[0] for task in tasks] == [
        f"○ {task}: not started" for task in tasks
    ]
    kinds = [entry.kind for entry in Journal(tmp_path / "data").read()[0]]
    assert kinds.count("predicted") == kinds.count("scored") == 1


@pytest.mark.parametrize("name", CHAPTERS)
def test_every_exercise_of_the_chapter_has_its_cells(name: str):
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    ids = {cell["id"] for cell in cells}
    tasks = [task for task in catalogue() if task.chapter == f"ch{name[:2]}"]
    assert len(tasks) >= 2
    missing = [
        f"{kind}-{task.name}"
        for task in tasks
        for kind in ("exercise", "stub", "check")
        if f"{kind}-{task.name}" not in ids
    ]
    assert missing == []
