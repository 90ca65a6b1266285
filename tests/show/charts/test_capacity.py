import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import Any

import pytest

from labcore.kernel import UsageError
from labcore.measure import CapacityPoint, CapacityResult
from labcore.show import capacity_curve
from labcore.show.charts.capacity import bracket_text


def point(rate: float, state: Any, p99_ms: float, lane: str = "reactive") -> CapacityPoint:
    return CapacityPoint(
        lane=lane,
        rate_per_s=rate,
        state=state,
        passes=3 if state == "passed" else 0,
        fails=3 if state == "failed" else 0,
        voids=0,
        p50_ms=p99_ms / 4,
        p99_ms=p99_ms,
        error_share=0.0,
        achieved_per_s=rate,
        server_cpu_share=0.5,
        cpu_per_request_us=600.0,
        bottleneck="none",
        evidence="",
        runs=("r0001",),
    )


def result(lane: str = "reactive", **changes: Any) -> CapacityResult:
    plain = CapacityResult(
        scenario="checkout",
        lane=lane,
        objective="p99<250ms,errors<0.1%",
        state="bracketed",
        highest_passing_per_s=400.0,
        lowest_failing_per_s=500.0,
        bottleneck="server CPU",
        evidence="",
        points=(
            point(200, "passed", 90, lane),
            point(400, "passed", 180, lane),
            point(450, "void", math.nan, lane),
            point(500, "failed", 900, lane),
        ),
        sentence="",
    )
    return replace(plain, **changes)


def test_the_title_states_the_bracket_of_every_lane():
    threads = result("threads", lowest_failing_per_s=math.nan, state="above the range")
    title = capacity_curve([result(), threads]).title
    assert title == (
        "Capacity for p99<250ms, errors<0.1%: reactive 400 to 500/s and threads at least 400/s"
    )


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (400.0, 500.0, "400 to 500/s"),
        (800.0, math.nan, "at least 800/s"),
        (math.nan, 50.0, "below 50/s"),
        (math.nan, math.nan, "unknown"),
    ],
)
def test_a_bracket_open_at_an_end_says_so(low: float, high: float, text: str):
    assert bracket_text(result(highest_passing_per_s=low, lowest_failing_per_s=high)) == text


def test_the_objective_is_a_line_on_the_p99_panel_only():
    p50, p99 = capacity_curve([result()]).figure.axes
    at = [
        [line for line in axes.lines if list(line.get_ydata()) == [250.0, 250.0]]  # type: ignore[arg-type]  # a line's data are a sequence
        for axes in (p50, p99)
    ]
    assert [len(found) for found in at] == [0, 1]
    assert p50.get_yscale() == "log"


def test_every_rate_offered_is_in_the_table_void_ones_too():
    chart = capacity_curve([result()])
    assert [row[1:3] for row in chart.table.rows] == [
        (200, "passed"), (400, "passed"), (450, "void"), (500, "failed"),
    ]  # fmt: skip
    assert "at 450/s void" in chart.alt
    assert ET.fromstring(chart.svg()).tag.endswith("svg")


def test_a_search_that_found_nothing_can_be_drawn():
    empty = result(points=(), highest_passing_per_s=math.nan, lowest_failing_per_s=math.nan)
    assert "reactive unknown" in capacity_curve([empty]).title


def test_results_that_answer_different_questions_are_refused():
    with pytest.raises(UsageError, match="no capacity results"):
        capacity_curve([])
    with pytest.raises(UsageError, match="several objectives"):
        capacity_curve([result(), result("threads", objective="p99<100ms")])
