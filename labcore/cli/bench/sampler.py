"""What it costs a server to be watched from the inside, ten times a second."""

import asyncio
import statistics
import time
from typing import Any, Final

import pandas as pd

from labcore.cli.bench.driver import two_cores
from labcore.lanes import Child, ChildContext, launch
from labcore.measure import pacing

SUMMARY = "the sampler inside a server: its share of a core, in an idle loop and in a busy one"

INSIDE: Final = "labcore.cli.bench.sampler:watched"
MOST_ALLOWED_SHARE: Final = 0.005


def run(*, quick: bool) -> pd.DataFrame:
    """One row a state of the loop; medians over rounds, `spread` from the least to the most.

    `idle` is the process's CPU with the sampler less that without it, which includes waking up for it;
    `busy` is the time within its turns, on a loop that never sleeps.
    """
    rounds, seconds = (2, 2.0) if quick else (7, 5.0)
    shares: dict[str, list[float]] = {"idle": [], "busy": []}
    for _ in range(rounds):
        for state, seen in shares.items():
            seen.append(_share(busy=state == "busy", seconds=seconds))
    return pd.DataFrame(
        {
            "loop": state,
            "share_of_a_core": statistics.median(seen),
            "spread": max(seen) - min(seen),
            "most_allowed": MOST_ALLOWED_SHARE,
        }
        for state, seen in shares.items()
    ).round(5)


def _share(*, busy: bool, seconds: float) -> float:
    setting = {"busy": busy, "seconds": seconds}
    with Child(INSIDE, setting, name="watched", cpus=frozenset({two_cores()[1]})) as child:
        return float(child.wait_ready(2 * seconds + 30)["share"])


def watched(context: ChildContext) -> None:
    """Inside the child: ready with the sampler's share of a core."""
    with asyncio.Runner(loop_factory=pacing.new_event_loop) as runner:
        context.ready(share=runner.run(_watched(**context.setting)))


async def _watched(*, busy: bool, seconds: float) -> float:
    sampler = Timed(dict, emit=lambda _sample: None)
    if busy:
        sampler.start()
        await _spin(seconds)
        sampler.stop()
        return sampler.spent_s / seconds
    without_s = await _idle(seconds)
    sampler.start()
    with_s = await _idle(seconds)
    sampler.stop()
    return (with_s - without_s) / seconds


async def _idle(seconds: float) -> float:
    """CPU seconds of this process while its loop waits."""
    began_s = time.process_time()
    await asyncio.sleep(seconds)
    return time.process_time() - began_s


async def _spin(seconds: float) -> None:
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:  # noqa: ASYNC110 - to keep the loop busy is the purpose
        await asyncio.sleep(0)


class Timed(launch.sampler.Sampler):
    """Adds up the CPU of its own turns."""

    spent_s = 0.0

    def _turn(self, *loop: Any) -> None:
        began_s = time.thread_time()
        super()._turn(*loop)
        self.spent_s += time.thread_time() - began_s
