"""Where lanes wait, a trace hears of it: parks, mounts, queues, tasks; and nothing when it is off."""

import asyncio
import threading
from functools import partial

import anyio
import httpx
import psycopg_pool
import pytest

from labcore.kernel import TRACING, Span, Trace, traced
from labcore.virtual import (
    AsyncDatabase,
    PlatformThreadExecutor,
    VirtualThreadExecutor,
    async_http_client,
    await_,
    sleep,
    stepped,
    traced_tasks,
    tracing,
)


@pytest.fixture
def trace(monkeypatch: pytest.MonkeyPatch) -> Trace:
    monkeypatch.setattr(TRACING, "on", True)
    return Trace("test")


def of_kind(trace: Trace, kind: str) -> list[Span]:
    return [span for span in trace.spans if span.kind == kind]


async def test_a_virtual_thread_runs_on_its_carrier_and_parks_on_nobody_s(trace: Trace):
    executor = VirtualThreadExecutor(name="order")
    with traced(trace):
        await executor.call(sleep, 0.01)
    running, waiting = of_kind(trace, "running"), of_kind(trace, "waiting")
    assert {span.on for span in running} == {threading.current_thread().name}
    assert [(span.what, span.on) for span in waiting] == [("parked", "")]
    assert waiting[0].end_ns - waiting[0].start_ns >= 9_000_000
    assert len({span.who for span in trace.spans}) == 1
    assert trace.spans[0].who.startswith("order-")


async def test_a_thread_that_comes_to_be_carried_gives_its_task_its_name(trace: Trace):
    names: list[str] = []

    async def asked() -> None:
        names.append(tracing.who())

    executor = VirtualThreadExecutor(name="order")
    with traced(trace):
        future = executor.submit(lambda: await_(asked()))
        await asyncio.wrap_future(future)
    assert names[0].startswith("order-")
    assert {span.who for span in trace.spans} == {names[0]}


async def test_a_pool_thread_queues_runs_and_blocks_itself(trace: Trace):
    with PlatformThreadExecutor(1, name="worker") as executor, traced(trace):
        await executor.call(partial(tracing.blocking("sleep", threading.Event().wait), 0.01))
    by_who = {span.who for span in trace.spans}
    (queued,), (running,) = of_kind(trace, "queued"), of_kind(trace, "running")
    assert (queued.what, queued.who) == ("worker pool", "worker_0")
    assert running.on == "worker_0"
    slept, awaited = sorted(of_kind(trace, "waiting"), key=lambda span: span.what)
    assert (slept.what, slept.on) == ("sleep", "worker_0")
    assert (awaited.what, awaited.on) == ("waiting for its worker", "")
    assert len(by_who) == 2


async def test_steps_of_a_task_are_told_from_its_waits(trace: Trace):
    async def work() -> str:
        await anyio.sleep(0.01)  # simulated work
        return "done"

    with traced(trace):
        assert await stepped(work(), "work") == "done"
    first, second = of_kind(trace, "running")
    assert second.start_ns - first.end_ns >= 9_000_000


async def test_errors_and_cancellation_reach_the_code_inside(trace: Trace):
    seen: list[BaseException] = []

    async def stubborn() -> str:
        try:
            await anyio.sleep_forever()
        except asyncio.CancelledError as exc:
            seen.append(exc)
            raise
        return "never"

    async def failing() -> None:
        raise KeyError("inside")

    with traced(trace):
        with anyio.move_on_after(0.01):
            await stepped(stubborn(), "stubborn")
        with pytest.raises(KeyError, match="inside"):
            await stepped(failing(), "failing")
    assert len(seen) == 1


async def test_tasks_that_traced_work_starts_are_traced_under_names_of_their_own(trace: Trace):
    loop = asyncio.get_running_loop()
    before = loop.get_task_factory()
    loop.set_task_factory(traced_tasks)  # type: ignore[arg-type]  # typeshed also wants generators
    try:
        with traced(trace):
            async with anyio.create_task_group() as group:
                group.start_soon(anyio.sleep, 0)
                group.start_soon(anyio.sleep, 0)
        count = len(trace.spans)
        async with anyio.create_task_group() as group:
            group.start_soon(anyio.sleep, 0)
    finally:
        loop.set_task_factory(before)
    assert len({span.who for span in trace.spans}) == 2
    assert all(span.who.startswith("sleep task-") for span in trace.spans)
    assert len(trace.spans) == count


async def test_a_statement_waits_in_line_and_then_for_its_answer(trace: Trace, database_url: str):
    async with AsyncDatabase(database_url, size=1) as database:
        with traced(trace):
            assert await database.fetch_one("SELECT  1\n AS one") == (1,)
        await database.fetch_one("SELECT 2")
    assert [(span.kind, span.what) for span in trace.spans] == [
        ("queued", "database connection"),
        ("waiting", "SELECT 1 AS one"),
    ]


async def test_with_tracing_off_the_libraries_own_classes_run(database_url: str):
    assert not TRACING.on
    async with async_http_client() as http:
        assert type(http) is httpx.AsyncClient
    async with AsyncDatabase(database_url, size=1) as database:
        assert type(database._pool) is psycopg_pool.AsyncConnectionPool
    assert tracing.blocking("sleep", sleep) is sleep
