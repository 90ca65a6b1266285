"""Memory stays flat when a producer is a hundred times faster than its consumer.

Each case runs in a process of its own, so that the resident size is that of the stream alone. The
consumer asks for ten values at each turn of the loop, in which the producer could send a thousand.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import anyio
import anyio.lowlevel
import psutil
import pytest

from labcore.reactive import UNBOUNDED, Flux, Hooks, Overflow, Scope, Subscription

Build = Callable[[Flux[int], ThreadPoolExecutor], Flux[Any]]

# How many values may be between producer and consumer, and the pipeline.
PIPELINES: dict[str, tuple[int, Build]] = {
    "keep the oldest": (
        500,
        lambda f, _: f.on_backpressure_buffer(500, overflow=Overflow.DROP_LATEST),
    ),
    "keep the newest": (
        500,
        lambda f, _: f.on_backpressure_buffer(500, overflow=Overflow.DROP_OLDEST),
    ),
    "drop": (0, lambda f, _: f.on_backpressure_drop()),
    "latest": (1, lambda f, _: f.on_backpressure_latest()),
    "limit_rate": (256, lambda f, _: f.limit_rate(256)),
    "publish_on": (64, lambda f, pool: f.publish_on(pool, prefetch=64).index()),
    "publish_on, a function": (64, lambda f, pool: f.publish_on(pool, prefetch=64).map(str)),
}


@dataclass(slots=True)
class Tally:
    """What passed, and how much lay between at most."""

    produced: int = 0
    consumed: int = 0
    dropped: int = 0
    most_between: int = 0
    grown_bytes: int = 0
    ended: bool = False
    base_bytes: int = 0

    def numbers(self, n: int) -> Iterator[int]:
        """The producer; it looks at the resident size a hundred times, and at what waits."""
        process, step = psutil.Process(), n // 100
        for part in range(100):
            size_bytes = process.memory_info().rss
            if part <= 10:
                self.base_bytes = size_bytes
            self.grown_bytes = max(self.grown_bytes, size_bytes - self.base_bytes)
            if step < 10_000:
                yield from self.watched(range(part * step, (part + 1) * step))
            else:
                self.produced += step
                yield from range(part * step, (part + 1) * step)

    def watched(self, values: Iterable[int]) -> Iterator[int]:
        """Each value counted, and what waits with it."""
        for value in values:
            self.produced += 1
            waiting = self.produced - self.consumed - self.dropped - 1
            self.most_between = max(self.most_between, waiting)
            yield value

    def discard(self, _: Any) -> None:
        """A value nobody gets."""
        self.dropped += 1


class Slow:
    """A consumer that asks when it is told to."""

    def __init__(self, tally: Tally) -> None:
        self.tally = tally
        self.subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription, /) -> None:
        """Nothing is asked for yet."""
        self.subscription = subscription

    def on_next(self, _: Any, /) -> None:
        """One more."""
        self.tally.consumed += 1

    def on_error(self, error: Exception, /) -> None:
        """Nothing fails here."""
        raise error

    def on_complete(self) -> None:
        """All were produced."""
        self.tally.ended = True


async def run(name: str, n: int) -> Tally:
    """The child's work."""
    tally = Tally()
    slow = Slow(tally)
    with ThreadPoolExecutor(1) as pool:
        async with Scope(hooks=Hooks(discarded=tally.discard)) as scope:
            _, build = PIPELINES[name]
            build(Flux.from_iterable(tally.numbers(n)), pool).subscribe(slow, scope=scope)
            assert slow.subscription is not None
            while not tally.ended and tally.consumed + tally.dropped < n - 1000:
                slow.subscription.request(10)
                await anyio.lowlevel.checkpoint()
            slow.subscription.request(UNBOUNDED)
    return tally


def measured(name: str, n: int) -> Tally:
    done = subprocess.run(
        [sys.executable, __file__, name, str(n)], capture_output=True, text=True, check=True
    )
    return Tally(**json.loads(done.stdout))


def must_be_bounded(name: str, n: int, tally: Tally) -> None:
    limit, _ = PIPELINES[name]
    assert tally.ended
    assert tally.produced == n == tally.consumed + tally.dropped
    # A value the consumer is just being given counts as being between, and so does one asked for.
    assert tally.most_between <= limit + 11
    assert tally.grown_bytes < 8_000_000


@pytest.mark.parametrize("name", PIPELINES)
def test_what_waits_stays_inside_its_bound(name: str):
    n = 3_000 if name == "publish_on, a function" else 100_000
    must_be_bounded(name, n, measured(name, n))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_memory_stays_flat_over_ten_million_elements():
    tally = measured("latest", 10_000_000)
    must_be_bounded("latest", 10_000_000, tally)
    assert tally.dropped > 50 * tally.consumed


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(anyio.run(run, sys.argv[1], int(sys.argv[2])))))
