"""Each void rule fires alone, above its limit and not at it."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labcore.measure.judgement import RULES, Finding, findings
from labcore.measure.record import RunRow

MakeRow = Callable[..., RunRow]

CASES: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
    ("server not quiet", {"unquiet_ms": 4.0}, {"unquiet_ms": 4.1}),
    (
        "answers missing",
        {"outcomes": {"ok": 792, "timeout": 8}},
        {"outcomes": {"ok": 791, "timeout": 8, "overload": 1}},
    ),
    ("send lateness", {"lateness_p99_us": 1500.0}, {"lateness_p99_us": 1501.0}),
    ("driver CPU", {"driver_cpu_share": 0.70}, {"driver_cpu_share": 0.71}),
    (
        "driver run-queue delay",
        {"driver_run_delay_share": 0.05},
        {"driver_run_delay_share": 0.051},
    ),
    (
        "audience run-queue delay",
        {"audience_run_delay_share": 0.05},
        {"audience_run_delay_share": 0.051},
    ),
    ("audience CPU", {"audience_cpu_share": 0.70}, {"audience_cpu_share": 0.71}),
    (
        "server run-queue delay",
        {"server_run_delay_share": 0.05, "server_core_foreign_share": 0.5},
        {"server_run_delay_share": 0.06, "server_core_foreign_share": 0.5},
    ),
    ("connect failures", {"connect_failures": 0}, {"connect_failures": 1}),
    ("listen overflows", {"listen_overflows": 0.0}, {"listen_overflows": 1.0}),
    ("steal", {"steal_share": 0.02}, {"steal_share": 0.021}),
]


def fired(row: RunRow) -> list[str]:
    return [finding.rule.name for finding in findings(row)]


def test_a_healthy_run_is_valid(make_row: MakeRow):
    assert fired(make_row()) == []


def test_every_rule_has_its_case():
    assert [case[0] for case in CASES] == [rule.name for rule in RULES]


def test_the_documented_table_is_the_table(make_row: MakeRow):
    healthy = make_row(p50_ms=1.0)
    documented = re.findall(
        r"^\| ([a-z][^|]*?) \| [^|]+ \| ([^|,]+?)(?:, [^|]*)? \| (driver)? ?\|$",
        (Path(__file__).parents[2] / "docs" / "benchmarks.md").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    table = []
    for rule in RULES:
        sentence = Finding(rule, 0.0, rule.limit(healthy)).sentence
        limit = re.findall(r"limit ([^)]+)\)", sentence)
        table.append((rule.name, limit[0], "driver" if rule.driver else ""))
    assert documented == table


@pytest.mark.parametrize(("name", "at", "above"), CASES)
def test_a_rule_fires_above_its_limit_and_alone(
    make_row: MakeRow, name: str, at: dict[str, Any], above: dict[str, Any]
):
    assert fired(make_row(**at)) == []
    assert fired(make_row(**above)) == [name]


@pytest.mark.parametrize(("name", "at", "above"), CASES)
def test_a_finding_says_value_and_limit(
    make_row: MakeRow, name: str, at: dict[str, Any], above: dict[str, Any]
):
    (finding,) = findings(make_row(**above))
    assert "limit" in finding.sentence
    assert "{" not in finding.sentence
    assert finding.reading > finding.limit


def test_lateness_is_forgiven_up_to_a_twentieth_of_a_slow_answer(make_row: MakeRow):
    assert fired(make_row(p50_ms=100.0, lateness_p99_us=4900.0)) == []
    assert fired(make_row(p50_ms=1.0, lateness_p99_us=1100.0)) == ["send lateness"]
    assert fired(make_row(p50_ms=1.0, lateness_p99_us=999.0)) == []
    assert fired(make_row(p50_ms=math.nan, lateness_p99_us=1100.0)) == ["send lateness"]


def test_missing_answers_are_the_servers_where_a_pool_was_full(make_row: MakeRow):
    row = make_row(
        outcomes={"ok": 400, "timeout": 400},
        worker_pool_busy_mean=40.0,
        worker_pool_queued_max=90.0,
    )
    assert fired(row) == []


def test_missing_answers_are_the_servers_where_its_core_was_busy(make_row: MakeRow):
    assert fired(make_row(outcomes={"ok": 400, "timeout": 400}, server_cpu_share=0.97)) == []


def test_errors_that_were_answered_void_nothing(make_row: MakeRow):
    assert fired(make_row(outcomes={"ok": 400, "failed": 400}, error_share=0.5)) == []


def test_threads_that_wait_for_each_other_are_not_disturbed_by_others(make_row: MakeRow):
    row = make_row(server_run_delay_share=0.6, server_core_foreign_share=0.01)
    assert fired(row) == []


def test_without_the_share_of_others_run_queue_delay_speaks_alone(make_row: MakeRow):
    row = make_row(server_run_delay_share=0.06, server_core_foreign_share=math.nan)
    assert fired(row) == ["server run-queue delay"]


def test_what_was_not_measured_voids_nothing(make_row: MakeRow):
    unknown = dict.fromkeys(
        [
            "unquiet_ms",
            "server_cpu_share",
            "server_run_delay_share",
            "server_core_foreign_share",
            "driver_run_delay_share",
            "steal_share",
            "listen_overflows",
        ],
        math.nan,
    )
    assert fired(make_row(**unknown, outcomes={"ok": 400, "timeout": 400})) == []


def test_the_driver_is_accused_by_its_own_rules_only():
    accusing = {rule.name for rule in RULES if rule.driver}
    assert accusing == {
        "send lateness",
        "driver CPU",
        "driver run-queue delay",
        "audience run-queue delay",
        "audience CPU",
    }
