"""`labcore adr`: from a comparison to a decision record."""

from pathlib import Path
from typing import Annotated

import typer

from labcore.cli.terminal import assignments, print_json
from labcore.kernel import UsageError


def adr(
    run: Annotated[Path, typer.Argument(help="Directory of a comparison, as in runs/<id>.")],
    weight: Annotated[
        list[str] | None,
        typer.Option(
            help="How much a metric counts, as p99_ms=2; repeatable. Without any, all that were judged "
            "count alike."
        ),
    ] = None,
    objective: Annotated[
        str, typer.Option(help="What a lane must keep to be chosen, as p99<250ms,errors<0.1%.")
    ] = "",
    title: Annotated[str, typer.Option(help="Title of the record.")] = "",
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Markdown file; default: adr.md beside it.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Write the architecture decision record of a comparison; undecided stays undecided."""
    from labcore.faces import load_run
    from labcore.show import decision_of, outcome_of

    given = assignments(weight or [], option="--weight", example="p99_ms=2")
    weights = {name: _number(name, value) for name, value in given.items()} or None
    result = load_run(run)
    path = result.adr(out, weights=weights, objective=objective, title=title)
    decision = decision_of(result.recording, weights=weights, objective=objective)
    if as_json:
        print_json({"adr": str(path), "state": decision.state, "lane": decision.lane})
    else:
        typer.echo(outcome_of(decision))
        typer.echo(path)


def _number(name: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as exc:
        raise UsageError(f"weight {name}={value!r} is no number; write {name}=2") from exc
