"""flat_map of a coroutine function over an iterator: places, run-ahead, failure, cancellation."""

import itertools

import anyio
import anyio.lowlevel
import pytest

from labcore.reactive import Flux, Mono
from labcore.reactive.testing import StepVerifier, VirtualTime


class Log:
    """What calls did."""

    def __init__(self) -> None:
        self.begun = self.running = self.most = self.ended = 0

    async def call(self, value: int) -> int:
        """One call of a second."""
        self.begun += 1
        self.running += 1
        self.most = max(self.most, self.running)
        try:
            await anyio.sleep(1)  # simulated time
        finally:
            self.running -= 1
            self.ended += 1
        return value


def test_the_places_are_filled_and_never_exceeded():
    log = Log()

    async def main() -> tuple[int, float]:
        return await Flux.range(0, 100).flat_map(log.call, concurrency=8).count(), (
            anyio.current_time()
        )

    assert VirtualTime.run(main) == (100, 13.0)
    assert (log.most, log.begun) == (8, 100)


def test_results_nobody_asked_for_hold_their_places():
    log = Log()
    flux = Flux.from_iterable(itertools.count()).flat_map(log.call, concurrency=4)
    (
        StepVerifier.with_virtual_time(lambda: flux, 0)
        .expect_no_event(60)
        .then(lambda: _is(log.begun, 4))
        .then_request(3)
        .expect_next_count(3)
        .expect_no_event(60)
        .then(lambda: _is(log.begun, 7))
        .then_cancel()
        .verify()
    )
    assert log.begun == log.ended


def _is(actual: int, expected: int) -> None:
    assert actual == expected


def test_a_failure_cancels_the_other_calls_and_waits_for_them():
    log = Log()

    async def call(value: int) -> int:
        if value == 2:
            raise KeyError(value)
        return await log.call(value)

    async def main() -> None:
        with pytest.raises(KeyError) as caught:
            await Flux.range(0, 5).flat_map(call).count()
        assert caught.value.__notes__ == ["in flat_map(call)"]

    VirtualTime.run(main)
    assert log.begun == log.ended


async def test_calls_that_never_wait_give_the_loop_its_turns():
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async def at_once(value: int) -> int:
        return value

    async with anyio.create_task_group() as group:
        group.start_soon(other)
        assert await Flux.range(0, 20_000).flat_map(at_once, concurrency=1).count() == 20_000
        group.cancel_scope.cancel()
    assert turns >= 20_000 / (2 * 1024)


def test_an_empty_iterator_needs_no_call():
    log = Log()
    StepVerifier.create(Flux.from_iterable([]).flat_map(log.call)).verify_complete()
    assert log.begun == 0


def test_an_iterator_that_fails_fails_the_stream():
    def broken() -> itertools.chain[int]:
        return itertools.chain([1], (1 // zero for zero in [0]))

    flux = Flux.defer(lambda: Flux.from_iterable(broken()).flat_map(Log().call, concurrency=1))
    (
        StepVerifier.with_virtual_time(lambda: flux)
        .then_await(1)
        .expect_next(1)
        .verify_error(ZeroDivisionError)
    )


async def test_every_call_of_a_chain_runs_once():
    """A value asks for the next call, which asks upstream again: the first must not run anew."""
    runs: list[str] = []

    def calling(name: str) -> Mono[str]:
        async def call() -> str:
            runs.append(name)
            return name

        found: Mono[str] = Mono.from_callable(call)
        return found

    chain = calling("a").flat_map(lambda _: calling("b")).flat_map(lambda _: calling("c"))
    assert await chain == "c"
    assert await Flux.concat(chain, chain).collect_list() == ["c", "c"]
    assert runs == ["a", "b", "c"] * 3
