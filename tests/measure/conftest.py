"""A real HTTP server whose every answer a test writes itself, and rows of runs to be changed."""

import asyncio
import os
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from labcore.measure import lock
from labcore.measure.record import RunRow

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[object]]
Serving = Callable[[Answer], Awaitable[str]]


@pytest.fixture
async def serving() -> AsyncIterator[Serving]:
    """Starts servers that call an answer of the test's for each request head; gives their URL."""
    servers: list[asyncio.Server] = []
    handlers: set[asyncio.Task[None]] = set()

    async def start(answer: Answer) -> str:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            handlers.add(task)
            try:
                while not writer.is_closing() and await reader.readuntil(b"\r\n\r\n"):
                    await answer(reader, writer)
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # the driver has closed the connection
            finally:
                writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()
    if handlers:
        await asyncio.wait(handlers)


@pytest.fixture(scope="module")
def installing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str, str], Path]]:
    """Installs a scenario through the same door as any user's, with a lock of the test's own.

    The source is that of a module `<name>_service` with a `SCENARIO` in it.
    """
    with pytest.MonkeyPatch.context() as patch:

        def install(name: str, source: str) -> Path:
            site = tmp_path_factory.mktemp("site")
            (site / f"{name}_service.py").write_text(textwrap.dedent(source))
            metadata = site / f"{name}_scenario-1.0.dist-info"
            metadata.mkdir()
            (metadata / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name}-scenario\nVersion: 1\n"
            )
            (metadata / "entry_points.txt").write_text(
                f"[labcore.scenarios]\n{name} = {name}_service:SCENARIO\n"
            )
            patch.syspath_prepend(str(site))
            patch.setenv("PYTHONPATH", str(site), prepend=os.pathsep)
            patch.setattr(lock, "lock_path", lambda: site / "lock")
            return site

        yield install


@pytest.fixture
def nothing_left_behind() -> Iterator[None]:
    """Whatever happened, no process of ours stays."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    yield
    after = [child for child in psutil.Process().children(recursive=True) if child.is_running()]
    assert [child for child in after if child.pid not in before] == []


HEALTHY = RunRow(
    run="r0001",
    block=0,
    slot=0,
    arm="threads",
    lane="threads",
    attempt=1,
    started_at="2026-11-22T23:00:00+00:00",
    seed=1,
    offered_per_s=200.0,
    achieved_per_s=200.0,
    duration_s=4.0,
    requests=800,
    outcomes={"ok": 800},
    error_share=0.0,
    p50_ms=30.0,
    p90_ms=40.0,
    p99_ms=60.0,
    p999_ms=70.0,
    max_ms=80.0,
    mean_ms=32.0,
    service_p50_ms=29.0,
    service_p99_ms=59.0,
    lateness_p50_us=30.0,
    lateness_p99_us=400.0,
    lateness_max_us=900.0,
    connection_wait_p99_ms=0.1,
    connections=64,
    connect_failures=0,
    driver_cpu_share=0.1,
    driver_run_delay_share=0.01,
    driver_gc_pause_ms=0.0,
    server_cpu_share=0.4,
    server_run_delay_share=0.01,
    cpu_per_request_us=2000.0,
    rss_peak_mb=80.0,
    rss_idle_mb=70.0,
    threads_max=45.0,
    voluntary_switches_per_request=5.0,
    involuntary_switches_per_request=1.0,
    loop_lag_max_ms=2.0,
    server_gc_pause_ms=1.0,
    worker_pool_size=40.0,
    worker_pool_busy_mean=6.0,
    worker_pool_queued_max=0.0,
    db_pool_size=16.0,
    db_pool_busy_mean=2.0,
    db_pool_waiting_max=0.0,
    in_flight_mean=6.0,
    little_gap_share=0.02,
    steal_share=0.0,
    foreign_cpu_share=0.05,
    speed_before_ns=70.0,
    speed_after_ns=70.0,
    bottleneck="none",
    evidence="",
    void=False,
    why="",
    downstream_in_flight_mean=3.0,
    server_core_foreign_share=0.05,
    unquiet_ms=0.5,
    listen_overflows=0.0,
)


@pytest.fixture(scope="session")
def healthy_row() -> RunRow:
    """A run against which nothing can be said."""
    return HEALTHY


@pytest.fixture
def make_row() -> Callable[..., RunRow]:
    """A healthy run with the given figures changed."""

    def changed(**figures: Any) -> RunRow:
        return replace(HEALTHY, **figures)

    return changed
