"""Virtual threads park, mount, are interrupted, and never block their carrier."""

import asyncio
import contextvars

import pytest

from labcore.kernel import UsageError
from labcore.virtual import await_, carry, current_thread, sleep, start_virtual_thread


async def test_many_virtual_threads_wait_at_the_same_time():
    together = asyncio.Event()
    waiting = 0

    def work() -> None:
        nonlocal waiting
        waiting += 1
        if waiting == 1_000:
            together.set()
        await_(together.wait())

    await asyncio.gather(*(carry(work) for _ in range(1_000)))
    assert waiting == 1_000


async def test_the_value_of_an_awaitable_comes_back():
    async def price() -> int:
        await asyncio.sleep(0)
        return 1_299

    assert await carry(lambda: await_(price()) + 1) == 1_300


async def test_the_error_of_an_awaitable_is_raised_at_the_park_point():
    async def price() -> int:
        raise LookupError("no price")

    def work() -> str:
        try:
            await_(price())
        except LookupError as exc:
            return str(exc)
        return "no error"

    assert await carry(work) == "no price"


def test_parking_outside_a_virtual_thread_is_named():
    with pytest.raises(UsageError, match="VirtualThreadExecutor"):
        sleep(0)
    assert current_thread() is None


async def test_context_variables_are_inherited_and_kept_across_parks():
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="")

    def work(own: str) -> tuple[str, str]:
        inherited = name.get()
        name.set(own)
        sleep(0)
        return inherited, name.get()

    name.set("caller")
    outcomes = list(await asyncio.gather(carry(work, "a"), carry(work, "b")))
    assert outcomes == [("caller", "a"), ("caller", "b")]
    assert name.get() == "caller"


async def test_a_started_thread_is_interrupted_where_it_is_parked():
    seen: list[str] = []
    parked = asyncio.Event()
    ended = asyncio.Event()

    def work() -> None:
        parked.set()
        try:
            sleep(60)
        except asyncio.CancelledError:
            seen.append("interrupted")
        ended.set()

    thread = start_virtual_thread(work, name="partner-7")
    await parked.wait()
    thread.interrupt()
    await ended.wait()
    assert seen == ["interrupted"]
    assert thread.name.startswith("partner-7-")


async def test_an_interrupt_before_the_first_park_is_not_lost():
    ended = asyncio.Event()
    seen: list[str] = []

    def work() -> None:
        try:
            sleep(60)
        except asyncio.CancelledError:
            seen.append("interrupted")
        ended.set()

    start_virtual_thread(work).interrupt()
    await ended.wait()
    assert seen == ["interrupted"]


async def test_a_sleeping_thread_leaves_no_timer_behind_when_interrupted():
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()

    def work() -> None:
        try:
            sleep(3_600)
        except asyncio.CancelledError:
            ended.set()

    thread = start_virtual_thread(work)
    await asyncio.sleep(0)
    thread.interrupt()
    await ended.wait()
    scheduled = [handle for handle in getattr(loop, "_scheduled", []) if not handle.cancelled()]
    assert scheduled == []
