"""A recording: the directory of one experiment, written atomically and readable at every moment.

It decides how the nouns of `labcore.measure.record` lie on disk. Each file is written beside its
place and then renamed, and a run counts only once its row is in `runs.parquet`; so a recording cut
short by an interrupt, a crash or a power failure opens like any other, with the runs it has.

What is measured and what it means is decided elsewhere: here nothing is computed.
"""

import json
import math
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import pyarrow as pa
import pyarrow.parquet as pq

from labcore.kernel import UsageError, utc_now
from labcore.measure.record import (
    REQUEST_COLUMNS,
    SAMPLE_COLUMNS,
    SCHEMA_VERSION,
    Design,
    Kind,
    RunRow,
)
from labcore.measure.verdict import Verdict

if TYPE_CHECKING:  # half a second for the load driver, which needs no table
    import pandas as pd

FORMAT = "labcore experiment"
PARTIAL = "partial"
COMPLETE = "complete"

_ARROW = {
    str: pa.string(),
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    dict[str, int]: pa.map_(pa.string(), pa.int64()),
}
_RUNS = pa.schema([(field.name, _ARROW[field.type]) for field in fields(RunRow)])  # type: ignore[index]  # a field's type is a class here: the module has no postponed annotations
_REQUESTS = pa.schema(list(REQUEST_COLUMNS.items()))
_SAMPLES = pa.schema(list(SAMPLE_COLUMNS.items()))


@final
class Recording:
    """One experiment on disk: `open` an existing one, `create` a new one.

    Not safe for several writers; any number of readers may open it while it grows.
    """

    def __init__(
        self,
        path: Path,
        experiment: dict[str, Any],
        *,
        rows: Iterable[Mapping[str, Any]] = (),
        verdicts: Iterable[Verdict] = (),
    ) -> None:
        self.path = path
        self.experiment = experiment
        self.design = _design(experiment["design"])
        self.verdicts: list[Verdict] = list(verdicts)
        self._rows = [dict(row) for row in rows]

    @classmethod
    def open(cls, path: str | Path) -> "Recording":
        """The recording in that directory, whole or partial.

        Raises:
            UsageError: there is no recording, or one of another kind or version.
        """
        folder = Path(path)
        experiment = _read_experiment(folder)
        rows_file = folder / "runs.parquet"
        rows: list[dict[str, Any]] = []
        if rows_file.is_file():
            table = pq.read_table(rows_file, schema=_RUNS)
            rows = table.to_pylist(maps_as_pydicts="strict")
        return cls(folder, experiment, rows=rows, verdicts=_read_verdicts(folder))

    @classmethod
    def create(
        cls,
        path: str | Path,
        design: Design,
        environment: Mapping[str, Any],
        *,
        command: str = "",
        seeds: Mapping[str, Any] | None = None,
        kind: Kind = "compare",
        facts: Mapping[str, Any] | None = None,
    ) -> "Recording":
        """A new recording in a new or empty directory.

        Args:
            path: the directory; it is created.
            design: what was decided before the first run.
            environment: machine and versions, JSON values only.
            command: the exact command that measures the same again.
            seeds: the seeds drawn from the design's seed, by name.
            kind: of the experiment.
            facts: what else belongs into `experiment.json`, JSON values only.

        Raises:
            UsageError: the directory holds something, or is a file.
        """
        folder = Path(path)
        check_vacant(folder)
        for inner in (folder, folder / "requests", folder / "samples"):
            inner.mkdir(parents=True, exist_ok=True)
        experiment = {
            "format": FORMAT,
            "kind": kind,
            "schema_version": SCHEMA_VERSION,
            "status": PARTIAL,
            "started_at": utc_now().isoformat(timespec="seconds"),
            "finished_at": None,
            "command": command,
            "design": asdict(design)
            | {"arms": list(design.arms), "looks": list(design.looks)},  # as JSON gives it back
            "seeds": dict(seeds or {}),
            "environment": dict(environment),
            **(facts or {}),
        }
        recording = cls(folder, experiment)
        recording._save_experiment()
        return recording

    @property
    def kind(self) -> Kind:
        """What sort of experiment; recordings older than the word are comparisons."""
        kind: Kind = self.experiment.get("kind", "compare")
        return kind

    @property
    def complete(self) -> bool:
        """Whether it came to its end."""
        return bool(self.experiment["status"] == COMPLETE)

    @property
    def runs(self) -> "pd.DataFrame":
        """One row a run, void ones included, in the order they ran: the fields of `RunRow`."""
        table = pa.Table.from_pylist(self._rows, schema=_RUNS)
        frame: pd.DataFrame = table.to_pandas(maps_as_pydicts="strict")
        return frame

    def requests(self, run: str) -> "pd.DataFrame":
        """Every request of a run, `REQUEST_COLUMNS`. Raises: UsageError for an unknown run."""
        return self._read("requests", run)

    def samples(self, run: str) -> "pd.DataFrame":
        """Every sample of a run, `SAMPLE_COLUMNS`. Raises: UsageError for an unknown run."""
        return self._read("samples", run)

    def requests_path(self, run: str) -> Path:
        """Where the requests of that run belong; the load driver writes them there itself."""
        return self.path / "requests" / f"{run}.parquet"

    def deliveries(self, run: str) -> "pd.DataFrame":
        """Every event at every subscriber of a run, `REQUEST_COLUMNS`.

        Raises: UsageError for an unknown run, or one that had no audience.
        """
        if not self.deliveries_path(run).is_file():
            raise UsageError(
                f"run {run!r} in {self.path} had no audience, so nothing was delivered"
            )
        return self._read("deliveries", run)

    def deliveries_path(self, run: str) -> Path:
        """Where that run's deliveries belong; the subscribers' process writes them there itself."""
        return self.path / "deliveries" / f"{run}.parquet"

    def samples_path(self, run: str) -> Path:
        """Where the samples of that run belong."""
        return self.path / "samples" / f"{run}.parquet"

    def add_run(
        self, row: RunRow, *, samples: "pd.DataFrame", requests: "pd.DataFrame | None" = None
    ) -> None:
        """Store a finished run; it counts from the moment this returns.

        Args:
            row: its summary.
            samples: `SAMPLE_COLUMNS`; may be empty.
            requests: `REQUEST_COLUMNS`, or None when the driver has written `requests_path(run)`.

        Raises:
            UsageError: the run is there already, a column is missing, or no requests were written.
        """
        if any(known["run"] == row.run for known in self._rows):
            raise UsageError(f"run {row.run!r} is recorded already; give every run its own name")
        if requests is not None:
            _write_table(_table(requests, _REQUESTS), self.requests_path(row.run))
        elif not self.requests_path(row.run).is_file():
            raise UsageError(
                f"run {row.run!r} has no requests; write {self.requests_path(row.run)}"
            )
        _write_table(_table(samples, _SAMPLES), self.samples_path(row.run))
        self._rows.append(asdict(row))
        self._save_runs()

    def set_aside(self, runs: Iterable[str], *, why: str) -> None:
        """Void runs that are to be measured again; they stay in the record with the reason."""
        names = set(runs)
        for row in self._rows:
            if row["run"] in names:
                row |= {"void": True, "why": f"{row['why']} {why}".strip()}
        self._save_runs()

    def save_verdicts(self, verdicts: Iterable[Verdict]) -> None:
        """Replace the verdicts."""
        self.verdicts = list(verdicts)
        document = [_without_nan(asdict(verdict)) for verdict in self.verdicts]
        _write_json(document, self.path / "verdict.json")

    def save_result(self, result: Any) -> None:
        """Replace what came of a search or a map: `capacity.json`, `crossover.json` by the kind."""
        _write_json(_plain(result), self.path / f"{self.kind}.json")

    def update(self, **facts: Any) -> None:
        """Add facts to `experiment.json`, for example the projected time; JSON values only."""
        self.experiment |= facts
        self._save_experiment()

    def finish(self, *, complete: bool) -> None:
        """Stamp the end; a recording that never got here stays partial."""
        self.update(
            status=COMPLETE if complete else PARTIAL,
            finished_at=utc_now().isoformat(timespec="seconds"),
        )

    def _save_runs(self) -> None:
        _write_table(pa.Table.from_pylist(self._rows, schema=_RUNS), self.path / "runs.parquet")

    def _save_experiment(self) -> None:
        _write_json(self.experiment, self.path / "experiment.json")

    def _read(self, kind: str, run: str) -> "pd.DataFrame":
        if not any(known["run"] == run for known in self._rows):
            known_runs = ", ".join(known["run"] for known in self._rows) or "none"
            raise UsageError(f"no run {run!r} in {self.path}; it has: {known_runs}")
        frame: pd.DataFrame = pq.read_table(self.path / kind / f"{run}.parquet").to_pandas()
        return frame


def check_vacant(path: Path) -> None:
    """Refuse a place that holds something. Raises: UsageError naming it."""
    if path.is_dir() and not any(path.iterdir()):
        return
    if path.exists():
        raise UsageError(f"{str(path)!r} is not empty; give a new or empty directory for the runs")


def _read_experiment(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise UsageError(
            f"there is no recording at {str(folder)!r}; give a directory such as runs/<id>"
        )
    try:
        document = json.loads((folder / "experiment.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as exc:
        raise UsageError(
            f"{str(folder)!r} is not a recording: no readable experiment.json in it"
        ) from exc
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise UsageError(f"{str(folder)!r} is not a recording: its experiment.json is another's")
    version = document.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UsageError(
            f"{str(folder)!r} has schema version {version!r}; this workbench reads {SCHEMA_VERSION}"
        )
    return document


def _design(document: Mapping[str, Any]) -> Design:
    listed = {name: tuple(document.get(name, ())) for name in ("arms", "looks")}
    return Design(**{**document, **listed})


def _read_verdicts(folder: Path) -> list[Verdict]:
    path = folder / "verdict.json"
    if not path.is_file():
        return []
    documents = json.loads(path.read_text(encoding="utf-8"))
    return [Verdict(**_with_nan(document)) for document in documents]


_NUMBERS = {field.name for field in fields(Verdict) if field.type is float}


def _without_nan(document: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN and no infinity: null stands for what is not known."""
    unknown = {name for name in _NUMBERS if not math.isfinite(document[name])}
    return {name: None if name in unknown else value for name, value in document.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _with_nan(document: dict[str, Any]) -> dict[str, Any]:
    return {
        name: math.nan if value is None and name in _NUMBERS else value
        for name, value in document.items()
    }


def _table(frame: "pd.DataFrame", schema: pa.Schema) -> pa.Table:
    missing = [name for name in schema.names if name not in frame.columns]
    if missing:
        raise UsageError(f"column {missing[0]!r} is missing; give {', '.join(schema.names)}")
    return pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False)


def _write_table(table: pa.Table, path: Path) -> None:
    beside = _beside(path)
    try:
        pq.write_table(table, beside, compression="zstd")
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _write_json(document: Any, path: Path) -> None:
    beside = _beside(path)
    try:
        text = json.dumps(document, indent=2, allow_nan=False)
        beside.write_text(text + "\n", encoding="utf-8")
        beside.replace(path)
    finally:
        with suppress(FileNotFoundError):
            beside.unlink()


def _beside(path: Path) -> Path:
    """A name in the same directory, so that the rename is one step of the file system."""
    return path.with_name(f".{path.name}.{os.getpid()}")
