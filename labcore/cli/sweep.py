"""`labcore sweep`: a comparison at every point of a grid."""

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from labcore.cli.progress import RunProgress
from labcore.cli.terminal import assignments, begun_otherwise, names, print_json
from labcore.kernel import UsageError


def sweep(
    context: typer.Context,
    scenario: Annotated[
        str | None, typer.Argument(help="Name of a scenario, for example checkout.")
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(help="A parameter, or rate, and its values: payment_ms=0,20,100; repeatable."),
    ] = None,
    lanes: Annotated[str | None, typer.Option(help="Comma-separated lanes; default all.")] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The lane the others are compared with.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Offered load, requests/s, open loop.")] = 150.0,
    duration: Annotated[
        float | None, typer.Option(help="Measured seconds of each run; default 10, quick 3.")
    ] = None,
    pairs: Annotated[int | None, typer.Option(help="The most pairs a lane at a point.")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="6 pairs of short runs.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Parameter as key=value; repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Every point's seed is drawn from it.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the sweep; default runs/<id>.")
    ] = None,
    scheduler: Annotated[
        str | None,
        typer.Option(help="A dask scheduler, tcp://host:8786, or local; default this machine."),
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a sweep that was cut short.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Compare lanes at every point of a grid, here or on a dask cluster; resumable."""
    from labcore.faces import resume_sweep
    from labcore.faces import sweep as measure

    with RunProgress() as progress:
        if resume is not None:
            begun_otherwise(context, beside={"scheduler"})
            found = resume_sweep(resume, scheduler=scheduler, on_event=progress)
        else:
            if scenario is None or not grid:
                raise UsageError(
                    "what to sweep is missing; give a scenario and --grid payment_ms=0,20,100, or "
                    "--resume RUN"
                )
            found = measure(
                scenario,
                grid=sides_of(grid),
                lanes=names(lanes),
                baseline=baseline,
                rate=rate,
                duration_s=duration,
                pairs=pairs,
                quick=quick,
                parameters=assignments(settings or []),
                seed=seed,
                out=out,
                scheduler=scheduler,
                command=shlex.join(["labcore", *sys.argv[1:]]),
                on_event=progress,
            )
    table = found.table
    if as_json:
        print_json({"sweep": str(found.path), "rows": table.to_dict(orient="records")})
    else:
        typer.echo(table.drop(columns="run").to_string(index=False, float_format="{:.3g}".format))
        typer.echo(f"table: {found.path / 'table.csv'}")


def sides_of(grid: list[str]) -> dict[str, Any]:
    """The sides of a grid as they were written. Raises: UsageError for what is none."""
    from labcore.measure import sides

    return sides(grid)
