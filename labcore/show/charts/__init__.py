"""The charts: a recording in, a figure with its finding, text alternative and numbers out."""

from collections.abc import Callable

from labcore.measure import Recording
from labcore.show.charts.capacity import capacity_curve
from labcore.show.charts.cost import cost_per_request
from labcore.show.charts.crossover import crossover_map
from labcore.show.charts.figure import Chart, Table
from labcore.show.charts.forest import verdict_forest
from labcore.show.charts.latency import latency_over_time
from labcore.show.charts.load import latency_against_rate, throughput_against_concurrency
from labcore.show.charts.pairs import paired_ratios
from labcore.show.charts.percentiles import percentile_curve
from labcore.show.charts.storm import retry_storm
from labcore.show.charts.swimlanes import swimlanes
from labcore.show.charts.timeline import resource_timeline

CHARTS: tuple[Callable[[Recording], Chart], ...] = (
    verdict_forest,
    percentile_curve,
    cost_per_request,
    latency_over_time,
    resource_timeline,
    paired_ratios,
)

__all__ = [
    "CHARTS",
    "Chart",
    "Table",
    "capacity_curve",
    "cost_per_request",
    "crossover_map",
    "latency_against_rate",
    "latency_over_time",
    "paired_ratios",
    "percentile_curve",
    "resource_timeline",
    "retry_storm",
    "swimlanes",
    "throughput_against_concurrency",
    "verdict_forest",
]
