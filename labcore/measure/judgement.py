"""When a run proves nothing: every void rule, in one table.

Pure. A rule reads one figure of the run and has one limit; what is NaN was not measured and voids
nothing. The speed of the core is recorded and is no rule: it changes within a second and did not
predict a run's outcome when tried. Other people's CPU is no rule either, what it does to the driver
is: run-queue delay and lateness.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

from labcore.measure import bottleneck
from labcore.measure.record import RunRow
from labcore.measure.recorder import FAILURES

Unit = Literal["share", "ms", "us", "count"]

_FORMATS: Final[dict[Unit, str]] = {
    "share": "{:.1%}",
    "ms": "{:.1f} ms",
    "us": "{:.0f} us",
    "count": "{:.0f}",
}


@dataclass(frozen=True, slots=True)
class Rule:
    """A run is void when `reading` is above `limit`."""

    name: str
    unit: Unit
    reading: Callable[[RunRow], float]
    limit: Callable[[RunRow], float]
    sentence: str  # with {reading} and {limit}
    driver: bool = False  # whether it accuses the load driver, which is then the bottleneck


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that fired."""

    rule: Rule
    reading: float
    limit: float

    @property
    def sentence(self) -> str:
        """The rule in words, with value and limit."""
        text = _FORMATS[self.rule.unit]
        return self.rule.sentence.format(
            reading=text.format(self.reading), limit=text.format(self.limit)
        )


def findings(row: RunRow) -> list[Finding]:
    """The rules that void this run, in the table's order; none for a valid run."""
    judged = [Finding(rule, rule.reading(row), rule.limit(row)) for rule in RULES]
    return [finding for finding in judged if finding.reading > finding.limit]


def _always(limit: float) -> Callable[[RunRow], float]:
    return lambda _row: limit


def _lateness_limit_us(row: RunRow) -> float:
    """1 ms, or 5 % of the median latency where that is more: late by what nobody would notice."""
    share_us = 0.05 * row.p50_ms * 1e3
    return 1000.0 if math.isnan(share_us) else max(1000.0, share_us)


def _unexplained_share(row: RunRow) -> float:
    """Requests without any answer, unless something in the server was full.

    A lane that answers with an error is measured as such; but answers that stay away while nothing
    is busy say that something else than the lane was measured.
    """
    if not row.requests or bottleneck.inside(row) or math.isnan(row.server_cpu_share):
        return 0.0
    return sum(row.outcomes.get(word, 0) for word in FAILURES) / row.requests


def _server_delay_share(row: RunRow) -> float:
    """Time the server was kept from its core by others.

    Its threads also wait for each other, which is the lane's own doing; nobody else can have delayed
    them for longer than others used that core.
    """
    if math.isnan(row.server_core_foreign_share):
        return row.server_run_delay_share
    return min(row.server_run_delay_share, row.server_core_foreign_share)


RULES: Final = (
    Rule(
        "server not quiet",
        "ms",
        lambda row: row.unquiet_ms,
        _always(4.0),
        "The server used {reading} of CPU within 120 ms before the load began (limit {limit}).",
    ),
    Rule(
        "answers missing",
        "share",
        _unexplained_share,
        _always(0.01),
        "{reading} of the requests got no answer while the server idled (limit {limit}).",
    ),
    Rule(
        "send lateness",
        "us",
        lambda row: row.lateness_p99_us,
        _lateness_limit_us,
        "The driver sent late, by {reading} at p99 (limit {limit}).",
        driver=True,
    ),
    Rule(
        "driver CPU",
        "share",
        lambda row: row.driver_cpu_share,
        _always(0.70),
        "The driver used {reading} of its core (limit {limit}).",
        driver=True,
    ),
    Rule(
        "driver run-queue delay",
        "share",
        lambda row: row.driver_run_delay_share,
        _always(0.05),
        "The driver waited for its core during {reading} of the run (limit {limit}).",
        driver=True,
    ),
    Rule(
        "audience run-queue delay",
        "share",
        lambda row: row.audience_run_delay_share,
        _always(0.05),
        "The subscribers waited for their core during {reading} of the run (limit {limit}).",
        driver=True,
    ),
    Rule(
        "audience CPU",
        "share",
        lambda row: row.audience_cpu_share,
        _always(0.70),
        "The subscribers used {reading} of their core (limit {limit}).",
        driver=True,
    ),
    Rule(
        "server run-queue delay",
        "share",
        _server_delay_share,
        _always(0.05),
        "Others kept the server from its core during {reading} of the run (limit {limit}).",
    ),
    Rule(
        "connect failures",
        "count",
        lambda row: float(row.connect_failures),
        _always(0.0),
        "{reading} connections could not be opened (limit {limit}).",
    ),
    Rule(
        "listen overflows",
        "count",
        lambda row: row.listen_overflows,
        _always(0.0),
        "{reading} connections were dropped by a full listen queue of this machine (limit {limit}).",
    ),
    Rule(
        "steal",
        "share",
        lambda row: row.steal_share,
        _always(0.02),
        "The host took away {reading} of the machine's time (limit {limit}).",
    ),
)
