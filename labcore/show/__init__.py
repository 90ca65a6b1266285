"""Floor 5: a record in, a picture out: charts, marbles, report, widgets.

The book's pages load on first use: what reads notebooks and colours code is half a second for every verb.
"""

from typing import TYPE_CHECKING, Any

from labcore.show.adr import decision_of, outcome_of, render_adr, write_adr
from labcore.show.charts import (
    CHARTS,
    Chart,
    capacity_curve,
    cost_per_request,
    crossover_map,
    latency_against_rate,
    latency_over_time,
    paired_ratios,
    percentile_curve,
    resource_timeline,
    retry_storm,
    swimlanes,
    throughput_against_concurrency,
    verdict_forest,
)
from labcore.show.marbles import Marbles, marbles
from labcore.show.palette import LaneStyle, lane_styles
from labcore.show.report import render_report, write_report
from labcore.show.summary import answer_of, print_summary, summary_text

if TYPE_CHECKING:
    from labcore.show.book import write_book

__all__ = [
    "CHARTS",
    "Chart",
    "LaneStyle",
    "Marbles",
    "answer_of",
    "capacity_curve",
    "cost_per_request",
    "crossover_map",
    "decision_of",
    "lane_styles",
    "latency_against_rate",
    "latency_over_time",
    "marbles",
    "outcome_of",
    "paired_ratios",
    "percentile_curve",
    "print_summary",
    "render_adr",
    "render_report",
    "resource_timeline",
    "retry_storm",
    "summary_text",
    "swimlanes",
    "throughput_against_concurrency",
    "verdict_forest",
    "write_adr",
    "write_book",
    "write_report",
]


def __getattr__(name: str) -> Any:
    """The book's writer, imported when it is first asked for (PEP 562)."""
    if name == "write_book":
        from labcore.show.book import write_book

        return write_book
    raise AttributeError(f"module 'labcore.show' has no attribute {name!r}")
