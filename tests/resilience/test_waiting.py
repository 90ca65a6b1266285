"""Waiting for time or for a wake-up, whichever is first, by tasks and by threads."""

import asyncio
import math
import threading

import anyio
import pytest

from labcore.kernel import UsageError
from labcore.resilience.waiting import TaskSignal, ThreadSignal
from labcore.virtual import VirtualThreadExecutor

from .conftest import PlatformWorld, VirtualWorld


async def test_a_task_that_nothing_wakes_waits_its_time():
    signal = TaskSignal(asyncio.get_running_loop())
    signal.arm()
    began_s = anyio.current_time()
    await signal.wait(3.0)
    await signal.wait(2.0)
    assert anyio.current_time() - began_s == pytest.approx(5.0)


async def test_a_task_is_woken_before_its_time_and_a_second_wake_up_is_nothing():
    loop = asyncio.get_running_loop()
    signal = TaskSignal(loop)
    wake = signal.arm()
    for after_s in (2.0, 2.5):
        loop.call_later(after_s, wake)
    began_s = anyio.current_time()
    await signal.wait(math.inf)
    assert anyio.current_time() - began_s == pytest.approx(2.0)
    await signal.wait(1.0)
    assert anyio.current_time() - began_s == pytest.approx(2.0)


async def test_a_virtual_thread_is_woken_before_its_time():
    loop = asyncio.get_running_loop()
    began_s = anyio.current_time()

    def work() -> None:
        signal = ThreadSignal(VirtualWorld())
        loop.call_later(2.0, signal.arm())
        signal.wait(math.inf)

    await VirtualThreadExecutor(name="call").call(work)
    assert anyio.current_time() - began_s == pytest.approx(2.0)


async def test_an_event_loop_is_never_blocked_by_a_wait():
    with pytest.raises(UsageError, match="would block the event loop"):
        ThreadSignal(VirtualWorld()).arm()


def test_an_os_thread_is_woken_by_another(world: PlatformWorld):
    signal = ThreadSignal(world)
    thread = threading.Thread(target=signal.arm())
    thread.start()
    signal.wait(math.inf)
    thread.join()


def test_an_os_thread_that_nothing_wakes_goes_on(world: PlatformWorld):
    signal = ThreadSignal(world)
    signal.arm()
    signal.wait(0.001)
    signal.wait(0.0)  # again: the wait before has not used it up
