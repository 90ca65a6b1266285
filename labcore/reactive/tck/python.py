"""The rules the specification has no word for, because the JVM needs none: P3, P4 and P5.

P1, P2 and P6 are checked of every publisher (`publisher.py`); these three need to know how the
subject is made.
"""

import asyncio
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

from labcore.reactive.scope import Scope
from labcore.reactive.spec import UNBOUNDED, Publisher
from labcore.reactive.tck.check import Check, Reader, reading, settle

BUDGET = 20_000  # elements between two turns of the loop: some milliseconds
_TURNS = 20


def stop_iteration_rule(make: Callable[[Callable[..., Any]], Publisher[Any]]) -> Check:
    """P3: a `StopIteration` out of a user's function is signalled as an error.

    Args:
        make: A pipeline that calls the function it is given for each of several elements.
    """

    async def body() -> None:
        async with reading(make(_stops), Reader("P3")) as reader:
            reader.request(UNBOUNDED)
            await settle()
            reader.must(bool(reader.errors), "expected an error, actual a silent end")

    return Check("P3", "StopIteration is an error", body)


def endless_rule(make: Callable[[], Publisher[Any]]) -> Check:
    """P4: an endless synchronous pipeline, read without bound, lets the loop turn.

    Args:
        make: A pipeline that never ends and never waits.
    """

    async def body() -> None:
        reader = Reader("P4")
        seen: list[int] = [0]  # elements at each turn of the loop
        done = asyncio.Event()
        loop = asyncio.get_running_loop()

        def turn() -> None:
            seen.append(len(reader.values))
            if len(seen) <= _TURNS:
                loop.call_soon(turn)
            else:
                done.set()

        def stop_a_stall(_: Any) -> None:
            if len(reader.values) - seen[-1] > BUDGET:
                reader.cancel()

        reader.when_next = stop_a_stall
        async with Scope() as scope:
            make().subscribe(reader, scope=scope)
            loop.call_soon(turn)
            reader.request(UNBOUNDED)
            await done.wait()
            reader.cancel()
        longest = max(after - before for before, after in pairwise(seen))
        reader.must(longest <= BUDGET, f"{longest} elements without a turn of the loop")

    return Check("P4", "an endless source lets the loop turn", body)


def fusion_rule(
    fused: Callable[[], Publisher[Any]], unfused: Callable[[], Publisher[Any]]
) -> Check:
    """P5: the same pipeline with `hide()` between its stages signals the same, at any demand."""
    return Check("P5", "fused and unfused signal the same", partial(_same_signals, fused, unfused))


async def _same_signals(
    fused: Callable[[], Publisher[Any]], unfused: Callable[[], Publisher[Any]]
) -> None:
    for first in (1, 2, 3, 7, UNBOUNDED):
        one, other = Reader("P5"), Reader("P5")
        async with reading(fused(), one), reading(unfused(), other):
            for n in (first, 3, UNBOUNDED):
                one.request(n)
                other.request(n)
                await settle()
                one.must(
                    _story(one) == _story(other), f"after request({n}) unfused has {_story(other)}"
                )


def _story(reader: Reader) -> tuple[list[Any], list[str], int]:
    return reader.values, [repr(error) for error in reader.errors], reader.completions


def _stops(*_: object) -> Any:
    raise StopIteration
