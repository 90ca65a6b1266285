"""Sweeps as a plain call: the grid in, a table out."""

import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import Event

from labcore import measure
from labcore.faces.verbs import OnEvent
from labcore.kernel import UsageError, new_run_id, runs_dir
from labcore.lanes.contract import Value


def sweep(
    scenario: str,
    *,
    grid: Mapping[str, Sequence[Value]],
    lanes: Sequence[str] | None = None,
    baseline: str | None = None,
    rate: float = 150.0,
    duration_s: float | None = None,
    pairs: int | None = None,
    quick: bool = False,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    scheduler: str | None = None,
    command: str = "",
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> measure.Sweep:
    """Compare lanes at every point of a grid; `table` of what comes back has a row a point and verdict.

    Args:
        scenario: name of a scenario, for example `checkout`.
        grid: parameters of the scenario, or `rate`, and their values; every combination is a point.
        lanes: as for `compare`, as are `baseline`, `rate`, `duration_s`, `pairs`, `quick`,
            `parameters` and `seed`.
        baseline: the lane the others are compared with; default the scenario's.
        rate: offered load in requests per second, where it is not on the grid.
        duration_s: measured seconds of each run.
        pairs: the most pairs a lane at each point.
        quick: short runs and the least number of pairs.
        parameters: the scenario's other knobs.
        seed: every point's seed is drawn from it; default drawn and recorded.
        out: directory of the sweep, new or empty; default one below `runs/`.
        scheduler: address of a dask scheduler, `local` for one of its own; default this machine alone.
        command: what is noted as having asked for it.
        on_event: called with (kind, payload), the payload naming its `point`.
        cancelled: set it from elsewhere to stop; what was measured is kept.

    Raises:
        UsageError: an unknown name, a value out of range, an occupied directory.
        InterruptedRunError: cancelled.
        EnvironmentFault: no database, no port, no cluster.
    """
    plan = measure.SweepPlan(
        scenario=scenario,
        grid={name: tuple(values) for name, values in grid.items()},
        seed=secrets.randbelow(2**31) if seed is None else seed,
        lanes=None if lanes is None else tuple(lanes),
        baseline=baseline,
        rate_per_s=rate,
        duration_s=duration_s,
        pairs=pairs,
        quick=quick,
        parameters=parameters or {},
    )
    folder = Path(out) if out else runs_dir() / new_run_id(f"{scenario}-sweep")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{str(folder)!r} is not empty; give a new or empty directory")
    found = measure.Sweep(folder, plan, command)
    measure.run_sweep(found, scheduler=scheduler, on_event=on_event, cancelled=cancelled)
    return found


def resume_sweep(
    path: str | Path,
    *,
    scheduler: str | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> measure.Sweep:
    """Go on with a sweep where it was cut short: finished points are not measured again.

    Raises: UsageError when there is no sweep, or nothing left of it; else as `sweep`.
    """
    found = measure.Sweep.open(path)
    if found.complete:
        raise UsageError(f"{str(path)!r} is complete; there is nothing to resume, sweep anew")
    measure.run_sweep(found, scheduler=scheduler, on_event=on_event, cancelled=cancelled)
    return found
