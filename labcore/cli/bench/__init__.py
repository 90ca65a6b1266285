"""`labcore bench`: speeds, as ratios against a named peer in the same run.

Each module here is one benchmark: `SUMMARY`, one line, and `run(quick=…)`, a tidy table. Figures
depend on the machine; ratios within one table are what carries over.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import Annotated, Any

import typer

from labcore.cli.progress import busy
from labcore.cli.terminal import print_json
from labcore.kernel import EnvironmentFault, UsageError


def benchmarks() -> list[str]:
    """The names there are, one a module of this package; packages in it hold what they share."""
    names = (found.name for found in pkgutil.iter_modules(__path__) if not found.ispkg)
    return sorted(name.replace("_", "-") for name in names)


def bench(
    name: Annotated[str, typer.Argument(help="Which benchmark; without it, lists them.")] = "",
    quick: Annotated[bool, typer.Option(help="Fewer repeats: a look, not a figure.")] = False,
    lanes: Annotated[str, typer.Option(help="Only these lanes, by commas, where it has any.")] = "",
    rate: Annotated[float, typer.Option(help="Per second, where it has a rate; 0: its own.")] = 0,
    seconds: Annotated[float, typer.Option(help="How long, where one may say; 0: its own.")] = 0,
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
    benchmark = _load(name)
    chosen = {"lanes": lanes.split(",") if lanes else None, "rate": rate, "seconds": seconds}
    options = _options(name, benchmark, chosen)
    with busy(f"bench {name}"):
        table = benchmark.run(quick=quick, **options)
    if as_json:
        print_json({"benchmark": name, "rows": table.to_dict(orient="records")})
    else:
        typer.echo(table.to_string(index=False))


def _options(name: str, benchmark: ModuleType, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """What was chosen. Raises: UsageError for an option that this benchmark does not have."""
    given = {option: value for option, value in chosen.items() if value}
    strange = sorted(set(given) - set(inspect.signature(benchmark.run).parameters))
    if strange:
        raise UsageError(f"benchmark {name!r} has no option --{strange[0]}")
    return given


def _load(name: str) -> ModuleType:
    try:
        return importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    except ModuleNotFoundError as exc:
        raise EnvironmentFault(
            f"benchmark {name!r} needs the package {exc.name!r}: pip install 'concurrency-workbench[benchmarks]'"
        ) from exc
