"""`labcore capacity`: how much load each lane takes within an objective."""

from pathlib import Path
from typing import Annotated

import typer

from labcore.cli.progress import RunProgress
from labcore.cli.terminal import assignments, names, print_found, resumed
from labcore.kernel import UsageError


def capacity(
    context: typer.Context,
    scenario: Annotated[
        str | None, typer.Argument(help="Name of a scenario, for example checkout.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="Upper bounds that hold together, such as 'p99<250ms,errors<0.1%'; of p50, p90, p99, "
            "p99.9, mean, max and errors. Silence on errors allows fewer than 1%."
        ),
    ] = None,
    lanes: Annotated[
        str | None,
        typer.Option(help="Comma-separated lanes; NAME=URL or NAME='command {port}' adds yours."),
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Parameter as key=value; repeatable.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Runs of 2 s, steps of 41% instead of 19%.")
    ] = False,
    lowest: Annotated[
        float | None, typer.Option(help="Lowest rate to offer, requests/s; default 10.")
    ] = None,
    highest: Annotated[
        float | None, typer.Option(help="Highest rate to offer, requests/s; default 20000.")
    ] = None,
    start: Annotated[
        float | None, typer.Option(help="Rate to begin with, requests/s; default 50.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option(help="Steps a doubling of the rate; default 4, quick 2.")
    ] = None,
    duration: Annotated[
        float | None,
        typer.Option(
            help="Measured seconds of each run; default 5, quick 2, longer at slow rates."
        ),
    ] = None,
    warmup: Annotated[
        float | None, typer.Option(help="Seconds of load before; default 1, quick 0.5.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of every schedule.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the recording; default runs/<id>.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a search that was cut short.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Resume though machine or versions differ; recorded.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Search the highest rate of each lane that keeps an objective, with its bracket."""
    if resume is not None or force:
        print_found(resumed(context, resume, kind="capacity"), as_json=as_json)
        return
    if scenario is None or objective is None:
        raise UsageError(
            "what to search is missing; give a scenario and --objective 'p99<250ms,errors<0.1%', "
            "or --resume RUN"
        )
    from labcore.faces import capacity as search

    with RunProgress() as progress:
        found = search(
            scenario,
            objective=objective,
            lanes=names(lanes),
            lowest=lowest,
            highest=highest,
            start=start,
            steps=steps,
            duration_s=duration,
            warmup_s=warmup,
            quick=quick,
            parameters=assignments(settings or []),
            seed=seed,
            out=out,
            on_event=progress,
        )
    print_found(found, as_json=as_json)
