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


async def test_a_coroutine_sees_what_its_thread_has_set():
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="")
    seen: list[str] = []

    async def look() -> None:
        await asyncio.sleep(0)
        seen.append(name.get())

    def work(own: str) -> None:
        name.set(own)
        await_(look())
        name.set(f"{own} again")
        await_(look())

    def owner() -> None:
        start_virtual_thread(work, "started").join()
        work("carried")

    await carry(owner)
    assert seen == ["started", "started again", "carried", "carried again"]


async def test_a_started_thread_has_no_task_until_it_waits_for_a_coroutine_and_then_one():
    tasks: list[int] = []

    async def look() -> None:
        tasks.append(len(asyncio.all_tasks()))

    def work() -> None:
        sleep(0.001)
        tasks.append(len(asyncio.all_tasks()))
        await_(look())
        await_(look())
        sleep(0.001)
        tasks.append(len(asyncio.all_tasks()))

    before = len(asyncio.all_tasks())
    await carry(lambda: start_virtual_thread(work).join())
    assert tasks == [before, before + 1, before + 1, before + 1]
    assert len(asyncio.all_tasks()) == before


async def test_an_interrupt_reaches_the_inside_of_an_awaited_coroutine():
    seen: list[str] = []
    waiting = asyncio.Event()

    async def wait() -> None:
        try:
            waiting.set()
            await asyncio.get_running_loop().create_future()
        except asyncio.CancelledError:
            seen.append("coroutine")
            raise

    def work() -> None:
        try:
            await_(wait())
        finally:
            seen.append("thread")
            sleep(0)  # a clean-up may park again

    def owner() -> None:
        thread = start_virtual_thread(work)
        await_(waiting.wait())
        thread.interrupt()
        assert thread.join(5)

    await carry(owner)
    assert seen == ["coroutine", "thread"]


@pytest.mark.parametrize("turns", range(6))
async def test_an_interrupt_is_heard_whichever_turn_of_the_loop_it_comes_in(turns: int):
    heard: list[bool] = []

    async def never() -> None:
        await asyncio.get_running_loop().create_future()

    def work() -> None:
        try:
            sleep(0)
            await_(never())
        except asyncio.CancelledError:
            heard.append(True)

    def owner() -> None:
        thread = start_virtual_thread(work)
        for _ in range(turns):
            sleep(0)
        thread.interrupt()
        assert thread.join(5)

    await carry(owner)
    assert heard == [True]


async def test_join_waits_for_the_end_and_may_lose_patience():
    release = asyncio.Event()

    def work() -> None:
        await_(release.wait())

    def owner() -> list[bool]:
        thread = start_virtual_thread(work)
        patience = thread.join(0.001)
        release.set()
        return [patience, thread.join(), thread.join(), thread.dead]

    assert await carry(owner) == [False, True, True, True]


async def test_join_outside_a_virtual_thread_is_refused():
    thread = start_virtual_thread(sleep, 0)
    with pytest.raises(UsageError, match=f"join {thread.name} from a virtual thread"):
        thread.join()
    await carry(thread.join)


async def test_an_error_that_ends_a_started_thread_is_reported_and_an_interrupt_is_not():
    reported: list[object] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context.get("exception")))
    error = ValueError("nobody asks for it")

    def fail() -> None:
        raise error

    def owner() -> None:
        failing, interrupted = start_virtual_thread(fail), start_virtual_thread(sleep, 60)
        sleep(0)
        interrupted.interrupt()
        failing.join()
        interrupted.join()

    await carry(owner)
    assert reported == [error]


async def test_interrupting_a_carried_thread_cancels_its_task():
    def owner() -> None:
        thread = current_thread()
        assert thread is not None
        thread.interrupt()
        sleep(60)

    task = asyncio.create_task(carry(owner))
    await asyncio.wait([task])
    assert task.cancelled()


async def test_a_negative_sleep_is_refused():
    with pytest.raises(UsageError, match=r"-1 s; give 0 or more"):
        await carry(sleep, -1)


def test_starting_one_where_no_loop_runs_is_refused():
    with pytest.raises(UsageError, match="use VirtualThreadExecutor"):
        start_virtual_thread(sleep, 0)
