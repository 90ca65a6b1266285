"""The book for those who have no kernel: chapters run, then written as pages."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from labcore.kernel import UsageError

TITLE = "The concurrency workbench"


def export(
    notebooks: str | Path = "notebooks",
    *,
    out: str | Path = "book",
    run: bool = True,
    parameters: Mapping[str, Any] | None = None,
    title: str = TITLE,
    on_chapter: Callable[[Path], object] | None = None,
) -> Path:
    """Write chapters as HTML pages that open from disk with no network; the path of the index.

    Args:
        notebooks: a folder of notebooks, in the order of their names, or one notebook.
        out: folder of the pages; pages of the same names are replaced.
        run: run each chapter first, in a folder of its own that is gone afterwards. Else pages show the
            outputs that the files have.
        parameters: values for every chapter's `parameters` cell.
        title: of the book.
        on_chapter: called with each notebook before it is run.

    Raises:
        UsageError: no notebooks, a parameter that a chapter does not have, a chapter too large.
        VoidRunError: a cell failed; its message names chapter and cell.
        EnvironmentFault: the folder cannot be written.
    """
    from labcore.learn import run_chapter  # notebooks and their looks: a second for nobody else
    from labcore.show import write_book

    found = _notebooks(Path(notebooks))
    if not run:
        return write_book(found, Path(out), title=title)
    with tempfile.TemporaryDirectory(prefix="labcore-book-") as folder:
        executed = []
        for number, notebook in enumerate(found):
            if on_chapter is not None:
                on_chapter(notebook)
            place = Path(folder) / f"{number:02d}"
            place.mkdir()
            executed.append(run_chapter(notebook, place, parameters=parameters))
        return write_book(executed, Path(out), title=title)


def _notebooks(place: Path) -> Sequence[Path]:
    if place.is_file():
        return [place]
    found = sorted(place.glob("*.ipynb"))
    if not found:
        raise UsageError(f"there is no notebook in {str(place)!r}; name a folder that holds some")
    return found
