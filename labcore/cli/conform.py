"""`labcore conform`: judge a service, ours or yours, by a scenario's contract."""

from typing import Annotated

import typer
from rich.table import Table

from labcore.cli.terminal import assignments, print_json


def conform(
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, for example checkout.")],
    lane: Annotated[
        str, typer.Option(help="A lane's name, NAME=URL, or NAME='command {port}'.")
    ] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Parameter as key=value; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run the scenario's conformance checks; exit 1 when one fails."""
    from labcore.faces import conform as judge

    results = judge(scenario, lane=lane or None, parameters=assignments(settings or []))
    passed = all(result.passed for result in results if result.applicable)
    if as_json:
        checks = [
            {"name": r.name, "passed": r.passed, "applicable": r.applicable, "detail": r.detail}
            for r in results
        ]
        print_json({"scenario": scenario, "passed": passed, "checks": checks})
    else:
        from rich.console import Console

        table = Table("check", "result", "detail")
        for result in results:
            word = ("passed" if result.passed else "FAILED") if result.applicable else "n/a"
            table.add_row(result.name, word, result.detail)
        Console().print(table)
    raise typer.Exit(0 if passed else 1)
