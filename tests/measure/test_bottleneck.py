"""One name a run, in the order of suspicion, with the figures that prove it."""

import math
from collections.abc import Callable
from typing import Any

import pytest

from labcore.measure.bottleneck import inside, little, name_bottleneck
from labcore.measure.record import RunRow

MakeRow = Callable[..., RunRow]

FULL_WORKERS = {"worker_pool_busy_mean": 39.0, "worker_pool_queued_max": 120.0}
FULL_DATABASE = {"db_pool_busy_mean": 15.8, "db_pool_waiting_max": 30.0}
DOWNSTREAM = {"in_flight_mean": 10.0, "downstream_in_flight_mean": 9.0}
SHED = {"admission_queue_mean": 0.4, "shed": 12.0}
IN_LINE = {"admission_queue_mean": 30.0, "shed": 0.0}
WAITING = {"connection_wait_p99_ms": 30.0}
BUSY = {"server_cpu_share": 0.97}


@pytest.mark.parametrize(
    ("figures", "name", "proof"),
    [
        ({}, "none", "40% of a core"),
        (WAITING, "connection limit", "30.0 ms at p99 of 60.0 ms"),
        (FULL_WORKERS, "worker pool", "39.0 of 40 workers"),
        (FULL_DATABASE, "database pool", "15.8 of 16 database connections"),
        (SHED, "admission", "12 were turned away"),
        (IN_LINE, "admission", "30.0 requests were in line"),
        (DOWNSTREAM, "downstream", "90%"),
        (BUSY, "server CPU", "97% of a core"),
    ],
)
def test_each_bottleneck_is_named_with_its_evidence(
    make_row: MakeRow, figures: dict[str, Any], name: str, proof: str
):
    found = name_bottleneck(make_row(**figures))
    assert found.name == name
    assert proof in found.evidence


def test_the_driver_comes_before_everything(make_row: MakeRow):
    found = name_bottleneck(make_row(**FULL_WORKERS), driver=["The driver sent late."])
    assert found.name == "driver"
    assert found.evidence == "The driver sent late."


def test_the_worker_pool_comes_before_the_database_pool(make_row: MakeRow):
    found = name_bottleneck(make_row(**FULL_WORKERS, **FULL_DATABASE, **DOWNSTREAM))
    assert found.name == "worker pool"


def test_a_busy_core_makes_every_queue_grow(make_row: MakeRow):
    found = name_bottleneck(make_row(**FULL_WORKERS, **FULL_DATABASE, **DOWNSTREAM, **BUSY))
    assert found.name == "server CPU"


def test_a_full_pool_behind_the_bound_is_why_it_was_reached(make_row: MakeRow):
    found = name_bottleneck(make_row(**FULL_DATABASE, **IN_LINE, **DOWNSTREAM))
    assert found.name == "database pool"


def test_the_service_s_bound_comes_before_what_it_waits_for(make_row: MakeRow):
    assert name_bottleneck(make_row(**IN_LINE, **DOWNSTREAM)).name == "admission"


def test_a_full_pool_keeps_connections_waiting(make_row: MakeRow):
    assert name_bottleneck(make_row(**FULL_WORKERS, **WAITING)).name == "worker pool"


def test_a_busy_pool_without_a_queue_limits_nobody(make_row: MakeRow):
    assert name_bottleneck(make_row(worker_pool_busy_mean=40.0)).name == "none"


def test_a_queue_before_an_idle_pool_was_a_burst(make_row: MakeRow):
    assert name_bottleneck(make_row(worker_pool_queued_max=50.0)).name == "none"


def test_a_lane_without_gauges_accuses_nobody(make_row: MakeRow):
    gauges = [
        "server_cpu_share",
        "worker_pool_size",
        "worker_pool_busy_mean",
        "worker_pool_queued_max",
        "db_pool_size",
        "db_pool_busy_mean",
        "db_pool_waiting_max",
        "in_flight_mean",
        "downstream_in_flight_mean",
        "little_gap_share",
    ]
    row = make_row(**dict.fromkeys(gauges, math.nan))
    assert inside(row) is None
    found = name_bottleneck(row)
    assert found.name == "none"
    assert "unknown" in found.evidence
    assert "nan" not in found.evidence


def test_little_is_quoted_beside_the_name(make_row: MakeRow):
    assert "Little's law agrees" in name_bottleneck(make_row()).evidence
    assert "Little's law is off" in name_bottleneck(make_row(little_gap_share=0.4)).evidence


def test_little_forgives_what_a_rare_count_cannot_tell(make_row: MakeRow):
    few = make_row(in_flight_mean=1.0, duration_s=1.0, little_gap_share=0.4)
    many = make_row(in_flight_mean=100.0, duration_s=10.0, little_gap_share=0.06)
    assert "agrees" in little(few)
    assert "is off" in little(many)
