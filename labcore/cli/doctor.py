"""`labcore doctor`: what of this machine makes measurements doubtful, and what helps."""

from collections.abc import Hashable
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from labcore.cli.terminal import print_json

STYLES: Final = {"fine": "green", "doubtful": "yellow", "bad": "bold red", "unknown": "dim"}


def doctor(
    runs: Annotated[
        Path | None, typer.Option(help="Where recordings will go; default runs/.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Examine this machine for a second; exit 1 when something would spoil every measurement."""
    from labcore.faces import doctor as examine

    table = examine(runs=runs)
    bad = bool((table["severity"] == "bad").any())
    if as_json:
        print_json({"findings": table.to_dict(orient="records"), "bad": bad})
    else:
        _print(table.to_dict(orient="records"))
    raise typer.Exit(1 if bad else 0)


def _print(rows: list[dict[Hashable, Any]]) -> None:
    """Every fact in one line; the reason and the remedy only where something is wrong."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    table = Table("fact", "reading", "verdict")
    for row in rows:
        word = Text(row["severity"], style=STYLES[row["severity"]])
        table.add_row(row["name"], Text(row["value"]), word)
    console.print(table)
    for row in rows:
        if row["severity"] in {"doubtful", "bad"}:
            console.print(Text(f"\n{row['name']}: {row['why']}", style="bold"))
            console.print(Text(f"  {row['remedy']}"))
