"""Threads beside the loop: blocking stages and blocking iterators run on a scheduler.

What crosses is a value with its stage functions; no operator's state ever leaves the loop.
"""
# ruff: noqa: C901, PLR0915 - an operator is closures over its state: ruff adds the nested ones up

from collections import deque
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import MISSING, Down, Feed, Fusion, Source, Stage
from labcore.reactive.operators.elements import Mapped, filter_stage
from labcore.reactive.operators.observe import tap_stage
from labcore.reactive.outlet import Outlet
from labcore.reactive.scope import Scheduler
from labcore.reactive.spec import Subscription, low_tide

T = TypeVar("T")
U = TypeVar("U")


class Offloaded(lib.Flux[T]):
    """What `publish_on` gives: the element-wise stages put on it run on the scheduler."""

    __slots__ = ("prefetch", "scheduler", "stages", "upstream")

    def __init__(
        self,
        upstream: Source[Any],
        scheduler: Scheduler,
        prefetch: int,
        stages: tuple[Stage, ...] = (),
    ) -> None:
        super().__init__(offloading(upstream, scheduler, prefetch, stages))
        self.upstream = upstream
        self.scheduler = scheduler
        self.prefetch = prefetch
        self.stages = stages

    def like(self, feed: Feed | None = None, *, fusion: Fusion | None = None) -> Any:
        """Any other operator is back on the loop."""
        return lib.Flux(feed, fusion=fusion)

    def map(self, fn: Callable[[T], U]) -> "Offloaded[U]":
        """As Flux.map, on the scheduler."""
        return self._with(Mapped(fn))

    def filter(self, keep: Callable[[T], object]) -> "Offloaded[T]":
        """As Flux.filter, on the scheduler."""
        return self._with(filter_stage(keep))

    def do_on_next(self, action: Callable[[T], object]) -> "Offloaded[T]":
        """As Flux.do_on_next, on the scheduler."""
        return self._with(tap_stage(action))

    def _with(self, stage: Stage) -> "Offloaded[Any]":
        return Offloaded(self.upstream, self.scheduler, self.prefetch, (*self.stages, stage))


def offloading(
    upstream: Source[Any], scheduler: Scheduler, prefetch: int, stages: tuple[Stage, ...]
) -> Feed:
    """Values wait on the loop; one at a time goes to the scheduler and comes back as its result."""

    def feed(down: Down[Any]) -> None:
        scope = down.scope
        waiting: deque[Any] = deque()
        fusion = Fusion(lambda: iter(()), stages)
        outlet = Outlet(down)
        up: Subscription | None = None
        out = done = False
        end: Exception | None = None
        taken, low = 0, low_tide(prefetch)

        def start(subscription: Subscription) -> None:
            nonlocal up
            up = subscription
            outlet.closed = subscription.cancel
            outlet.asked = lambda _: step()
            down.start(outlet)
            if outlet.live:
                subscription.request(prefetch)

        def offer(value: Any) -> bool:
            waiting.append(value)
            step()
            return True

        def step() -> None:
            nonlocal out
            if out or not outlet.live or outlet.demand <= len(outlet.queue):
                return
            if waiting:
                out = True
                scope.spawn(run)
            elif done:
                outlet.finish(end)

        async def run() -> None:
            nonlocal out, taken
            value = waiting.popleft()
            try:
                results = await scope.offload(
                    scheduler, lambda: list(fusion.compose(iter((value,)), scope))
                )
            except Exception as error:  # noqa: BLE001 - a stage's error is the signal
                if up is not None:
                    up.cancel()
                outlet.fail(error)
                return
            out = False
            taken += 1
            if taken >= low and up is not None and not done:
                more, taken = taken, 0
                up.request(more)
            for result in results:
                outlet.push(result)
            step()

        def finish(error: Exception | None = None) -> None:
            nonlocal done, end
            done, end = True, error
            if not waiting and not out:
                outlet.finish(end)

        upstream.feed(down.above(start=start, offer=offer, fail=finish, complete=finish))

    return feed


def pulled_on(fusion: Fusion, scheduler: Scheduler) -> Feed:
    """A fused iterator, pulled on the scheduler, one value per hop, as long as there is demand."""

    def feed(down: Down[Any]) -> None:
        scope = down.scope
        outlet = Outlet(down)
        values: Iterator[Any] | None = None
        out = False

        def step(_: int = 0) -> None:
            nonlocal out
            if not out and outlet.live and outlet.demand:
                out = True
                scope.spawn(run)

        def pull() -> list[Any]:
            nonlocal values
            if values is None:
                values = fusion.compose(fusion.base(), scope)
            return list(islice(values, 1)) or [MISSING]

        async def run() -> None:
            nonlocal out
            while outlet.live and outlet.demand:
                try:
                    (value,) = await scope.offload(scheduler, pull)
                except Exception as error:  # noqa: BLE001 - the iterator's error is the signal
                    outlet.fail(error)
                    return
                if value is MISSING:
                    outlet.complete()
                    return
                outlet.push(value)
            out = False

        outlet.asked = step
        down.start(outlet)

    return feed
