"""Exercises are found where they lie, and their stubs are cut from their solutions."""

import shutil
from pathlib import Path

import pytest

from labcore.kernel import UsageError
from labcore.learn import Status, catalogue, check, exercise, solution
from labcore.learn.exercise import cut


@pytest.fixture
def added(tmp_path: Path) -> Path:
    """A root with one exercise folder that nobody has registered."""
    folder = tmp_path / "ch07" / "map"
    shutil.copytree(exercise("latest").folder, folder)
    for wrong in folder.glob("wrong_*.py"):
        wrong.unlink()
    return tmp_path


def test_a_new_folder_is_an_exercise(added: Path):
    (found,) = catalogue(added)
    assert (found.chapter, found.name, found.faults()) == ("ch07", "map", [])
    assert check(found, found.stub).status is Status.NOT_STARTED
    assert check(found, found.solution.text).passed
    assert exercise("map", added) == found


def test_what_a_folder_lacks_is_named(added: Path):
    (found,) = catalogue(added)
    (found.folder / "hints.md").write_text("only one\n")
    assert found.faults() == ["hints.md has 1 hints instead of 3"]
    (found.folder / "check.py").unlink()
    assert found.faults() == ["check.py is missing"]


def test_exercises_are_listed_by_chapter_and_level():
    names = [one.name for one in catalogue() if one.chapter == "ch01"]
    assert names[:2] == ["flat_map", "zip"]
    assert [one.level for one in catalogue() if one.chapter == "ch01"] == list(
        range(1, len(names) + 1)
    )


def test_the_stub_keeps_everything_but_the_answer():
    task = exercise("flat_map")
    assert "concurrency=3" not in task.stub
    assert "concurrency=3" in task.solution.text
    assert '"""Reserve every article' in task.stub
    assert task.cell.startswith("def reserve_all(")
    assert "<answer>" not in task.stub + task.solution.text


@pytest.mark.parametrize(
    "marked",
    ["# <answer>\n", "# </answer>\n", "# <answer>\n# <answer>\n# </answer>\n"],
    ids=["open", "closed-first", "twice"],
)
def test_markers_that_do_not_pair_are_refused(marked: str):
    with pytest.raises(UsageError, match="here"):
        cut(marked, where="here")


def test_the_solution_is_folded():
    shown = solution("zip")
    assert shown._repr_html_().startswith("<details><summary>")
    assert "default_if_empty" not in repr(shown)
    assert "default_if_empty" in shown.text
