"""Real disturbances of real loads: each is noticed, and none is taken for the server's slowness."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import pytest

from labcore.lanes import Child, Request
from labcore.measure import Limits, LoadPlan, Progress, RunRow, drive, probe, reference
from labcore.measure.bottleneck import inside
from labcore.measure.placement import woken_first
from labcore.measure.summary import Evidence, Identity, Surroundings, summarise

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="disturbs Linux's scheduler")

CORE = max(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 0
HOGS = 4
RUN_S, STOPPED_S = 0.005, 0.095  # a twentieth of a core
CYCLES = 10
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
IDENTITY = Identity("r0001", 0, 0, "one", "one", 1, "2026-11-23T00:00:00+00:00", 1)


@pytest.fixture
def url() -> Iterator[str]:
    first = min(os.sched_getaffinity(0))
    with Child(reference.TARGET, {}, name="reference", cpus=frozenset({first})) as child:
        yield child.wait_ready(10)["url"]


def measured(
    plan: LoadPlan, *, on_progress: Callable[[Progress], object] = lambda _: None
) -> RunRow:
    """A run of this load, judged as any run is, the server's inside unknown."""
    overflows = probe.listen_overflows()
    with probe.Watch(None) as watch, woken_first():
        load = drive(plan, on_progress=on_progress)
    around = Surroundings(
        readings=tuple(watch.readings), listen_overflows=probe.listen_overflows() - overflows
    )
    evidence = Evidence(
        requests=pq.read_table(plan.requests_path).to_pandas(),
        samples=(),
        load=load,
        around=around,
        duration_s=plan.duration_s,
        answered=frozenset({"ok"}),
    )
    return summarise(IDENTITY, evidence)


def plan_for(url: str, folder: Path, *, rate: float, limits: Limits | None = None) -> LoadPlan:
    return LoadPlan(
        url,
        folder / "requests.parquet",
        rate_per_s=rate,
        duration_s=1.0,
        requests=(Request("GET", "/"),),
        limits=limits or Limits(),
        cpus=frozenset({CORE}),
    )


@contextlib.contextmanager
def hogs(core: int) -> Iterator[None]:
    """Four programs that leave a driver on their core a fifth of it."""
    code = f"import os\nos.sched_setaffinity(0, {{{core}}})\nwhile True: pass"
    running = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(HOGS)]
    try:
        yield
    finally:
        for hog in running:
            hog.kill()
            hog.wait()


def test_programs_that_hog_the_drivers_core_void_a_run(url: str, tmp_path: Path):
    with hogs(CORE):
        row = measured(plan_for(url, tmp_path, rate=5_000))
    assert row.void
    assert row.bottleneck == "driver"
    assert row.driver_run_delay_share > 0.05


class Throttle:
    """Lets the driver run for a twentieth of the time, for a second from `begin`."""

    def __init__(self, known: set[int]) -> None:
        self._known = known
        self._never = threading.Event()  # a pause that is the disturbance, and hides no race
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> "Throttle":
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join()

    def begin(self, _: Progress) -> None:
        """The load has begun: the one child that was not there before is its driver."""
        if self._thread.ident is None:
            self._thread.start()

    def _run(self) -> None:
        (driver,) = [child for child in psutil.Process().children() if child.pid not in self._known]
        with contextlib.suppress(psutil.NoSuchProcess):  # its load is over
            for _ in range(CYCLES):
                driver.send_signal(signal.SIGSTOP)
                self._never.wait(STOPPED_S)
                driver.send_signal(signal.SIGCONT)
                self._never.wait(RUN_S)


def test_a_driver_held_to_a_twentieth_of_a_core_voids_its_run(url: str, tmp_path: Path):
    known = {child.pid for child in psutil.Process().children()}
    with Throttle(known) as throttle:
        row = measured(plan_for(url, tmp_path, rate=300), on_progress=throttle.begin)
    assert row.void
    assert row.bottleneck == "driver"
    assert "sent late" in row.why
    # The server answered at once; it is the driver that makes the latency.
    assert row.lateness_p99_us > 1_000


class Reluctant:
    """A server that answers at once on each connection and accepts one only now and then."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1)
        self._listener.settimeout(0.05)
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def __enter__(self) -> "Reluctant":
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            answering = threading.Thread(target=self._answer, args=(connection,))
            answering.start()
            self._threads.append(answering)
            self._ended.wait(0.4)

    def _answer(self, connection: socket.socket) -> None:
        with connection:
            connection.setblocking(True)
            while connection.recv(65_536):
                self._ended.wait(0.05)  # long enough for one connection not to be enough
                connection.sendall(ANSWER)


def test_a_listen_queue_of_one_is_a_limit_of_connections_and_no_slow_server(tmp_path: Path):
    limits = Limits(connections=1, max_connections=16, timeout_s=8)
    with Reluctant() as server:
        row = measured(plan_for(server.url, tmp_path, rate=100, limits=limits))
    found = inside(row)  # whatever else disturbed the driver meanwhile
    assert found is not None
    assert found.name == "connection limit"
    assert "waited for a connection" in found.evidence
    assert row.listen_overflows >= 1
    assert row.void
    assert "full listen queue" in row.why
    # From the send on, the server took its 50 ms: it is the way in that is narrow.
    assert row.service_p50_ms < row.connection_wait_p99_ms
