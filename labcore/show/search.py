"""What the report of a search says: a capacity's brackets, in the words of its record."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from labcore.kernel import UsageError
from labcore.measure import CapacityResult, Recording, capacity_results
from labcore.show.charts import Chart, Table, capacity_curve
from labcore.show.charts.capacity import bracket_text
from labcore.show.words import listed, number

SECTIONS = (
    "answer", "charts", "limits", "method", "validity", "parameters", "environment", "reproduce",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Search:
    """The parts of a page that a search fills: plain words, charts and one table of limits."""

    eyebrow: str
    question: str
    load: str
    lead: str
    sentences: tuple[str, ...]
    charts: tuple[Chart, ...]
    limits: Table
    method: tuple[tuple[str, str], ...]
    runs: pd.DataFrame  # all that were made, void ones too


def search_of(recording: Recording) -> Search:
    """What the recording of a search says. Raises: UsageError for a kind without a page."""
    if recording.kind == "capacity":
        return _capacity(recording)
    raise UsageError(f"no report for a recording of kind {recording.kind!r}; give a capacity's")


def _capacity(recording: Recording) -> Search:
    results = capacity_results(recording)
    scenario, lanes = recording.design.scenario, listed(result.lane for result in results)
    ladder = recording.experiment["ladder"]
    chart = capacity_curve(results)
    return Search(
        eyebrow="Capacity",
        question=f"How much load can {lanes} take on {scenario}?",
        load=f"{number(ladder['lowest_per_s'])} to {number(ladder['highest_per_s'])} requests/s in open loop",
        lead=chart.title,
        sentences=tuple(result.sentence for result in results),
        charts=(chart,) if chart.table.rows else (),
        limits=_limits(results),
        method=(
            (
                "A bracket, not a fit",
                "Rates are rungs of a ladder fixed beforehand. The capacity lies between the highest rate"
                " that kept the objective in every confirming run and the lowest that most runs missed.",
            ),
            (
                "Each rate anew",
                "Every run has a fresh server and its own arrivals; lanes take turns, so that a drift of"
                " the machine falls on all of them.",
            ),
            (
                "What a short run can hide",
                "An overload needs time to queue up: with p99 below L seconds in runs of D seconds,"
                " offering up to about L/D too much may still pass.",
            ),
        ),
        runs=recording.runs,
    )


def _limits(results: Sequence[CapacityResult]) -> Table:
    rows = tuple(
        (
            result.lane,
            bracket_text(result),
            result.state,
            result.bottleneck or "–",
            result.evidence or "–",
        )
        for result in results
    )
    columns = ("lane", "capacity", "bracket", "bottleneck where it broke", "evidence")
    return Table(columns, rows)
