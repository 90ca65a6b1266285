"""A run made by hand, and the row computed from it."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from labcore.measure.plan import LoadResult, Progress
from labcore.measure.probe import Reading
from labcore.measure.record import REQUEST_COLUMNS, SAMPLE_COLUMNS
from labcore.measure.summary import Evidence, Identity, Surroundings, sample_table, summarise

SECOND = 10**9
START = 100 * SECOND
IDENTITY = Identity(
    run="r0001",
    block=0,
    slot=1,
    arm="threads",
    lane="threads",
    attempt=1,
    started_at="2026-11-22T23:00:00+00:00",
    seed=3,
)
LOAD = LoadResult(
    requests_path=Path("requests.parquet"),
    model="open",
    stopped=False,
    started_ns=START,
    finished_ns=START + 10 * SECOND,
    requests=100,
    outcomes={"ok": 91, "declined": 8, "timeout": 1},
    lateness_p50_us=20.0,
    lateness_p99_us=200.0,
    lateness_max_us=900.0,
    connection_wait_p99_ms=0.0,
    connections=8,
    connect_failures=0,
    cpu_share=0.1,
    cpu_per_request_us=30.0,
    run_delay_share=0.01,
    gc_pause_ms=0.0,
    gc_pause_max_ms=0.0,
    gc_collections=0,
    others_cpu_share=0.3,
    steal_share=0.0,
    wall_s=10.0,
)


def requests(count: int = 100, *, service_ms: int = 50) -> pd.DataFrame:
    """Ten a second for ten seconds; each is sent 1 ms late and takes `service_ms`."""
    intended = [START + place * SECOND // 10 for place in range(count)]
    frame = pd.DataFrame({"intended_ns": intended})
    frame["woke_ns"] = frame["intended_ns"] + 1_000_000
    frame["sent_ns"] = frame["woke_ns"]
    frame["first_byte_ns"] = frame["done_ns"] = frame["sent_ns"] + service_ms * 1_000_000
    frame["status"], frame["outcome"], frame["connection"] = 200, "ok", 0
    return frame[list(REQUEST_COLUMNS)]


def samples() -> list[dict[str, Any]]:
    """Two a second from two seconds before the window to one after; totals grow steadily."""
    return [
        {
            "at_ns": START + half * SECOND // 2,
            "rss_mb": 60.0 + half,
            "rss_peak_mb": 80.0 + half,
            "threads": 5 if half < 0 else 45,
            "voluntary_switches": 200 + 50 * half,
            "involuntary_switches": 10 * half,
            "loop_lag_ms": 99.0 if half < 0 else 2.0,
            "gc_pause_ms": 1.0,
            "in_flight": 0.5,
            "worker_pool_size": 40,
            "worker_pool_busy": half % 2,
            "worker_pool_queued": 0,
            **({"run_delay_s": 0.005 * half} if half % 2 == 0 else {}),
        }
        for half in range(-4, 23)
    ]


def readings() -> list[Reading]:
    """Ten a second; the server uses 0.2 of core 0, strangers 0.1 of it and nothing else."""
    return [
        Reading(
            at_ns=START + tenth * SECOND // 10,
            busy_s=0.03 * tenth,
            steal_s=0.0,
            cores=2,
            core_busy_s=(0.03 * tenth, 0.0),
            ours_s=0.02 * tenth,
            server_s=0.02 * tenth,
        )
        for tenth in range(-20, 111)
    ]


EVIDENCE = Evidence(
    requests=requests(),
    samples=samples(),
    load=LOAD,
    around=Surroundings(readings=readings(), server_core=0, unquiet_ms=0.2, listen_overflows=0.0),
    duration_s=10.0,
    answered=frozenset({"ok", "declined"}),
)
ROW = summarise(IDENTITY, EVIDENCE)


def test_the_row_knows_which_run_it_is():
    assert (ROW.run, ROW.slot, ROW.arm, ROW.seed) == ("r0001", 1, "threads", 3)


def test_offered_and_achieved_are_over_the_time_offered():
    assert ROW.offered_per_s == 10.0
    assert ROW.achieved_per_s == pytest.approx(9.9)
    assert ROW.error_share == pytest.approx(0.01)
    assert ROW.outcomes == {"ok": 91, "declined": 8, "timeout": 1}


def test_latency_counts_from_the_intended_start_and_service_from_the_send():
    assert ROW.p50_ms == ROW.p99_ms == pytest.approx(51.0)
    assert ROW.service_p50_ms == pytest.approx(50.0)


def test_failures_keep_their_time():
    slow = requests()
    slow.loc[95:, ["sent_ns", "first_byte_ns"]] = 0
    slow.loc[95:, "done_ns"] = slow["intended_ns"] + 10 * SECOND
    row = summarise(IDENTITY, replace(EVIDENCE, requests=slow))
    assert row.p99_ms == pytest.approx(10_000)
    assert row.service_p99_ms == pytest.approx(50.0)


def test_the_servers_cost_is_over_the_window_and_per_request():
    assert ROW.server_cpu_share == pytest.approx(0.2)
    assert ROW.cpu_per_request_us == pytest.approx(20_000)
    assert ROW.voluntary_switches_per_request == pytest.approx(10)
    assert ROW.involuntary_switches_per_request == pytest.approx(2)
    assert ROW.server_run_delay_share == pytest.approx(0.01)


def test_a_late_last_answer_stretches_the_cost_and_not_the_share():
    late = replace(EVIDENCE, load=replace(LOAD, finished_ns=START + 11 * SECOND))
    row = summarise(IDENTITY, late)
    assert row.cpu_per_request_us == pytest.approx(22_000)
    assert row.server_cpu_share == pytest.approx(0.2)


def test_memory_peaks_over_all_and_idles_before_the_load():
    assert ROW.rss_peak_mb == 80.0 + 22
    assert ROW.rss_idle_mb == 60.0 - 4


def test_what_the_warm_up_did_is_not_held_against_the_run():
    assert ROW.loop_lag_max_ms == 2.0
    assert ROW.threads_max == 45


def test_gauges_are_averaged_within_the_window():
    assert ROW.worker_pool_size == 40
    assert ROW.worker_pool_busy_mean == pytest.approx(10 / 21)
    assert math.isnan(ROW.db_pool_size)


def test_little_compares_the_count_inside_with_the_stays_outside():
    assert ROW.in_flight_mean == 0.5
    assert ROW.little_gap_share == pytest.approx(0.0, abs=1e-9)
    doubled = summarise(IDENTITY, replace(EVIDENCE, requests=requests(service_ms=25)))
    assert doubled.little_gap_share == pytest.approx(0.5)


def test_strangers_are_told_apart_from_us():
    assert ROW.foreign_cpu_share == pytest.approx(0.05)
    assert ROW.server_core_foreign_share == pytest.approx(0.1)


def test_a_good_run_is_valid_and_a_late_one_is_void_with_its_reason():
    assert (ROW.void, ROW.why, ROW.bottleneck) == (False, "", "none")
    late = replace(EVIDENCE, load=replace(LOAD, lateness_p99_us=9_000.0))
    row = summarise(IDENTITY, late)
    assert row.void
    assert "9000 us" in row.why
    assert row.bottleneck == "driver"


def test_a_foreign_lane_without_inside_still_has_its_latencies():
    url_only = replace(EVIDENCE, samples=(), around=Surroundings())
    row = summarise(IDENTITY, url_only)
    assert row.p50_ms == pytest.approx(51.0)
    assert math.isnan(row.cpu_per_request_us)
    assert math.isnan(row.rss_peak_mb)
    assert not row.void


def test_a_run_without_requests_is_a_row_of_unknowns():
    empty = replace(LOAD, started_ns=0, finished_ns=0, requests=0, outcomes={})
    row = summarise(IDENTITY, replace(EVIDENCE, requests=requests().iloc[:0], load=empty))
    assert row.requests == 0
    assert math.isnan(row.p50_ms)
    assert math.isnan(row.error_share)


def test_the_sample_table_is_long_and_in_the_order_of_time():
    progress = [Progress(0.5, 5, 4, 1, {"ok": 4}, 50.0, 51.0)]
    table = sample_table(EVIDENCE, progress)
    assert list(table.columns) == list(SAMPLE_COLUMNS)
    assert table["at_s"].is_monotonic_increasing
    assert set(table["source"]) == {"server", "driver", "machine"}
    assert table["at_s"].min() == pytest.approx(-2.0)
    sent = table[(table["source"] == "driver") & (table["metric"] == "sent")]
    assert sent["value"].tolist() == [5.0]
    foreign = table[table["metric"] == "foreign_cpu_share"]["value"]
    assert foreign.tolist() == pytest.approx([0.05] * len(foreign))


def test_no_samples_make_an_empty_table_of_the_same_shape():
    table = sample_table(replace(EVIDENCE, samples=(), around=Surroundings()), [])
    assert list(table.columns) == list(SAMPLE_COLUMNS)
    assert table.empty
