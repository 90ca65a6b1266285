"""Another answer in place of a failure, on every face; the rest is in the table."""

import asyncio

import pytest

from labcore.reactive import Flux
from labcore.resilience import Event, Fallback

from .conftest import Face, raises, returns


async def test_a_success_is_left_alone(call: Face):
    fallback = Fallback(lambda _: "other")
    assert await call(fallback, returns("answer")) == "answer"
    assert fallback.gauges() == {"fallback_total": 0}


async def test_the_failure_is_handed_over_and_told(call: Face):
    heard: list[Event] = []
    fallback = Fallback(str)
    fallback.on_event(heard.append)
    assert await call(fallback, raises(OSError("down"))) == "down"
    assert [str(event.error) for event in heard] == ["down"]


async def test_what_the_fallback_raises_is_raised(call: Face):
    def worse(error: Exception) -> None:
        raise LookupError("worse") from error

    with pytest.raises(LookupError, match="worse"):
        await call(Fallback(worse), raises())


async def test_a_cancelled_call_has_no_fallback():
    async def hang() -> str:
        await asyncio.get_running_loop().create_future()
        return "never"

    fallback = Fallback(lambda _: "other")
    task = asyncio.ensure_future(fallback.call_async(hang))
    asyncio.get_running_loop().call_later(1.0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_awaitable_answer_is_awaited_by_tasks_and_streams():
    async def other(_: Exception) -> str:
        return "other"

    fallback = Fallback(other)
    assert await fallback.call_async(raises().as_task) == "other"
    assert await fallback.operator()(Flux.error(OSError())).collect_list() == ["other"]
