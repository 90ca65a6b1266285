"""A chapter is run and becomes a page; what cannot be run is named."""

from pathlib import Path
from typing import Any

import nbformat
import pytest

from labcore import export
from labcore.kernel import UsageError, VoidRunError

pytestmark = pytest.mark.timeout(120)
v4: Any = nbformat.v4  # nbformat has no types


def notebook(folder: Path, *sources: str) -> Path:
    cells = [v4.new_markdown_cell("# Sums"), *map(v4.new_code_cell, sources)]
    cells[1]["metadata"]["tags"] = ["parameters"]
    path = folder / "01_sums.ipynb"
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    path.write_text(v4.writes(v4.new_notebook(cells=cells, metadata=kernel)), encoding="utf-8")
    return path


def test_a_chapter_is_run_with_the_parameters_given(tmp_path: Path):
    source = notebook(tmp_path, "terms: int = 2", "open('left', 'w').close()\nsum(range(terms))")
    seen: list[Path] = []
    index = export(
        tmp_path, out=tmp_path / "book", parameters={"terms": 101}, on_chapter=seen.append
    )
    assert seen == [source]
    assert "5050" in (index.parent / "01_sums.html").read_text(encoding="utf-8")
    assert "5050" not in source.read_text(encoding="utf-8")
    assert not Path("left").exists()


def test_without_running_the_page_shows_what_the_file_has(tmp_path: Path):
    notebook(tmp_path, "terms: int = 2")
    index = export(tmp_path, out=tmp_path / "book", run=False)
    assert "Sums" in index.read_text(encoding="utf-8")


def test_a_cell_that_fails_is_named(tmp_path: Path):
    notebook(tmp_path, "terms: int = 2", "terms / 0")
    with pytest.raises(VoidRunError, match=r"01_sums\.ipynb failed: ZeroDivisionError"):
        export(tmp_path, out=tmp_path / "book")
    assert not (tmp_path / "book").exists()


def test_a_parameter_that_no_chapter_has_is_named_before_anything_runs(tmp_path: Path):
    notebook(tmp_path, "terms: int = 2")
    with pytest.raises(UsageError, match="no parameter 'term'; it has: terms"):
        export(tmp_path, out=tmp_path / "book", parameters={"term": 1})


def test_parameters_written_as_text_take_the_declared_type_or_are_refused(tmp_path: Path):
    notebook(tmp_path, "terms: int = 2", "sum(range(terms))")
    index = export(tmp_path, out=tmp_path / "book", parameters={"terms": "101"})
    assert "5050" in (index.parent / "01_sums.html").read_text(encoding="utf-8")
    with pytest.raises(UsageError, match="terms='many' is no int"):
        export(tmp_path, out=tmp_path / "book", parameters={"terms": "many"})


def test_a_folder_without_notebooks_is_named(tmp_path: Path):
    with pytest.raises(UsageError, match="no notebook in"):
        export(tmp_path)
