"""A bar of runs on a terminal, silence elsewhere; every verb that measures shows the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
)

from labcore.cli.terminal import diagnostics

SAID = frozenset({"waiting", "notice"})


@contextmanager
def busy(what: str) -> Iterator[None]:
    """A sign of life with the time gone by, for work that does not say how far it is."""
    spinner = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
        console=diagnostics(),
        transient=True,
        disable=not diagnostics().is_terminal,
    )
    spinner.add_task(what, total=None)
    with spinner:
        yield


class RunProgress:
    """A context that is also the listener of an experiment's events."""

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

    def __enter__(self) -> "RunProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, kind: str, payload: dict[str, Any]) -> None:
        """Show an event, or print what a reader must know while she waits."""
        if kind == "run_started":
            self._bar.update(
                self._task,
                description=described(payload),
                total=payload["planned"],
                completed=payload["settled"],
            )
        elif kind in SAID:
            self._bar.console.print(payload["message"], highlight=False, markup=False)


def described(payload: dict[str, Any]) -> str:
    """Which run it is: of a block, of a rate, or of a cell."""
    arm = payload["arm"]
    if "value" in payload:
        return f"cell {payload['value']:g} at {payload['rate_per_s']:g}/s, {arm}"
    if "rate_per_s" in payload:
        return f"{payload['rate_per_s']:g}/s, {arm}"
    return f"block {payload['block'] + 1}, {arm}"
