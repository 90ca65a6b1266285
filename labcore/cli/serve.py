"""`labcore serve`: run one lane of a scenario by hand, with its database and peers."""

import threading
from typing import Annotated

import typer

from labcore.cli.terminal import assignments, diagnostics, print_json


def serve(
    scenario: Annotated[str, typer.Argument(help="Name of a scenario, for example checkout.")],
    lane: Annotated[str, typer.Option(help="Lane to run, for example reactive.")],
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="Parameter as key=value; repeatable.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Serve one lane until Ctrl-C; everything it started stops with it."""
    from labcore.faces import serve as open_lane

    with open_lane(scenario, lane=lane, parameters=assignments(settings or [])) as deployment:
        if as_json:
            print_json({"url": deployment.url, "peers": dict(deployment.peers)})
        else:
            typer.echo(deployment.url)
            for name, url in deployment.peers.items():
                typer.echo(f"{name}: {url}")
            diagnostics().print("Ctrl-C stops it.")
        threading.Event().wait()
