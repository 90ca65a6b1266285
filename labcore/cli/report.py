"""`labcore report`: rebuild a report from its raw data."""

from pathlib import Path
from typing import Annotated

import typer

from labcore.cli.terminal import print_json


def report(
    run: Annotated[Path, typer.Argument(help="Directory of a recording, as in runs/<id>.")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="HTML file; default: report.html beside it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Rebuild the HTML report of a recording, whole or interrupted."""
    from labcore.faces import load_run

    path = load_run(run).report(out)
    if as_json:
        print_json({"report": str(path)})
    else:
        typer.echo(path)
