"""Clocks of other processes, quietness, and what others did to a window."""

import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from labcore.kernel import InterruptedRunError
from labcore.measure import probe
from labcore.measure.probe import Reading, Watch, disturbance, process_cpu_s, wait_quiet

BURN = "import sys\nprint('on', flush=True)\nwhile True: pass"
REST = "import sys\nprint('on', flush=True)\nsys.stdin.read()"


def started(code: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", code]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"on\n"
    return process


def ended(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.communicate()


@pytest.fixture
def burning() -> Iterator[subprocess.Popen[bytes]]:
    process = started(BURN)
    yield process
    ended(process)


@pytest.fixture
def resting() -> Iterator[subprocess.Popen[bytes]]:
    process = started(REST)
    yield process
    ended(process)


def readings(**growth: float) -> list[Reading]:
    """Eleven readings over ten seconds of two cores; the named totals grow by so much a second."""
    steady = {"busy_s": 0.0, "steal_s": 0.0, "ours_s": 0.0, "server_s": 0.0, "core_s": 0.0}
    rates = steady | growth
    return [
        Reading(
            at_ns=second * 10**9,
            busy_s=rates["busy_s"] * second,
            steal_s=rates["steal_s"] * second,
            cores=2,
            core_busy_s=(rates["core_s"] * second, 0.0),
            ours_s=rates["ours_s"] * second,
            server_s=rates["server_s"] * second,
        )
        for second in range(11)
    ]


def test_the_clock_of_this_process_is_its_own():
    assert process_cpu_s(os.getpid()) == pytest.approx(time.process_time(), abs=0.05)


def test_the_clock_of_a_burning_process_moves(burning: subprocess.Popen[bytes]):
    before = process_cpu_s(burning.pid)
    while process_cpu_s(burning.pid) - before < 0.02:
        assert burning.poll() is None
    assert process_cpu_s(burning.pid) > before


def test_a_process_that_ended_has_no_clock(resting: subprocess.Popen[bytes]):
    ended(resting)
    assert math.isnan(process_cpu_s(resting.pid))
    assert process_cpu_s(resting.pid, gone_s=0.0) == 0.0


def test_a_resting_process_is_quiet(resting: subprocess.Popen[bytes]):
    assert wait_quiet(resting.pid, patience_s=10) < probe.QUIET_LIMIT_MS


def test_a_burning_process_is_not_quiet_and_patience_ends(burning: subprocess.Popen[bytes]):
    assert wait_quiet(burning.pid, patience_s=0.5) >= probe.QUIET_LIMIT_MS


def test_waiting_for_quiet_can_be_cancelled(burning: subprocess.Popen[bytes]):
    cancelled = Event()
    cancelled.set()
    with pytest.raises(InterruptedRunError):
        wait_quiet(burning.pid, patience_s=60, cancelled=cancelled)


def test_the_speed_of_a_core_is_some_nanoseconds_a_turn():
    core = min(os.sched_getaffinity(0))
    before = os.sched_getaffinity(0)
    assert 1 < probe.speed_ns(core) < 10_000
    assert os.sched_getaffinity(0) == before


def test_foreign_cpu_is_a_share_of_the_machine():
    found = disturbance(
        readings(busy_s=1.5, ours_s=1.0),
        start_ns=2 * 10**9,
        finish_ns=8 * 10**9,
        server_core=None,
    )
    assert found.foreign_cpu_share == pytest.approx(0.25)
    assert math.isnan(found.server_core_foreign_share)


def test_others_on_the_servers_core_are_a_share_of_that_core():
    found = disturbance(
        readings(core_s=0.9, server_s=0.6), start_ns=0, finish_ns=10**10, server_core=0
    )
    assert found.server_core_foreign_share == pytest.approx(0.3)


def test_the_servers_own_ticks_are_never_negative_strangers():
    found = disturbance(
        readings(core_s=0.5, server_s=0.6), start_ns=0, finish_ns=10**10, server_core=0
    )
    assert found.server_core_foreign_share == 0.0


def test_totals_are_interpolated_between_readings():
    grown = readings(busy_s=2.0)
    values = [reading.busy_s for reading in grown]
    assert probe.growth(grown, values, start_ns=1_250_000_000, finish_ns=1_750_000_000) == 1.0


def test_without_readings_nothing_is_known():
    found = disturbance([], start_ns=0, finish_ns=1, server_core=0)
    assert math.isnan(found.foreign_cpu_share)


def test_a_watch_sees_the_servers_cpu_and_that_it_is_ours(
    burning: subprocess.Popen[bytes],
):
    with Watch(burning.pid) as watch:
        before = process_cpu_s(burning.pid)
        while process_cpu_s(burning.pid) - before < 0.3 or len(watch.readings) < 4:
            assert burning.poll() is None
    first, last = watch.readings[0], watch.readings[-1]
    assert last.server_s - first.server_s >= 0.3
    assert last.ours_s - first.ours_s >= last.server_s - first.server_s
    assert last.at_ns > first.at_ns


def test_a_watch_without_a_server_knows_the_machine_only():
    with Watch(None) as watch:
        pass
    assert len(watch.readings) >= 2
    assert math.isnan(watch.readings[-1].server_s)


def test_a_watch_leaves_no_thread():
    with Watch(None) as watch:
        pass
    assert isinstance(watch._thread, Thread)
    assert not watch._thread.is_alive()


def test_a_watch_outlives_the_server(burning: subprocess.Popen[bytes]):
    with Watch(burning.pid) as watch:
        before = process_cpu_s(burning.pid)
        while process_cpu_s(burning.pid) - before < 0.15:
            assert burning.poll() is None
        while not watch.readings[-1].server_s - watch.readings[0].server_s > 0:
            assert watch._thread.is_alive()
        ended(burning)
    assert watch.readings[-1].server_s >= watch.readings[-2].server_s


def test_listen_overflows_are_a_count():
    assert probe.listen_overflows() >= 0
