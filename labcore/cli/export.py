"""`labcore export`: the book as HTML, for those who have no kernel."""

from pathlib import Path
from typing import Annotated

import typer

from labcore.cli.progress import busy
from labcore.cli.terminal import assignments, diagnostics, print_json


def export(
    notebooks: Annotated[
        Path, typer.Argument(help="Folder of the notebooks, or one notebook.")
    ] = Path("notebooks"),
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder of the pages.")] = Path("book"),
    run: Annotated[
        bool, typer.Option(help="Run each chapter first; else show what the files have.")
    ] = True,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Chapter's parameter as key=value; repeatable."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write the book as pages that open from disk, with no network."""
    from labcore.faces import export as write

    def said(notebook: Path) -> None:
        diagnostics().print(f"running {notebook.name}", highlight=False, markup=False)

    with busy("exporting the book"):
        index = write(
            notebooks,
            out=out,
            run=run,
            parameters=assignments(settings or [], example="duration_s=2"),
            on_chapter=said,
        )
    if as_json:
        print_json({"book": str(index)})
    else:
        typer.echo(index)
