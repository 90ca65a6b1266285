"""Time passes only at rest, and waiting for nothing is an error at once."""

import asyncio
import math
import threading
from functools import partial

import anyio
import anyio.to_thread
import pytest

from labcore.kernel import UsageError
from labcore.reactive.testing import OverdueError, StalledError, VirtualTime
from labcore.reactive.testing.virtual_time import RestLoop, VirtualTimeLoop, run_on


def test_an_hour_of_ticks_passes_on_the_virtual_clock_alone():
    async def main() -> tuple[int, float]:
        ticks = 0
        while anyio.current_time() < 3600:
            await VirtualTime.sleep(1)
            ticks += 1
        return ticks, anyio.current_time()

    assert VirtualTime.run(main) == (3600, 3600.0)


def test_deadlines_of_cancel_scopes_follow_the_virtual_clock():
    async def main() -> float:
        with anyio.move_on_after(60):
            await VirtualTime.sleep(math.inf)
        return anyio.current_time()

    assert VirtualTime.run(main) == 60.0


def test_timers_of_one_moment_fire_together_in_spite_of_rounding():
    seen: list[float] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()
        for when_s in (0.3, 0.1 + 0.2):
            loop.call_at(when_s, lambda: seen.append(loop.time()))
        await VirtualTime.sleep(0.3)

    VirtualTime.run(main)
    assert len(seen) == 2


def test_waiting_for_what_nobody_sends_is_an_error_at_once():
    with pytest.raises(StalledError, match="everything is at rest"):
        VirtualTime.run(anyio.Event().wait)


def test_the_real_loop_notices_rest_too():
    with pytest.raises(StalledError):
        run_on(RestLoop, anyio.Event().wait, timeout_s=5)


@pytest.mark.parametrize("loop_factory", [RestLoop, VirtualTimeLoop])
def test_a_busy_loop_ends_at_its_real_deadline(loop_factory: type[RestLoop]):
    async def main() -> None:
        while True:
            await anyio.lowlevel.checkpoint()

    with pytest.raises(OverdueError):
        run_on(loop_factory, main, timeout_s=0.05)


def test_the_real_loop_gives_up_waiting_for_a_timer_at_its_deadline():
    with pytest.raises(OverdueError):
        run_on(RestLoop, partial(anyio.sleep, 3600), timeout_s=0.05)


def test_worker_threads_hold_the_clock_still():
    gate = threading.Event()

    async def main() -> tuple[bool, float]:
        async with anyio.create_task_group() as group:
            group.start_soon(partial(anyio.sleep, 3600))
            threading.Timer(0.02, gate.set).start()
            waited = await anyio.to_thread.run_sync(gate.wait, 5)
            at_s = anyio.current_time()
            group.cancel_scope.cancel()
        return waited, at_s

    assert VirtualTime.run(main) == (True, 0.0)


def test_an_executor_holds_the_clock_still():
    async def main() -> float:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, threading.Event().wait, 0.01)
        return loop.time()

    assert VirtualTime.run(main) == 0.0


async def test_it_runs_from_inside_a_running_loop():
    async def main() -> float:
        await VirtualTime.sleep(5)
        return anyio.current_time()

    assert VirtualTime.run(main) == 5.0


def test_a_run_without_time_is_refused():
    with pytest.raises(UsageError, match="timeout_s is 0"):
        VirtualTime.run(anyio.lowlevel.checkpoint, timeout_s=0)


async def test_virtual_sleep_refuses_to_take_real_time():
    with pytest.raises(UsageError, match=r"sleep\(1\) would take real time"):
        await VirtualTime.sleep(1)
