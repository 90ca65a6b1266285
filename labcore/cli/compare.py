"""`labcore compare`: the main job, from one command to a report."""

from pathlib import Path
from typing import Annotated

import typer

from labcore.cli.progress import RunProgress
from labcore.cli.terminal import assignments, names, print_found, resumed
from labcore.kernel import UsageError


def compare(
    context: typer.Context,
    scenario: Annotated[
        str | None, typer.Argument(help="Name of a scenario, for example checkout.")
    ] = None,
    lanes: Annotated[
        str | None,
        typer.Option(help="Comma-separated lanes; NAME=URL or NAME='command {port}' adds yours."),
    ] = None,
    baseline: Annotated[
        str | None, typer.Option(help="The lane the others are compared with.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Offered load, requests/s, open loop.")] = 150.0,
    duration: Annotated[
        float | None, typer.Option(help="Measured seconds of each run; default 10, quick 3.")
    ] = None,
    pairs: Annotated[
        int | None,
        typer.Option(
            help="The most pairs of runs a lane; 6 is the least, default 20. Lanes decided after 10, "
            "20 or 40 rest sooner."
        ),
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="6 pairs of short runs.")] = False,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Parameter as key=value; repeatable.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Seed of schedules, orders and the order of runs.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the recording; default runs/<id>.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a comparison that was cut short.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Resume though machine or versions differ; recorded.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure lanes against a baseline, print the verdicts, write the HTML report."""
    if resume is not None or force:
        print_found(resumed(context, resume, kind="compare"), as_json=as_json)
        return
    if scenario is None:
        raise UsageError("what to compare is missing; give a scenario, or --resume RUN")
    from labcore.faces import compare as measure

    with RunProgress() as progress:
        result = measure(
            scenario,
            lanes=names(lanes),
            baseline=baseline,
            rate=rate,
            duration_s=duration,
            pairs=pairs,
            quick=quick,
            parameters=assignments(settings or []),
            seed=seed,
            out=out,
            on_event=progress,
        )
    print_found(result, as_json=as_json)
