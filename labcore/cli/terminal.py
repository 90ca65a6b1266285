"""What every verb shares with the terminal: parsing `key=value`, JSON on stdout, the rest on stderr."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from rich.console import Console

from labcore.kernel import UsageError

if TYPE_CHECKING:  # the faces take a second, which `--help` does not need
    from labcore.faces import Result

BESIDE_RESUME: Final = frozenset({"resume", "force", "as_json"})


def diagnostics() -> Console:
    """The console for everything that is not the answer: progress, warnings, tables."""
    return Console(stderr=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout, and nothing else; NaN becomes null."""
    from labcore.faces import plain

    text = json.dumps(plain(document), indent=2, sort_keys=True, default=str, allow_nan=False)
    sys.stdout.write(text + "\n")


def print_found(found: "Result", *, as_json: bool) -> None:
    """The result of a measurement and where its report lies."""
    path = found.report()
    if as_json:
        print_json(found.summary() | {"report": str(path)})
    else:
        found.print()
        typer.echo(f"report: {path}")


def resumed(context: typer.Context, path: Path | None, *, kind: str) -> "Result":
    """Go on with a recording of this kind, by the options that the verb was given.

    Raises: UsageError for options that a recording has decided already, or for another kind.
    """
    if path is None:
        raise UsageError("--force goes with --resume RUN alone")
    begun_otherwise(context)
    from labcore.cli.progress import RunProgress
    from labcore.faces import load_run, resume

    found = load_run(path).recording.kind
    if found != kind:
        raise UsageError(f"{str(path)!r} is of {found!r}; use labcore {found} --resume {path}")
    with RunProgress() as progress:
        return resume(path, force=bool(context.params["force"]), on_event=progress)


def begun_otherwise(context: typer.Context, *, beside: Iterable[str] = ()) -> None:
    """Refuse what a recording has decided already. Raises: UsageError naming the options."""
    given = [
        name
        for name in context.params
        if name not in {*BESIDE_RESUME, *beside}
        and getattr(context.get_parameter_source(name), "name", "DEFAULT") != "DEFAULT"
    ]
    if given:
        raise UsageError(
            f"--resume goes on as it was begun: {', '.join(sorted(given))} cannot be changed; leave it "
            "out, or measure anew"
        )


def numbers(option: str, text: str) -> list[float]:
    """`"50,100"` to numbers. Raises: UsageError naming the option and what is no number."""
    found = []
    for part in text.split(","):
        try:
            found.append(float(part))
        except ValueError as exc:
            raise UsageError(
                f"{option} {text!r}: {part.strip()!r} is no number; write 50,100,200"
            ) from exc
    return found


def side(text: str) -> tuple[str, list[float]]:
    """`"payment_ms=0,20"` to a name and numbers. Raises: UsageError for anything else."""
    name, equals, values = text.partition("=")
    if not equals or not name.strip() or not values.strip():
        raise UsageError(f"--grid {text!r} is no parameter with values; write payment_ms=0,5,20")
    return name.strip(), numbers("--grid", values)


def assignments(
    pairs: Iterable[str], *, option: str = "--set", example: str = "payment_ms=20"
) -> dict[str, str]:
    """`["rate=200"]` to `{"rate": "200"}`. Raises: UsageError naming the pair that has no `=`."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"{option} {pair!r} is not key=value, for example {option} {example}")
        values[name.strip()] = value.strip()
    return values


def names(text: str | None) -> list[str] | None:
    """`"reactive,threads"` to a list; None stays None."""
    if text is None:
        return None
    return [part.strip() for part in text.split(",") if part.strip()]
