import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import uvloop

from labcore.measure.pacing import LoopPacer, Pacer, TimerfdPacer, best_pacer

MS = 1_000_000
Maker = Callable[[asyncio.AbstractEventLoop, Callable[[], object]], Pacer]
NewLoop = Callable[[], asyncio.AbstractEventLoop]
MAKERS = [
    LoopPacer,
    pytest.param(
        TimerfdPacer, marks=pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
    ),
]
LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


def descriptors() -> set[str]:
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def run_chain(
    make: Callable[..., Pacer],
    new_loop: Callable[[], asyncio.AbstractEventLoop],
    gaps_ms: list[int],
) -> list[tuple[int, int]]:
    """(deadline, wake) of a chain of deadlines, each armed by the wake before it."""
    seen: list[tuple[int, int]] = []

    async def chain() -> None:
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        start = time.monotonic_ns()
        deadlines = [start + gap * MS for gap in gaps_ms]

        def wake() -> None:
            seen.append((deadlines[len(seen)], time.monotonic_ns()))
            if len(seen) < len(deadlines):
                pacer.arm(deadlines[len(seen)])
            else:
                pacer.disarm()
                done.set()

        pacer = make(loop, wake)
        pacer.arm(deadlines[0])
        await done.wait()
        pacer.close()
        pacer.close()

    with asyncio.Runner(loop_factory=new_loop) as runner:
        runner.run(chain())
    return seen


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("make", MAKERS)
def test_every_deadline_wakes_once_and_never_early(make: Maker, new_loop: NewLoop):
    seen = run_chain(make, new_loop, [3, 5, 6, 6, 20])
    assert len(seen) == 5
    assert all(wake >= deadline for deadline, wake in seen)


@pytest.mark.parametrize("new_loop", LOOPS)
@pytest.mark.parametrize("make", MAKERS)
def test_a_deadline_in_the_past_wakes_at_once(make: Maker, new_loop: NewLoop):
    assert len(run_chain(make, new_loop, [-50, -10, 1])) == 3


@pytest.mark.parametrize("make", MAKERS)
async def test_a_disarmed_pacer_is_silent_and_a_later_deadline_replaces_an_earlier(make: Maker):
    loop = asyncio.get_running_loop()
    woken: list[int] = []

    def wake() -> None:
        woken.append(time.monotonic_ns())
        pacer.disarm()

    pacer = make(loop, wake)
    now = time.monotonic_ns()
    pacer.arm(now + 1 * MS)
    pacer.arm(now + 30 * MS)
    judge = asyncio.Event()
    loop.call_later(0.06, judge.set)
    await judge.wait()
    assert len(woken) == 1
    assert woken[0] >= now + 30 * MS
    pacer.arm(time.monotonic_ns() + 1 * MS)
    pacer.disarm()
    judge.clear()
    loop.call_later(0.02, judge.set)
    await judge.wait()
    assert len(woken) == 1
    pacer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux only")
async def test_the_best_pacer_of_linux_is_a_timerfd_and_gives_its_descriptor_back():
    before = descriptors()
    pacer = best_pacer(asyncio.get_running_loop(), lambda: None)
    assert isinstance(pacer, TimerfdPacer)
    pacer.close()
    assert descriptors() == before


@pytest.mark.parametrize("make", MAKERS)
async def test_a_wake_can_ask_for_another_until_it_is_disarmed(make: Maker):
    woken: list[int] = []
    enough = asyncio.Event()

    def wake() -> None:
        woken.append(time.monotonic_ns())
        if len(woken) < 5:
            pacer.again()
        else:
            pacer.disarm()
            enough.set()

    pacer = make(asyncio.get_running_loop(), wake)
    pacer.arm(time.monotonic_ns())
    await enough.wait()
    pacer.close()
    assert len(woken) == 5
