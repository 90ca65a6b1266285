"""One call, three faces, one virtual clock: a row of the table runs the same on each."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import anyio
import pytest

from labcore.reactive import Mono
from labcore.reactive.testing.virtual_time import VirtualTime, VirtualTimeLoop
from labcore.resilience import Blocking, Event, Policy
from labcore.virtual import BlockingExecutor, PlatformThreadExecutor, VirtualThreadExecutor, sleep


@pytest.fixture(scope="session")
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Every async test of this room runs on a virtual clock, which starts at 0 s."""
    return "asyncio", {"loop_factory": VirtualTimeLoop}


@dataclass
class Work:
    """What a call does: it takes its time, then returns or raises; each run takes the next outcome."""

    outcomes: list[object] = field(default_factory=lambda: [None])
    takes_s: float = 0.0
    began_s: list[float] = field(default_factory=list)
    unwound: int = 0

    async def as_task(self) -> object:
        """For tasks and streams."""
        self._begin()
        try:
            if self.takes_s:
                await VirtualTime.sleep(self.takes_s)
            return self._end()
        finally:
            self.unwound += 1

    def as_thread(self) -> object:
        """For threads."""
        self._begin()
        try:
            if self.takes_s:
                sleep(self.takes_s)
            return self._end()
        finally:
            self.unwound += 1

    def _begin(self) -> None:
        self.began_s.append(anyio.current_time())

    def _end(self) -> object:
        outcome = self.outcomes[min(len(self.began_s), len(self.outcomes)) - 1]
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


def returns(*values: object, takes_s: float = 0.0) -> Work:
    return Work(list(values) or [None], takes_s)


def raises(*errors: Exception, takes_s: float = 0.0) -> Work:
    return Work(list(errors) or [OSError("down")], takes_s)


class VirtualWorld:
    """A world whose threads are virtual and whose clock is the loop's."""

    def __init__(self) -> None:
        self.forks: BlockingExecutor = VirtualThreadExecutor(name="fork")
        self.sleep: Callable[[float], object] = sleep

    def now_s(self) -> float:
        """The loop's clock."""
        return asyncio.get_running_loop().time()


class PlatformWorld:
    """A world that blocks OS threads."""

    def __init__(self) -> None:
        self.forks: BlockingExecutor = PlatformThreadExecutor(2, name="fork")
        self.sleep: Callable[[float], object] = time.sleep

    def now_s(self) -> float:
        """The machine's clock."""
        return time.monotonic()


@pytest.fixture
def world() -> Iterator[PlatformWorld]:
    """OS threads, real time."""
    made = PlatformWorld()
    yield made
    made.forks.shutdown()


async def _task(policy: Policy, work: Work) -> object:
    return await policy.call_async(work.as_task)


async def _thread(policy: Policy, work: Work) -> object:
    world: Blocking = VirtualWorld()
    return await VirtualThreadExecutor(name="call").call(policy.call, work.as_thread, world)


async def _stream(policy: Policy, work: Work) -> object:
    return await policy.operator()(Mono.from_callable(work.as_task))


class Face(Protocol):
    """Runs the work within the policy."""

    def __call__(self, policy: Policy, work: Work, /) -> Awaitable[object]:
        """The work's outcome."""
        ...


@pytest.fixture(params=[_task, _thread, _stream], ids=["task", "thread", "stream"])
def call(request: pytest.FixtureRequest) -> Face:
    """Each of the three faces in turn."""
    face: Face = request.param
    return face


async def outcome(call: Face, policy: Policy, work: Work) -> object:
    """What a call returned, or the error it raised."""
    try:
        return await call(policy, work)
    except Exception as exc:  # noqa: BLE001 - the error is what the test looks at
        return exc


class Calls:
    """Calls under way at once, and what became of them, in order of their start."""

    def __init__(self, call: Face, policy: Policy) -> None:
        self._call = call
        self._policy = policy
        self.tasks: list[asyncio.Task[object]] = []
        self.ended_s: dict[int, float] = {}

    def start(self, *works: Work) -> None:
        """One call for each."""
        for work in works:
            number = len(self.tasks)
            task = asyncio.ensure_future(outcome(self._call, self._policy, work))
            task.add_done_callback(lambda _, n=number: self._ended(n))  # type: ignore[misc]  # a default binds early
            self.tasks.append(task)

    async def results(self) -> list[object]:
        """What each returned or raised."""
        done = await asyncio.gather(*self.tasks, return_exceptions=True)
        return list(done)

    def _ended(self, number: int) -> None:
        self.ended_s[number] = asyncio.get_running_loop().time()


async def at_rest() -> None:
    """Everything that is ready has run: the clock moves only then."""
    await VirtualTime.sleep(0.001)


class Heard(list[Event]):
    """The events of a policy, as heard."""
