"""`labcore crossover`: which of two lanes wins where."""

from pathlib import Path
from typing import Annotated

import typer

from labcore.cli.progress import RunProgress
from labcore.cli.terminal import assignments, names, numbers, print_found, resumed, side
from labcore.kernel import UsageError


def crossover(
    context: typer.Context,
    scenario: Annotated[
        str | None, typer.Argument(help="Name of a scenario, for example checkout.")
    ] = None,
    lanes: Annotated[
        str | None, typer.Option(help="Two lanes, comma-separated; the first is the baseline.")
    ] = None,
    grid: Annotated[
        str | None,
        typer.Option(help="A parameter and its values along one side: payment_ms=0,5,20,100."),
    ] = None,
    rates: Annotated[
        str | None, typer.Option(help="Offered loads along the other side, requests/s: 50,100,200.")
    ] = None,
    metric: Annotated[
        str,
        typer.Option(
            help="The metric that decides: p50_ms, p99_ms, cpu_per_request_us, rss_peak_mb or "
            "achieved_per_s."
        ),
    ] = "p99_ms",
    pairs: Annotated[int, typer.Option(help="Pairs a cell; below 6 nothing can be decided.")] = 6,
    duration: Annotated[float, typer.Option(help="Measured seconds of each run.")] = 3.0,
    warmup: Annotated[float, typer.Option(help="Seconds of load before, not recorded.")] = 1.0,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Parameter as key=value; repeatable.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed of schedules, orders and cells.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the recording; default runs/<id>.")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Go on with a map that was cut short.")
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Resume though machine or versions differ; recorded.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Map which of two lanes wins where, over a parameter by the offered rate."""
    if resume is not None or force:
        print_found(resumed(context, resume, kind="crossover"), as_json=as_json)
        return
    if scenario is None or lanes is None or grid is None or rates is None:
        raise UsageError(
            "what to map is missing; give a scenario, --lanes a,b, --grid payment_ms=0,20,100 and "
            "--rates 50,100,200, or --resume RUN"
        )
    from labcore.faces import crossover as measure

    parameter, values = side(grid)
    with RunProgress() as progress:
        found = measure(
            scenario,
            lanes=names(lanes) or [],
            parameter=parameter,
            values=values,
            rates=numbers("--rates", rates),
            metric=metric,
            pairs=pairs,
            duration_s=duration,
            warmup_s=warmup,
            parameters=assignments(settings or []),
            seed=seed,
            out=out,
            on_event=progress,
        )
    print_found(found, as_json=as_json)
