"""Scopes: what leaving waits for, what crashes do, shared sources beside their subscribers."""

import asyncio
from collections.abc import AsyncIterator

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from labcore.reactive import Flux, Hooks, Scope
from labcore.reactive.testing import VirtualTime


async def test_leaving_waits_for_pumps_that_were_spawned_before_and_after_entering():
    done: list[int] = []

    async def pump() -> None:
        await anyio.lowlevel.checkpoint()
        done.append(1)

    scope = Scope()
    scope.spawn(pump)
    assert scope.has_pumps
    async with scope:
        scope.spawn(pump)
    assert done == [1, 1]


def test_leaving_waits_for_timers_and_for_those_they_set():
    fired: list[float] = []

    async def main() -> float:
        async with Scope() as scope:
            scope.later(5, lambda: scope.later(5, lambda: fired.append(scope.now_s())))
            scope.later(99, lambda: fired.append(-1)).cancel()
        return anyio.current_time()

    assert VirtualTime.run(main) == 10.0
    assert fired == [10.0]


async def test_cancel_ends_pumps_and_leaving_waits_for_their_clean_up():
    cleaned: list[int] = []

    async def pump() -> None:
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
            cleaned.append(1)

    async with Scope() as scope:
        scope.spawn(pump)
        await anyio.lowlevel.checkpoint()
        scope.cancel()
    assert cleaned == [1]


async def test_a_pump_cancelled_before_it_began_never_runs():
    ran: list[int] = []

    async def pump() -> None:
        ran.append(1)

    async with Scope() as scope:
        scope.spawn(pump).cancel()
    assert ran == []


@pytest.mark.parametrize("when", ["soon", "pump"])
async def test_a_fault_of_a_call_or_a_pump_comes_out_alone(when: str):
    def fault() -> None:
        raise KeyError("fault")

    async def pump() -> None:
        fault()

    async def main() -> None:
        async with Scope() as scope:
            if when == "soon":
                scope.soon(fault)
            else:
                scope.spawn(pump)
            await anyio.sleep_forever()

    with pytest.raises(KeyError, match="fault"):
        await main()


async def test_another_thread_may_hand_a_call_over():
    called = asyncio.Event()
    async with Scope() as scope:
        await anyio.to_thread.run_sync(lambda: scope.from_thread(called.set))
        await called.wait()


async def test_a_detached_scope_has_a_host_only_while_it_has_pumps():
    release = asyncio.Event()
    scope = Scope(hooks=Hooks()).detached()
    hosted = [scope.hosted]
    for _ in range(2):
        release.clear()
        scope.spawn(release.wait)
        hosted.append(scope.hosted)
        release.set()
        await scope.finished()
        hosted.append(scope.hosted)
    assert hosted == [False, True, False, True, False]


async def test_hooks_hear_what_is_lost():
    heard: list[object] = []
    scope = Scope(hooks=Hooks(heard.append, heard.append, heard.append))
    error = OSError("late")
    scope.drop_value(1)
    scope.drop_error(error)
    scope.discard(2)
    assert heard == [1, error, 2]


async def test_a_late_error_is_logged_when_nobody_listens(caplog: pytest.LogCaptureFixture):
    Scope().drop_error(OSError("late"))
    assert "after the end of its stream" in caplog.text


def test_a_loop_shut_down_before_a_shared_source_began_is_not_held_up():
    async def once() -> AsyncIterator[int]:
        yield 1

    async def main() -> None:
        async with Flux.from_async_iterable(once).replay().auto_connect().stream():
            pass

    anyio.run(main)
