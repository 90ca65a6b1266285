"""Nothing outlives its scope, whichever thread it is and whatever fails."""

import asyncio
import threading
from collections.abc import Callable

import pytest

from labcore.kernel import UsageError
from labcore.virtual import (
    Policy,
    StructuredTaskScope,
    TimeLimitExceededError,
    VirtualThreadExecutor,
    current_thread,
    sleep,
)

from .conftest import Executors


def pause(seconds: float) -> None:
    """Wait in the style of whichever thread runs this."""
    if current_thread() is None:
        threading.Event().wait(seconds)
    else:
        sleep(seconds)


def inside(executor: Executors, work: Callable[[], object]) -> object:
    """The owner of a scope is such a thread itself; a platform owner is this very thread."""
    if isinstance(executor, VirtualThreadExecutor):
        return executor.submit(work).result(10)
    return work()


def test_results_are_there_after_the_join(executor: Executors):
    def work() -> list[int]:
        with StructuredTaskScope(executor) as scope:
            forks = [scope.fork(pow, n, 2) for n in range(10)]
            scope.join()
            return [fork.result() for fork in forks]

    assert inside(executor, work) == [n**2 for n in range(10)]


def test_the_limit_bounds_what_runs_at_once(executor: Executors):
    running, most, guard = [0], [0], threading.Lock()

    def one() -> None:
        with guard:
            running[0] += 1
            most[0] = max(most[0], running[0])
        pause(0.002)
        with guard:
            running[0] -= 1

    def work() -> None:
        with StructuredTaskScope(executor, limit=3) as scope:
            for _ in range(20):
                scope.fork(one)
            scope.join()

    inside(executor, work)
    assert 1 <= most[0] <= 3


def test_the_first_failure_cancels_the_rest_and_is_raised(executor: Executors):
    ran: list[int] = []

    def fail() -> None:
        raise ValueError("sold out")

    def work() -> None:
        with StructuredTaskScope(executor, limit=1) as scope:
            scope.fork(fail)
            for n in range(5):
                scope.fork(ran.append, n)
            scope.join()

    with pytest.raises(ValueError, match="sold out"):
        inside(executor, work)
    assert ran == []


def test_the_first_success_wins(executor: Executors):
    def slow() -> str:
        pause(0.05)
        return "slow"

    def work() -> str:
        with StructuredTaskScope(executor, policy=Policy.SHUTDOWN_ON_SUCCESS) as scope:
            scope.fork(slow)
            scope.fork(lambda: "quick")
            return str(scope.join().result())

    assert inside(executor, work) == "quick"


def test_a_deadline_ends_the_join(executor: Executors):
    release = threading.Event()

    def stubborn() -> None:
        if current_thread() is None:
            release.wait()
        else:
            sleep(3_600)

    def work() -> None:
        threading.Timer(0.1, release.set).start()
        with StructuredTaskScope(executor, deadline_s=0.02) as scope:
            scope.fork(stubborn)
            scope.join()

    with pytest.raises(TimeLimitExceededError, match="deadline"):
        inside(executor, work)


def test_leaving_by_an_exception_waits_for_every_fork(executor: Executors):
    ended: list[bool] = []
    begun = threading.Event()

    def child() -> None:
        begun.set()
        try:
            pause(0.02)
        finally:
            ended.append(True)

    def work() -> None:
        with StructuredTaskScope(executor) as scope:
            scope.fork(child)
            while not begun.is_set():
                pause(0.001)
            raise RuntimeError("the owner failed")

    with pytest.raises(RuntimeError, match="the owner failed"):
        inside(executor, work)
    assert ended == [True]


def test_a_scope_left_without_a_join_says_so(executor: Executors):
    def work() -> None:
        with StructuredTaskScope(executor) as scope:
            scope.fork(pow, 2, 2)

    with pytest.raises(UsageError, match="without a join"):
        inside(executor, work)


def test_a_fork_after_the_join_is_refused(executor: Executors):
    def work() -> None:
        with StructuredTaskScope(executor) as scope:
            scope.join()
            scope.fork(pow, 2, 2)

    with pytest.raises(UsageError, match="before its join"):
        inside(executor, work)


async def test_cancelling_the_owner_interrupts_its_forks():
    executor = VirtualThreadExecutor(name="forks")
    unwound: list[bool] = []
    parked = asyncio.Event()

    def child() -> None:
        parked.set()
        try:
            sleep(3_600)
        finally:
            unwound.append(True)

    def owner() -> None:
        with StructuredTaskScope(executor) as scope:
            scope.fork(child)
            scope.join()

    task = asyncio.create_task(executor.call(owner))
    await parked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert unwound == [True]
    assert executor.gauges() == {"virtual_threads": 0}
