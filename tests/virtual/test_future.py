"""Waiting for a virtual thread: who parks, who blocks, who is refused."""

import asyncio
import gc
from concurrent.futures import CancelledError

import pytest

from labcore.kernel import UsageError
from labcore.virtual import VirtualFuture, VirtualThreadExecutor, sleep


@pytest.fixture
def executor() -> VirtualThreadExecutor:
    return VirtualThreadExecutor(name="test")


async def test_waiting_on_the_event_loop_itself_is_refused(executor: VirtualThreadExecutor):
    future = executor.submit(sleep, 0.001)
    with pytest.raises(UsageError, match="block the event loop; do it in a virtual thread"):
        future.result()
    with pytest.raises(UsageError, match="block the event loop"):
        future.exception(1)
    with pytest.raises(TimeoutError):
        future.result(0)
    await asyncio.wrap_future(future)
    assert future.result() is None


async def test_a_virtual_thread_loses_patience_and_may_ask_again(executor: VirtualThreadExecutor):
    signal = VirtualFuture[str]()

    def work() -> str:
        with pytest.raises(TimeoutError):
            signal.result(0.001)
        asyncio.get_running_loop().call_soon(signal.set_result, "at last")
        return signal.result(5)

    assert await executor.call(work) == "at last"


def test_an_os_thread_blocks_and_may_lose_patience():
    with VirtualThreadExecutor(name="test") as executor:
        future = executor.submit(sleep, 0.05)
        with pytest.raises(TimeoutError):
            future.result(0.001)
        assert future.result(5) is None


def test_a_future_of_another_carrier_parks_too():
    with VirtualThreadExecutor(name="one") as one, VirtualThreadExecutor(name="two") as two:
        far = one.submit(sleep, 0.005)
        waiting = [two.submit(far.result) for _ in range(100)]
        assert [future.result(5) for future in waiting] == [None] * 100


async def test_a_failure_that_was_asked_for_is_not_reported_as_forgotten(
    executor: VirtualThreadExecutor,
):
    reported: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, it: reported.append(it))

    def fail() -> None:
        sleep(0.001)
        raise ValueError("known")

    def work() -> None:
        with pytest.raises(ValueError, match="known"):
            executor.submit(fail).result()

    await executor.call(work)
    gc.collect()
    await asyncio.sleep(0)
    assert reported == []


async def test_an_interrupted_thread_gives_a_cancelled_result(executor: VirtualThreadExecutor):
    def work() -> None:
        future = executor.submit(sleep, 60)
        sleep(0.001)
        future.interrupt()
        future.result()

    with pytest.raises(CancelledError):
        await executor.call(work)


def test_an_interrupt_from_another_os_thread_is_kept_until_the_start():
    with VirtualThreadExecutor(name="test") as executor:
        for _ in range(200):
            future = executor.submit(sleep, 60)
            future.interrupt()
            with pytest.raises(CancelledError):
                future.result(5)
