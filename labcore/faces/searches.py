"""What a search for capacities and a crossover map hand back: recordings, read anew each time."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from labcore.faces.result import RESULT_MIME, Result, plain
from labcore.measure import (
    CapacityResult,
    CrossoverResult,
    Recording,
    capacity_results,
    crossover_result,
)

if TYPE_CHECKING:
    import pandas as pd


class CapacitySearch(Result):
    """The capacities of lanes: for each the rate that holds and the rate that does not."""

    @property
    def results(self) -> list[CapacityResult]:
        """One result a lane, with every rate that was tried."""
        return capacity_results(self.recording)

    @property
    def brackets(self) -> "pd.DataFrame":
        """One row a lane: highest passing and lowest failing rate, state, bottleneck, sentence."""
        import pandas as pd

        rows = [asdict(result) for result in self.results]
        return pd.DataFrame(rows).drop(columns="points")

    @property
    def points(self) -> "pd.DataFrame":
        """One row a lane and rate: state, passes, fails, voids, medians, bottleneck."""
        import pandas as pd

        return pd.DataFrame([asdict(point) for result in self.results for point in result.points])

    def summary(self) -> dict[str, Any]:
        """What a script wants: directory, status and the result of each lane."""
        return _summary(self) | {"results": [asdict(result) for result in self.results]}

    def print(self) -> None:
        """One sentence a lane."""
        for result in self.results:
            _say(result.sentence)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return _bundle(self.brackets, self.summary())


class CrossoverMap(Result):
    """Who wins where: a parameter of the scenario by the offered rate."""

    @property
    def result(self) -> CrossoverResult:
        """The whole map."""
        return crossover_result(self.recording)

    @property
    def cells(self) -> "pd.DataFrame":
        """One row a cell: value, rate, word, ratio with interval, pairs, bottlenecks."""
        import pandas as pd

        return pd.DataFrame([asdict(cell) for cell in self.result.cells])

    @property
    def words(self) -> "pd.DataFrame":
        """The words as they lie on the map: a row a value, a column a rate."""
        return self.cells.pivot_table(
            index="value", columns="rate_per_s", values="word", aggfunc="first"
        )

    @property
    def runs(self) -> "pd.DataFrame":
        """One row a run of every cell, void ones included, with the cell's `value` and `path`."""
        import pandas as pd

        tables = [
            Recording.open(self.path / cell.path).runs.assign(value=cell.value, path=cell.path)
            for cell in self.result.cells
            if (self.path / cell.path / "experiment.json").is_file()
        ]
        return pd.concat(tables, ignore_index=True) if tables else self.recording.runs

    def summary(self) -> dict[str, Any]:
        """What a script wants: directory, status and the map."""
        return _summary(self) | {"result": asdict(self.result)}

    def print(self) -> None:
        """The words as they lie on the map, and how many there are of each."""
        result = self.result
        _say(f"rows: {result.parameter} ({result.unit}); columns: requests/s")
        table = self.words.rename(index="{:g}".format, columns="{:g}".format)
        _say(table.rename_axis(index=None, columns=None).to_string())
        _say(result.sentence)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return _bundle(self.words.reset_index(), self.summary())


def _summary(found: Result) -> dict[str, Any]:
    runs = found.runs
    return {
        "run": str(found.path),
        "kind": found.recording.kind,
        "status": found.recording.experiment["status"],
        "runs": len(runs),
        "void_runs": int(runs["void"].sum()),
    }


def _bundle(table: "pd.DataFrame", summary: dict[str, Any]) -> dict[str, Any]:
    return {
        "text/html": table.to_html(index=False, float_format="{:.3g}".format),
        "text/plain": table.to_string(index=False),
        RESULT_MIME: json.loads(json.dumps(plain(summary), default=str)),
    }


_FACES: dict[str, type[Result]] = {"capacity": CapacitySearch, "crossover": CrossoverMap}


def face_of(recording: Recording) -> Result:
    """The recording with the face of its kind."""
    return _FACES.get(recording.kind, Result)(recording)


def load_run(path: str | Path) -> Result:
    """A recorded experiment of any kind, whole or interrupted: a `Result`, or the one of its kind.

    Raises: UsageError for anything else.
    """
    return face_of(Recording.open(path))


def _say(text: str) -> None:
    Console().print(text, highlight=False, markup=False)
