"""The doors out of a stream: results, errors, cancellation, clean-up."""
# ruff: noqa: D102 - the readers are the protocols' methods

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from labcore.kernel import UsageError
from labcore.reactive import Flux, Mono
from labcore.reactive.testing import VirtualTime


class Source:
    """Three values, and whether they were closed."""

    def __init__(self, n: int = 3) -> None:
        self.n = n
        self.closed = 0

    async def __call__(self) -> AsyncIterator[int]:
        try:
            for value in range(self.n):
                await anyio.lowlevel.checkpoint()
                yield value
        finally:
            self.closed += 1


async def test_awaiting_gives_the_value_or_none():
    assert await Mono.just(5) == 5
    assert await Mono.empty() is None
    assert await Flux.from_async_iterable(Source()).collect_list() == [0, 1, 2]


async def test_awaiting_raises_the_error_itself_and_no_group():
    async def fails() -> int:
        await anyio.lowlevel.checkpoint()
        raise KeyError("x")

    with pytest.raises(KeyError):
        await Mono.from_callable(fails)


async def test_iterating_closes_the_source_when_left_early():
    source = Source()
    async with Flux.from_async_iterable(source).stream() as items:
        async for item in items:
            if item == 1:
                break
    assert source.closed == 1


async def test_an_error_comes_out_of_the_loop_after_the_values():
    seen: list[int] = []
    flux = Flux.just(1, 2).concat_with(Flux.error(OSError("x")))
    with pytest.raises(OSError, match="x"):
        await flux.for_each(seen.append)
    assert seen == [1, 2]


async def test_an_async_iterable_can_be_closed():
    source = Source()
    iterator: Any = aiter(Flux.from_async_iterable(source).to_async_iterable())
    async with aclosing(iterator) as items:
        assert await anext(items) == 0
    assert source.closed == 1


async def test_an_async_iterable_runs_for_each_iteration():
    iterable = Flux.from_async_iterable(Source()).to_async_iterable(window=1)
    assert [item async for item in iterable] == [0, 1, 2]
    assert [item async for item in iterable] == [0, 1, 2]


async def test_for_each_awaits_a_coroutine_before_the_next_value():
    running = most = 0
    seen: list[int] = []

    async def handle(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await anyio.lowlevel.checkpoint()
        seen.append(item)
        running -= 1

    await Flux.range(0, 5).for_each(handle)
    await Flux.just(5).for_each(seen.append)
    assert (most, seen) == (1, [0, 1, 2, 3, 4, 5])


async def test_cancelling_the_waiter_closes_the_source():
    source = Source(10**9)
    with anyio.move_on_after(0.01):
        await Flux.from_async_iterable(source).count()
    assert source.closed == 1


async def test_block_refuses_to_stop_a_running_loop():
    with pytest.raises(UsageError, match="await"):
        Mono.just(1).block()


def test_block_has_a_time_limit():
    with pytest.raises(TimeoutError):
        Mono.never().block(timeout_s=0.01)


def test_block_last_gives_the_last():
    assert Flux.just(1, 2).block_last() == 2
    assert Flux.empty().block_last() is None


async def test_a_cancellation_from_user_code_does_not_hang_the_stream():
    async def cancelled() -> Any:
        raise anyio.get_cancelled_exc_class()

    with pytest.raises(anyio.get_cancelled_exc_class()):
        await Mono.from_callable(cancelled)


def test_a_door_under_a_deadline_is_left_in_time():
    async def main() -> float:
        with anyio.move_on_after(5):
            await Flux.interval(1).count()
        return anyio.current_time()

    assert VirtualTime.run(main) == 5.0
