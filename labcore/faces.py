"""The Python face of the workbench: the verbs of the command line as plain calls.

Each verb blocks; `compare_async` is its twin for a notebook cell that must stay responsive. Results
are views of a recording on disk, so a result of last week is as good as one of now.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

import pandas as pd

from labcore import lanes as lane_room
from labcore import measure
from labcore.kernel import UsageError
from labcore.lanes.contract import Value
from labcore.show import print_summary, write_report

OnEvent = Callable[[str, dict[str, Any]], None]


class Result:
    """A recording with its verdicts, its figures and its report."""

    def __init__(self, recording: measure.Recording) -> None:
        self.recording = recording

    @property
    def path(self) -> Path:
        """The directory of the recording."""
        return self.recording.path

    @property
    def verdicts(self) -> pd.DataFrame:
        """One row a verdict: arm, metric, word, ratio with interval, pairs, sentence."""
        return pd.DataFrame([asdict(verdict) for verdict in self.recording.verdicts])

    @property
    def runs(self) -> pd.DataFrame:
        """One row a run, void ones included: the fields of `RunRow`."""
        return self.recording.runs

    def summary(self) -> dict[str, Any]:
        """What a script wants: directory, status, verdicts and the bottleneck of each arm."""
        valid = self.runs[~self.runs["void"].astype(bool)]
        bottlenecks = {
            str(arm): str(rows["bottleneck"].mode().iat[0]) for arm, rows in valid.groupby("arm")
        }
        return {
            "run": str(self.path),
            "status": self.recording.experiment["status"],
            "runs": len(self.runs),
            "void_runs": int(self.runs["void"].sum()),
            "bottlenecks": bottlenecks,
            "verdicts": [asdict(verdict) for verdict in self.recording.verdicts],
        }

    def print(self) -> None:
        """The verdict table on the terminal."""
        print_summary(self.recording)

    def report(self, path: str | Path | None = None) -> Path:
        """Write the self-contained HTML report (default: `report.html` in the recording)."""
        return write_report(self.recording, Path(path) if path else self.path / "report.html")

    def _repr_html_(self) -> str:
        return str(self.verdicts.to_html(index=False))


def load_run(path: str | Path) -> Result:
    """A recorded experiment, whole or interrupted. Raises: UsageError for anything else."""
    return Result(measure.Recording.open(Path(path)))


def compare(
    scenario: str,
    *,
    lanes: Sequence[str] | None = None,
    baseline: str | None = None,
    rate: float = 150.0,
    duration_s: float | None = None,
    pairs: int | None = None,
    quick: bool = False,
    parameters: Mapping[str, Value] | None = None,
    seed: int | None = None,
    out: str | Path | None = None,
    on_event: OnEvent | None = None,
    cancelled: Event | None = None,
) -> Result:
    """Measure lanes against a baseline in interleaved pairs, under open-loop load.

    Args:
        scenario: name of a scenario, for example `checkout`.
        lanes: lanes to measure, `NAME=URL` and `NAME=command {port}` for foreign ones; default all.
        baseline: the lane the others are compared with; default the scenario's.
        rate: offered load in requests per second.
        duration_s: measured seconds of each run; default 10, quick 4.
        pairs: pairs a comparison, at least 6; default 20, quick 6.
        quick: short runs and the least number of pairs.
        parameters: the scenario's own knobs, checked against their ranges.
        seed: fixes schedules, orders and the order of runs; default drawn and recorded.
        out: directory of the recording, new or empty; default `runs/<id>`.
        on_event: called with (kind, payload) from the measuring thread, at most some 10 times a second.
        cancelled: set it from elsewhere to stop; what was measured is kept.

    Raises:
        UsageError: an unknown name, a value out of range, an occupied directory.
        InterruptedRunError: cancelled.
        EnvironmentFault: no database, no port.
    """
    comparison = measure.compare(
        scenario,
        lanes=lanes,
        baseline=baseline,
        rate=rate,
        duration_s=duration_s,
        pairs=pairs,
        quick=quick,
        parameters=parameters,
        seed=seed,
        out=Path(out) if out else None,
        on_event=on_event,
        cancelled=cancelled,
    )
    return Result(comparison.recording)


@contextmanager
def serve(
    scenario: str, *, lane: str, parameters: Mapping[str, Value] | None = None
) -> Iterator[lane_room.Deployment]:
    """One lane with its database and peers, gone when the block is left."""
    card = lane_room.scenario(scenario)
    chosen = lane_room.parse_lane(lane)
    with (
        lane_room.Stage(card, card.values(parameters)) as stage,
        stage.deploy(chosen) as deployment,
    ):
        yield deployment


def conform(
    scenario: str, *, lane: str | None = None, parameters: Mapping[str, Value] | None = None
) -> list[lane_room.CheckResult]:
    """Judge a lane, ours or a foreign one, by the scenario's contract."""
    card = lane_room.scenario(scenario)
    if not card.checks:
        raise UsageError(f"scenario {scenario!r} has no conformance checks")
    with serve(scenario, lane=lane or card.baseline, parameters=parameters) as deployment:
        return lane_room.conform(deployment.site(), card.checks)
