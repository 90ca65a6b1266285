import threading
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Child, Request
from labcore.measure import arrivals, reference
from labcore.measure.connections import Limits
from labcore.measure.driver import drive, plain_word
from labcore.measure.plan import LoadPlan, LoadResult, Progress, Users
from labcore.measure.record import REQUEST_COLUMNS

SMALL = Limits(connections=4, timeout_s=5)
GET = (Request("GET", "/"),)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with Child(reference.TARGET, {}, name="reference") as child:
        yield child.wait_ready(10)["url"]


@pytest.fixture(scope="module")
def slow_url() -> Iterator[str]:
    """Answers after ten seconds: nothing is ever answered in a test."""
    with Child(reference.TARGET, {"delay_s": 10.0}, name="reference") as child:
        yield child.wait_ready(10)["url"]


def test_a_load_is_driven_recorded_and_testified(url: str, tmp_path: Path):
    path = tmp_path / "requests" / "r0001.parquet"
    seen: list[Progress] = []
    plan = LoadPlan(
        url,
        path,
        rate_per_s=200,
        duration_s=0.5,
        warmup_s=0.2,
        seed=5,
        requests=GET,
        limits=SMALL,
        sample_bodies=2,
    )
    result = drive(plan, on_progress=seen.append)
    table = pd.read_parquet(path)
    assert list(table.columns) == list(REQUEST_COLUMNS)
    assert len(table) == len(plan.window()) == result.requests
    assert result.outcomes == {"ok": len(table)}
    assert set(table.outcome) == {"ok"}
    offsets = plan.window().offsets_ns
    assert (table.intended_ns - table.intended_ns[0]).tolist() == (offsets - offsets[0]).tolist()
    assert result.started_ns == table.intended_ns.min()
    assert result.finished_ns == table.done_ns.max()
    assert result.lateness_max_us >= result.lateness_p99_us >= result.lateness_p50_us >= 0
    assert result.cpu_share > 0
    assert result.model == "open"
    assert not result.stopped
    assert set(result.bodies.values()) == {'{"ok":true}'}
    assert seen[-1].done == seen[-1].sent == len(table)
    assert [report.done for report in seen] == sorted(report.done for report in seen)
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_given_schedule_is_followed(url: str, tmp_path: Path):
    path = tmp_path / "r.parquet"
    schedule = arrivals.trace([0.0, 0.02, 0.02, 0.1])
    plan = LoadPlan(
        url, path, rate_per_s=1, duration_s=1, arrivals=schedule, requests=GET, limits=SMALL
    )
    drive(plan)
    intended = pd.read_parquet(path).intended_ns
    assert (intended - intended[0]).tolist() == schedule.offsets_ns.tolist()


def test_a_closed_load_says_that_it_is_one(url: str, tmp_path: Path):
    plan = LoadPlan(
        url,
        tmp_path / "r.parquet",
        rate_per_s=1,
        duration_s=0.2,
        requests=GET,
        users=Users(2),
        limits=SMALL,
    )
    result = drive(plan)
    assert result.model == "closed, ceiling only"
    assert result.requests > 10


def test_a_cancelled_load_keeps_what_was_under_way(slow_url: str, tmp_path: Path):
    path = tmp_path / "r.parquet"
    cancelled = threading.Event()
    plan = LoadPlan(
        slow_url,
        path,
        rate_per_s=100,
        duration_s=600,
        requests=GET,
        limits=Limits(connections=1, timeout_s=0.2),  # warming gives up after it
    )
    result = drive(
        plan,
        on_progress=lambda progress: cancelled.set() if progress.sent > 10 else None,
        cancelled=cancelled,
    )
    table = pd.read_parquet(path)
    assert result.stopped
    assert 10 < len(table) == result.requests < 60_000
    assert set(table.outcome) <= {"unfinished", "timeout"}
    assert result.outcomes["unfinished"] == (table.outcome == "unfinished").sum() > 0


def test_nobody_listening_crosses_to_the_caller(tmp_path: Path):
    plan = LoadPlan(
        "http://127.0.0.1:9",
        tmp_path / "r.parquet",
        rate_per_s=1,
        duration_s=1,
        requests=GET,
        limits=SMALL,
    )
    with pytest.raises(PeerError, match="no connection to http"):
        drive(plan)
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_cannot_be_run_crosses_to_the_caller(url: str, tmp_path: Path):
    plan = LoadPlan(url, tmp_path / "r.parquet", rate_per_s=-4, duration_s=1, requests=GET)
    with pytest.raises(UsageError, match="rate_per_s=-4"):
        drive(plan)


@pytest.mark.parametrize(
    ("status", "word"), [(200, "ok"), (304, "ok"), (404, "failed"), (503, "failed")]
)
def test_without_a_contract_errors_are_errors(status: int, word: str):
    assert plain_word(status) == word


def test_the_result_carries_every_figure_by_name():
    """Consumers read these names; a rename is a change of contract."""
    assert {field.name for field in fields(LoadResult)} >= {
        "lateness_p99_us",
        "run_delay_share",
        "cpu_share",
        "connect_failures",
        "steal_share",
        "connection_wait_p99_ms",
    }
