"""Nothing outlives its scope, whichever thread it is and whatever fails."""

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import CancelledError

import pytest

from labcore.kernel import UsageError
from labcore.virtual import (
    PlatformThreadExecutor,
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


@pytest.mark.parametrize("kind", ["platform", "virtual"])
def test_a_scope_inside_a_fork_never_waits_for_its_own_place(kind: str):
    """One place in all, three levels of scopes: each level has threads of its own."""
    executor: Executors = (
        PlatformThreadExecutor(1, name="deep")
        if kind == "platform"
        else VirtualThreadExecutor(name="deep", max_concurrency=1)
    )

    def level(depth: int) -> int:
        with StructuredTaskScope(executor) as scope:
            forks = [scope.fork(level, depth - 1) for _ in range(2)] if depth else []
            scope.join()
        return 1 + sum(fork.result() for fork in forks)

    assert executor.submit(level, 2).result(10) == 7
    executor.shutdown()
    assert [thread.name for thread in threading.enumerate() if "deep" in thread.name] == []


def test_a_fork_cancelled_while_it_waits_its_turn_does_not_hold_up_the_join(executor: Executors):
    def work() -> bool:
        with StructuredTaskScope(executor, limit=1) as scope:
            scope.fork(pause, 0.01)
            waiting = scope.fork(pause, 0.01)
            waiting.cancel()
            scope.join()
        return waiting.cancelled()

    assert inside(executor, work) is True


def test_after_a_shutdown_nothing_starts_and_the_join_returns(executor: Executors):
    ran: list[str] = []

    def work() -> bool:
        with StructuredTaskScope(executor) as scope:
            scope.shutdown()
            late = scope.fork(ran.append, "late")
            scope.join()
        return late.cancelled()

    assert inside(executor, work) is True
    assert ran == []


def test_an_interrupted_fork_is_cancelled_and_no_failure(executor: Executors):
    def work() -> None:
        with StructuredTaskScope(executor) as scope:
            forks = [scope.fork(pause, 0.02) for _ in range(3)]
            scope.shutdown()
            scope.join()
        for fork in forks:
            assert fork.done()
            if current_thread() is not None:
                with pytest.raises(CancelledError):
                    fork.result()

    inside(executor, work)


def test_leaving_at_once_interrupts_forks_that_have_hardly_begun():
    """The owner is an OS thread, the forks are on the executor's own carrier: a race by nature."""
    with VirtualThreadExecutor(name="far") as executor:
        for _ in range(100):
            with pytest.raises(RuntimeError, match="the owner failed"):
                leave_at_once(executor)
    assert executor.gauges() == {"virtual_threads": 0}


def leave_at_once(executor: Executors) -> None:
    with StructuredTaskScope(executor) as scope:
        scope.fork(pause, 3_600)
        scope.fork(pause, 3_600)
        raise RuntimeError("the owner failed")


def test_the_end_of_a_sibling_does_not_interrupt_a_clean_up():
    cleaned: list[int] = []

    def child(number: int) -> None:
        try:
            sleep(3_600)
        finally:
            sleep(0.001 * number)
            cleaned.append(number)

    def work() -> None:
        with StructuredTaskScope(executor) as scope:
            for number in range(5):
                scope.fork(child, number)
            sleep(0.001)
            raise RuntimeError("the owner failed")

    with (
        VirtualThreadExecutor(name="tidy") as executor,
        pytest.raises(RuntimeError, match="the owner failed"),
    ):
        executor.submit(work).result(10)
    assert cleaned == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("failing", range(4))
@pytest.mark.parametrize("limit", [None, 1, 2])
def test_whichever_fork_fails_the_join_says_so_and_nothing_is_left(
    executor: Executors, failing: int, limit: int | None
):
    begun: list[int] = []
    ended: list[int] = []

    def child(number: int) -> None:
        begun.append(number)
        try:
            pause(0.001)
            if number == failing:
                raise LookupError(f"fork {number}")
            pause(0.001)
        finally:
            ended.append(number)

    def work() -> None:
        with StructuredTaskScope(executor, limit=limit) as scope:
            for number in range(4):
                scope.fork(child, number)
            scope.join()

    with pytest.raises(LookupError, match=f"fork {failing}"):
        inside(executor, work)
    assert sorted(begun) == sorted(ended)


@pytest.mark.parametrize("succeeding", range(3))
def test_whichever_fork_succeeds_wins(executor: Executors, succeeding: int):
    def child(number: int) -> int:
        pause(0.001)
        if number != succeeding:
            raise LookupError(f"fork {number}")
        return number

    def work() -> int:
        with StructuredTaskScope(executor, policy=Policy.SHUTDOWN_ON_SUCCESS) as scope:
            for number in range(3):
                scope.fork(child, number)
            return int(scope.join().result())

    assert inside(executor, work) == succeeding


def test_without_a_success_the_first_failure_is_raised(executor: Executors):
    def child(number: int) -> None:
        raise LookupError(f"fork {number}")

    def work() -> None:
        with StructuredTaskScope(executor, limit=1, policy=Policy.SHUTDOWN_ON_SUCCESS) as scope:
            for number in range(3):
                scope.fork(child, number)
            scope.join()

    with pytest.raises(LookupError, match="fork 0"):
        inside(executor, work)


@pytest.mark.parametrize("turns", range(8))
async def test_the_owner_may_be_cancelled_in_any_turn_of_the_loop(turns: int):
    executor = VirtualThreadExecutor(name="turns")
    alive: set[int] = set()

    def child(number: int) -> None:
        alive.add(number)
        try:
            sleep(0)
            sleep(3_600)
        finally:
            sleep(0)
            alive.remove(number)

    def owner() -> None:
        with StructuredTaskScope(executor, limit=2) as scope:
            for number in range(3):
                scope.fork(child, number)
                sleep(0)
            scope.join()

    task = asyncio.create_task(executor.call(owner))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert alive == set()
    assert executor.gauges() == {"virtual_threads": 0}


def test_forks_inherit_the_context_of_their_owner(executor: Executors):
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="none")

    def work() -> str:
        tenant.set("acme")
        with StructuredTaskScope(executor) as scope:
            fork = scope.fork(tenant.get)
            scope.join()
        return fork.result()

    assert inside(executor, work) == "acme"
    assert tenant.get() == ("acme" if isinstance(executor, PlatformThreadExecutor) else "none")


async def test_a_scope_that_would_block_the_event_loop_is_refused():
    with pytest.raises(UsageError, match="block the event loop"):
        StructuredTaskScope(VirtualThreadExecutor(name="loop"))


def test_an_executor_that_is_shut_down_makes_the_fork_fail(executor: Executors):
    def work() -> None:
        with StructuredTaskScope(executor) as scope:
            executor.shutdown(wait=False)
            scope.fork(pow, 2, 2)
            scope.join()

    with pytest.raises(RuntimeError, match="after shutdown"):
        inside(executor, work)


@pytest.mark.parametrize(("limit", "deadline_s"), [(0, None), (None, 0.0)])
def test_a_scope_without_room_or_time_is_refused(
    executor: Executors, limit: int | None, deadline_s: float | None
):
    with pytest.raises(UsageError, match="=0"):
        StructuredTaskScope(executor, limit=limit, deadline_s=deadline_s)


def test_what_is_asked_outside_the_block_is_refused(executor: Executors):
    scope = StructuredTaskScope(executor)
    with pytest.raises(UsageError, match="fork inside"):
        scope.fork(pow, 2, 2)
    with pytest.raises(UsageError, match="join inside"):
        scope.join()
    with pytest.raises(UsageError, match="no fork has succeeded"):
        scope.result()
