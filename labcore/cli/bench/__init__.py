"""`labcore bench`: speeds, as ratios against a named peer in the same run.

Each module here is one benchmark: `SUMMARY`, one line, and `run(quick=…)`, a tidy table. Figures
depend on the machine; ratios within one table are what carries over.
"""

import importlib
import pkgutil
from types import ModuleType
from typing import Annotated

import typer

from labcore.cli.terminal import print_json
from labcore.kernel import EnvironmentFault, UsageError


def benchmarks() -> list[str]:
    """The names there are, one a module of this package; packages in it hold what they share."""
    return sorted(found.name for found in pkgutil.iter_modules(__path__) if not found.ispkg)


def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark; without it, lists them.")] = "",
    quick: Annotated[bool, typer.Option(help="Fewer repeats: a look, not a figure.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Run one benchmark and print its table."""
    if not name:
        listing = {known: _load(known).SUMMARY for known in benchmarks()}
        if as_json:
            print_json(listing)
        else:
            for known, summary in listing.items():
                typer.echo(f"{known:<12} {summary}")
        return
    if name not in benchmarks():
        raise UsageError(f"no benchmark {name!r}; there are: {', '.join(benchmarks())}")
    table = _load(name).run(quick=quick)
    if as_json:
        print_json({"benchmark": name, "rows": table.to_dict(orient="records")})
    else:
        typer.echo(table.to_string(index=False))


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"{__name__}.{name}")
    except ModuleNotFoundError as exc:
        raise EnvironmentFault(
            f"benchmark {name!r} needs the package {exc.name!r}: pip install 'concurrency-workbench[benchmarks]'"
        ) from exc
