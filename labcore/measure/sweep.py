"""A sweep: the same comparison at every point of a grid, here or on many machines, resumable.

    runs/<id>/
      sweep.json        what was asked for (`SweepPlan`), the command, status
      points/<point>/   the recording of each point's comparison, like any other
      table.csv         one row a point, arm and metric, rewritten after every point

A point that came to its end is never measured again; one that was cut short goes on where it stopped.
Each point's seed is drawn from the sweep's, so the same sweep gives the same schedules wherever it
runs. A point judges by its own pairs alone: a sweep looks at a shape, and claims nothing over all of
its points together.
"""

import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from statistics import mode
from threading import Event
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from labcore import lanes as lane_room
from labcore.kernel import UsageError
from labcore.lanes import Value
from labcore.measure.design import RATE_PER_S, choose, draw_up
from labcore.measure.experiment import compare, resume_comparison
from labcore.measure.recording import Recording
from labcore.measure.run import OnEvent

if TYPE_CHECKING:  # half a second for the load driver, which needs no table
    import pandas as pd

FORMAT: Final = "labcore sweep"
RATE: Final = "rate"  # the offered load may lie on the grid like a parameter
SEED_STREAM: Final = 5  # keeps these draws apart from those of blocks, searches and maps
MOST_POINTS: Final = 10_000

Point = dict[str, Value]
Measure = Callable[[Point, Path], None]


@dataclass(frozen=True, slots=True)
class SweepPlan:
    """What a sweep measures, checked as a whole before its first point.

    Raises: UsageError for an unknown name, a value out of range, or an empty side of the grid.
    """

    scenario: str
    grid: Mapping[str, tuple[Value, ...]]  # `rate`, or a parameter of the scenario, and its values
    seed: int
    lanes: tuple[str, ...] | None = None
    baseline: str | None = None
    rate_per_s: float = RATE_PER_S
    duration_s: float | None = None
    pairs: int | None = None
    quick: bool = False
    parameters: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        card = lane_room.scenario(self.scenario)
        if not self.grid:
            raise UsageError("the grid has no side; give one, such as payment_ms=0,20,100")
        checked: dict[str, tuple[Value, ...]] = {}
        for name, values in self.grid.items():
            if name in self.parameters:
                raise UsageError(f"{name!r} is set and on the grid; give it once")
            if not values or len(set(values)) < len(values):
                raise UsageError(
                    f"{name}={list(values)!r} is no side of a grid; give different values"
                )
            checked[name] = tuple(
                _rate(value) if name == RATE else card.values({name: value})[name]
                for value in values
            )
        if math.prod(map(len, checked.values())) > MOST_POINTS:
            raise UsageError(f"the grid has more than {MOST_POINTS} points; make it coarser")
        object.__setattr__(self, "grid", checked)
        object.__setattr__(self, "parameters", dict(self.parameters))
        for point in self.points[:1]:
            draw_up(
                card, choose(card, self.lanes, self.baseline), **self._given(point), seed=self.seed
            )

    @property
    def points(self) -> list[Point]:
        """Every point, the last side of the grid changing fastest."""
        names = list(self.grid)
        return [dict(zip(names, values, strict=True)) for values in product(*self.grid.values())]

    def setting(self) -> dict[str, Any]:
        """The plan as JSON values."""
        document = asdict(self)
        document["grid"] = {name: list(values) for name, values in self.grid.items()}
        return document

    @classmethod
    def from_setting(cls, setting: Mapping[str, Any]) -> "SweepPlan":
        """The plan that somebody stored or sent."""
        grid = {name: tuple(values) for name, values in setting["grid"].items()}
        lanes = None if setting["lanes"] is None else tuple(setting["lanes"])
        return cls(**{**setting, "grid": grid, "lanes": lanes})

    def folder(self, point: Mapping[str, Value]) -> str:
        """Where a point's recording lies, below the sweep's."""
        return "points/" + ",".join(f"{name}={_plain(value)}" for name, value in point.items())

    def seed_of(self, point: Point) -> int:
        """The seed of a point's comparison."""
        draw = np.random.default_rng([self.seed, SEED_STREAM, self.points.index(point)])
        return int(draw.integers(0, 2**31))

    def measure(
        self,
        point: Point,
        folder: Path,
        *,
        on_event: OnEvent | None = None,
        cancelled: Event | None = None,
    ) -> None:
        """Measure one point into that folder, or go on with what is there. Raises: as `compare`."""
        if (folder / "experiment.json").is_file():
            if not Recording.open(folder).complete:
                resume_comparison(folder, on_event=on_event, cancelled=cancelled)
            return
        compare(
            self.scenario,
            lanes=self.lanes,
            baseline=self.baseline,
            **self._given(point),
            seed=self.seed_of(point),
            out=folder,
            on_event=on_event,
            cancelled=cancelled,
        )

    def _given(self, point: Point) -> dict[str, Any]:
        inner = {name: value for name, value in point.items() if name != RATE}
        return {
            "rate": float(point.get(RATE, self.rate_per_s)),
            "duration_s": self.duration_s,
            "pairs": self.pairs,
            "quick": self.quick,
            "parameters": {**self.parameters, **inner},
        }


@dataclass(frozen=True, slots=True)
class Sweep:
    """A sweep on disk, whole or not."""

    path: Path
    plan: SweepPlan
    command: str = ""

    @classmethod
    def open(cls, path: str | Path) -> "Sweep":
        """The sweep in that directory. Raises: UsageError when there is none."""
        folder = Path(path)
        try:
            document = json.loads((folder / "sweep.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as exc:
            raise UsageError(f"{str(path)!r} holds no sweep: no readable sweep.json in it") from exc
        if document.get("format") != FORMAT:
            raise UsageError(f"{str(path)!r} holds no sweep: its sweep.json is another's")
        return cls(folder, SweepPlan.from_setting(document["plan"]), document["command"])

    def create(self) -> None:
        """Write down what is going to be measured."""
        self.path.mkdir(parents=True, exist_ok=True)
        document = {"format": FORMAT, "command": self.command, "plan": self.plan.setting()}
        _replace(self.path / "sweep.json", json.dumps(document, indent=2) + "\n")

    def place(self, point: Point) -> Path:
        """Where the point's recording lies."""
        return self.path / self.plan.folder(point)

    def recording(self, point: Point) -> Recording | None:
        """What there is of a point; None where nothing was begun."""
        place = self.place(point)
        return Recording.open(place) if (place / "experiment.json").is_file() else None

    @property
    def missing(self) -> list[Point]:
        """The points that did not come to their end yet, in their order."""
        return [
            point
            for point in self.plan.points
            if (found := self.recording(point)) is None or not found.complete
        ]

    @property
    def complete(self) -> bool:
        """Whether every point came to its end."""
        return not self.missing

    @property
    def table(self) -> "pd.DataFrame":
        """One row a point, arm and metric, as far as measured, in the order of the grid.

        Columns: the sides of the grid; `arm`, `metric`, `word`, `ratio`, `low`, `high`, `pairs`,
        `void_pairs`; `value` and `baseline_value`, medians over valid runs in the metric's unit;
        `bottleneck`, the arm's most frequent; `run`, the recording's folder.
        """
        import pandas as pd

        rows = [row for point in self.plan.points for row in self._rows(point)]
        return pd.DataFrame(rows, columns=[*self.plan.grid, *_COLUMNS])

    def save_table(self) -> Path:
        """Write `table.csv`, and return its path."""
        path = self.path / "table.csv"
        _replace(path, self.table.to_csv(index=False))
        return path

    def _rows(self, point: Point) -> list[dict[str, Any]]:
        recording = self.recording(point)
        if recording is None:
            return []
        runs = recording.runs
        valid = runs[~runs["void"].astype(bool)]
        medians = valid.groupby("arm").median(numeric_only=True)
        named = {arm: mode(rows["bottleneck"]) for arm, rows in valid.groupby("arm")}
        baseline = recording.design.baseline
        return [
            {
                **point,
                **{name: getattr(verdict, name) for name in _OF_VERDICT},
                "value": _at(medians, verdict.arm, verdict.metric),
                "baseline_value": _at(medians, baseline, verdict.metric),
                "bottleneck": named.get(verdict.arm, ""),
                "run": self.plan.folder(point),
            }
            for verdict in recording.verdicts
        ]


_OF_VERDICT: Final = ("arm", "metric", "word", "ratio", "low", "high", "pairs", "void_pairs")
_COLUMNS: Final = (*_OF_VERDICT, "value", "baseline_value", "bottleneck", "run")


def _at(medians: "pd.DataFrame", arm: str, metric: str) -> float:
    return float(medians[metric].get(arm, math.nan))


def _rate(value: Value) -> float:
    try:
        rate = float(value)
    except ValueError:
        rate = math.nan
    if not 0 < rate < math.inf:
        raise UsageError(f"rate={value!r} is out of range; give requests per second above 0")
    return rate


def _plain(value: Value) -> str:
    text = f"{value:g}" if isinstance(value, float) else str(value)
    return "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in text)


def _replace(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def sides(grid: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """`["payment_ms=0,20"]` to names and values as written. Raises: UsageError for anything else."""
    found: dict[str, tuple[str, ...]] = {}
    for text in grid:
        name, _, values = text.partition("=")
        parts = tuple(part.strip() for part in values.split(",") if part.strip())
        if not name.strip() or not parts:
            raise UsageError(
                f"--grid {text!r} is no parameter with values; write payment_ms=0,5,20"
            )
        if name.strip() in found:
            raise UsageError(f"--grid names {name.strip()!r} twice; give all its values at once")
        found[name.strip()] = parts
    return found
