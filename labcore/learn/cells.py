"""The exercises' cells of a notebook, renewed from the exercises: tasks and stubs are never kept by hand.

A cell whose id is `exercise-NAME` holds the task, one whose id is `stub-NAME` the stub. Everything else in
the notebook stays as it is.

    python -c "from labcore.learn import renew_cells; renew_cells('notebooks/01_reactive_checkout.ipynb')"
"""

import json
from pathlib import Path

from labcore.learn.exercise import Exercise, exercise

_TASK, _STUB = "exercise-", "stub-"


def renew_cells(path: str | Path) -> bool:
    """Write every task and stub anew; whether anything changed. Raises: UsageError, unknown exercise."""
    file = Path(path)
    before = file.read_text(encoding="utf-8")
    notebook = json.loads(before)
    for cell in notebook["cells"]:
        text = _text(cell["id"])
        if text is not None:
            cell["source"] = text.splitlines(keepends=True)
    after = json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if json.loads(before) == notebook:
        return False
    file.write_text(after, encoding="utf-8")
    return True


def _text(cell_id: str) -> str | None:
    if cell_id.startswith(_STUB):
        return exercise(cell_id.removeprefix(_STUB)).cell
    if cell_id.startswith(_TASK):
        return _task(exercise(cell_id.removeprefix(_TASK)))
    return None


def _task(task: Exercise) -> str:
    """The statement, its heading three levels down: it stands in a group of a chapter's section."""
    return f"###{task.statement.rstrip()}"
