"""`labcore compare`: the main job, from one command to a report."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from labcore.cli.terminal import assignments, diagnostics, names, print_json


def compare(
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, for example checkout.")],
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
        int | None, typer.Option(help="Pairs of runs a comparison; 6 is the least. Default 20.")
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
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Measure lanes against a baseline, print the verdicts, write the HTML report."""
    from labcore.faces import compare as measure

    with _progress() as progress:
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
    path = result.report()
    if as_json:
        print_json(result.summary() | {"report": str(path)})
    else:
        result.print()
        typer.echo(f"report: {path}")


class _progress:  # noqa: N801 - reads as a verb where it is used
    """A bar of runs on a terminal; silence elsewhere."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=diagnostics(),
            transient=True,
            disable=not diagnostics().is_terminal,
        )
        self._task = self._bar.add_task("setting up", total=None)

    def __enter__(self) -> "_progress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, kind: str, payload: dict[str, Any]) -> None:
        if kind == "run_started":
            self._bar.update(
                self._task,
                description=f"block {payload['block'] + 1}, {payload['arm']}",
                total=payload["planned"],
                completed=payload["settled"],
            )
        elif kind in {"waiting", "notice"}:
            self._bar.console.print(payload["message"], highlight=False)
