"""Executors keep the standard library's promises, and a server can await their work."""

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
from concurrent.futures import CancelledError

import pytest

from labcore.kernel import UsageError
from labcore.virtual import (
    PlatformThreadExecutor,
    VirtualThreadExecutor,
    await_,
    current_thread,
    sleep,
)

from .conftest import Executors

request_id: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="none")


def fail() -> None:
    raise ValueError("no such SKU")


def test_submit_gives_a_future_with_the_result(executor: Executors):
    assert executor.submit(pow, 2, exp=10).result(5) == 1024


def test_an_exception_is_raised_where_the_result_is_asked_for(executor: Executors):
    future = executor.submit(fail)
    with pytest.raises(ValueError, match="no such SKU"):
        future.result(5)
    assert isinstance(future.exception(5), ValueError)


def test_map_keeps_the_order(executor: Executors):
    assert list(executor.map(pow, range(20), [2] * 20)) == [n**2 for n in range(20)]


def test_work_inherits_the_callers_context_and_cannot_change_it(executor: Executors):
    def look_and_change() -> str:
        seen = request_id.get()
        request_id.set("changed")
        return seen

    token = request_id.set("r-1")
    try:
        assert executor.submit(look_and_change).result(5) == "r-1"
        assert request_id.get() == "r-1"
    finally:
        request_id.reset(token)


def test_after_shutdown_nothing_is_accepted(executor: Executors):
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(pow, 2, 2)


def test_shutdown_waits_for_what_runs(executor: Executors):
    begun, release = threading.Event(), threading.Event()

    def work() -> str:
        begun.set()
        while not release.is_set():
            if current_thread() is None:
                release.wait()
            else:
                sleep(0.001)
        return "done"

    future = executor.submit(work)
    assert begun.wait(5)
    threading.Timer(0.05, release.set).start()
    executor.shutdown(wait=True)
    assert future.result(0) == "done"


def test_queued_work_can_be_cancelled():
    release = threading.Event()
    with PlatformThreadExecutor(1, name="one") as executor:
        running = executor.submit(release.wait)
        queued = executor.submit(pow, 2, 2)
        assert queued.cancel()
        release.set()
        assert running.result(5)
        with pytest.raises(CancelledError):
            queued.result(0)


def test_a_bound_on_virtual_threads_holds_and_the_rest_waits_its_turn():
    running, most = [0], [0]

    def work() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        sleep(0.001)
        running[0] -= 1

    with VirtualThreadExecutor(name="bounded", max_concurrency=3) as executor:
        futures = [executor.submit(work) for _ in range(20)]
        assert all(future.result(5) is None for future in futures)
    assert most[0] == 3


@pytest.mark.parametrize("wrong", [0, -1])
def test_a_pool_without_workers_is_refused(wrong: int):
    with pytest.raises(UsageError, match=str(wrong)):
        PlatformThreadExecutor(wrong, name="none")
    with pytest.raises(UsageError, match=str(wrong)):
        VirtualThreadExecutor(name="none", max_concurrency=wrong)


async def test_call_awaits_the_outcome(executor: Executors):
    assert await executor.call(pow, 2, 10) == 1024
    with pytest.raises(ValueError, match="no such SKU"):
        await executor.call(fail)


async def test_a_virtual_call_adds_no_task_and_no_os_thread():
    executor = VirtualThreadExecutor(name="carried")
    threads, tasks = threading.active_count(), len(asyncio.all_tasks())

    def look() -> tuple[int, int]:
        sleep(0)
        return threading.active_count(), len(asyncio.all_tasks())

    assert await executor.call(look) == (threads, tasks)


async def test_cancelling_the_task_unwinds_the_virtual_thread_at_its_park_point():
    executor = VirtualThreadExecutor(name="carried")
    parked = asyncio.Event()
    unwound = []

    def work() -> None:
        parked.set()
        try:
            sleep(60)
        finally:
            unwound.append(True)

    task = asyncio.create_task(executor.call(work))
    await parked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert unwound == [True]
    assert executor.gauges() == {"virtual_threads": 0}


async def test_cancelling_a_platform_call_waits_for_its_thread():
    executor = PlatformThreadExecutor(1, name="one")
    begun, release, ended = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        release.wait()
        ended.append(True)

    task = asyncio.create_task(executor.call(work))
    await asyncio.to_thread(begun.wait)
    task.cancel()
    await asyncio.wait([task], timeout=0.05)
    assert not task.done()
    release.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == [True]
    executor.shutdown()


async def test_gauges_tell_busy_from_queued():
    executor = PlatformThreadExecutor(2, name="two")
    release = threading.Event()
    begun = threading.Barrier(3)

    def work() -> None:
        begun.wait()
        release.wait()

    futures = [executor.submit(work) for _ in range(2)]
    await asyncio.to_thread(begun.wait)
    futures.append(executor.submit(pow, 2, 2))
    assert executor.gauges() == {
        "worker_pool_size": 2,
        "worker_pool_busy": 2,
        "worker_pool_queued": 1,
    }
    release.set()
    await asyncio.gather(*map(asyncio.wrap_future, futures))
    executor.shutdown()


async def test_a_virtual_thread_that_waits_for_another_parks():
    """Both live on one carrier: blocking it would deadlock them."""
    executor = VirtualThreadExecutor(name="pair")

    def outer() -> int:
        return executor.submit(inner).result() + 1

    def inner() -> int:
        sleep(0.001)
        return 41

    assert await executor.call(outer) == 42


async def test_shutdown_that_would_block_its_own_carrier_is_refused():
    executor = VirtualThreadExecutor(name="own")
    future = executor.submit(sleep, 0.01)
    with pytest.raises(UsageError, match="block the event loop on 1 unfinished"):
        executor.shutdown(wait=True)
    await asyncio.wrap_future(future)
    executor.shutdown()


async def test_a_bound_holds_for_calls_and_submitted_work_together():
    executor = VirtualThreadExecutor(name="bounded", max_concurrency=2)
    running, most = [0], [0]

    def work() -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        sleep(0.001)
        running[0] -= 1

    submitted = [asyncio.wrap_future(executor.submit(work)) for _ in range(5)]
    await asyncio.gather(*submitted, *(executor.call(work) for _ in range(5)))
    assert most[0] == 2
    assert executor.gauges() == {"virtual_threads": 0}


async def test_a_call_that_waits_its_turn_can_be_cancelled_and_so_can_one_that_runs():
    executor = VirtualThreadExecutor(name="bounded", max_concurrency=1)
    parked = asyncio.Event()
    seen: list[str] = []

    def work() -> None:
        parked.set()
        try:
            sleep(60)
        finally:
            seen.append("unwound")

    running = asyncio.create_task(executor.call(work))
    waiting = asyncio.create_task(executor.call(seen.append, "never"))
    await parked.wait()
    waiting.cancel()
    running.cancel()
    await asyncio.wait([running, waiting])
    assert running.cancelled()
    assert waiting.cancelled()
    assert seen == ["unwound"]
    assert await executor.call(pow, 2, 2) == 4


def test_any_number_of_cancelled_futures_hand_their_turn_on():
    release = threading.Event()

    def work() -> None:
        while not release.is_set():
            sleep(0.001)

    with VirtualThreadExecutor(name="bounded", max_concurrency=1) as executor:
        first = executor.submit(work)
        waiting = [executor.submit(pow, 2, 2) for _ in range(5_000)]
        last = executor.submit(pow, 2, 3)
        assert all(future.cancel() for future in waiting)
        release.set()
        assert last.result(10) == 8
        assert first.result(10) is None


def test_shutdown_can_drop_what_waits_its_turn():
    release = threading.Event()

    def work() -> None:
        while not release.is_set():
            sleep(0.001)

    executor = VirtualThreadExecutor(name="bounded", max_concurrency=1)
    first, dropped = executor.submit(work), executor.submit(pow, 2, 2)
    executor.shutdown(wait=False, cancel_futures=True)
    assert dropped.cancelled()
    release.set()
    assert first.result(5) is None


@pytest.mark.parametrize("bound", [None, 1])
async def test_a_call_after_shutdown_is_refused(bound: int | None):
    executor = VirtualThreadExecutor(name="gone", max_concurrency=bound)
    executor.shutdown()
    with pytest.raises(RuntimeError, match="after shutdown"):
        await executor.call(pow, 2, 2)


def carriers(name: str) -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == f"{name}-carrier"]


def test_the_carrier_ends_with_the_last_work_after_a_shutdown_that_does_not_wait():
    executor = VirtualThreadExecutor(name="late")
    future = executor.submit(sleep, 0.02)
    [carrier] = carriers("late")
    executor.shutdown(wait=False)
    assert not future.done()
    carrier.join(5)
    assert not carrier.is_alive()
    assert future.result(0) is None


def test_the_carrier_ends_with_an_executor_that_nobody_holds():
    executor = VirtualThreadExecutor(name="forgotten")
    executor.submit(pow, 2, 2).result(5)
    [carrier] = carriers("forgotten")
    del executor
    gc.collect()
    carrier.join(5)
    assert not carrier.is_alive()


def test_an_interpreter_ends_after_the_work_that_was_submitted():
    program = """if True:
        from labcore.virtual import VirtualThreadExecutor, sleep

        def work():
            sleep(0.05)
            print("done", flush=True)

        VirtualThreadExecutor(name="script").submit(work)
    """
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=15
    )
    assert (ended.stdout, ended.stderr) == ("done\n", "")


def test_an_exit_inside_a_thread_ends_only_that_thread(executor: Executors):
    """Whether it waits by callbacks or is carried by a task of its own."""

    async def nothing() -> None:
        await asyncio.sleep(0)

    def leave() -> None:
        if current_thread() is not None:
            await_(nothing())
        sys.exit(3)

    with pytest.raises(SystemExit):
        executor.submit(leave).result(5)
    assert executor.submit(pow, 2, 2).result(5) == 4
