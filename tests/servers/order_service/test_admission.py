import asyncio

import anyio
import pytest

from servers.order_service.admission import Admission


async def test_places_are_bounded_and_so_is_the_line():
    admission = Admission(max_in_flight=2, max_queue=1)
    assert [await admission.enter() for _ in range(2)] == [True, True]
    async with anyio.create_task_group() as group:
        group.start_soon(admission.enter)
        await anyio.wait_all_tasks_blocked()
        assert not await admission.enter()
        assert admission.gauges() == {"in_flight": 3, "admission_queue": 1, "shed_total": 1}
        admission.leave()
    assert admission.gauges() == {"in_flight": 2, "admission_queue": 0, "shed_total": 1}


async def test_without_a_line_a_full_service_says_no_at_once():
    admission = Admission(max_in_flight=1, max_queue=0)
    assert await admission.enter()
    assert not await admission.enter()
    admission.leave()
    assert await admission.enter()


async def test_the_line_moves_in_the_order_of_arrival():
    admission = Admission(max_in_flight=1, max_queue=10)
    served: list[int] = []

    async def order(number: int) -> None:
        assert await admission.enter()
        served.append(number)
        await anyio.lowlevel.checkpoint()
        admission.leave()

    async with anyio.create_task_group() as group:
        for number in range(8):
            group.start_soon(order, number)
    assert served == list(range(8))
    assert admission.gauges()["in_flight"] == 0


@pytest.mark.parametrize("place_came_first", [False, True])
async def test_who_is_cancelled_in_line_holds_no_place(*, place_came_first: bool):
    admission = Admission(max_in_flight=1, max_queue=2)
    assert await admission.enter()
    waiting = asyncio.create_task(admission.enter())
    await anyio.wait_all_tasks_blocked()
    if place_came_first:
        admission.leave()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    if not place_came_first:
        assert admission.gauges()["in_flight"] == 1
        admission.leave()
    assert admission.gauges() == {"in_flight": 0, "admission_queue": 0, "shed_total": 0}
    assert await admission.enter()


async def test_a_place_passes_over_who_was_cancelled_just_now():
    admission = Admission(max_in_flight=1, max_queue=2)
    assert await admission.enter()
    served: list[str] = []

    async def order(name: str) -> None:
        assert await admission.enter()
        served.append(name)

    async with anyio.create_task_group() as group:
        with anyio.CancelScope() as first:
            async with anyio.create_task_group() as inner:
                inner.start_soon(order, "first")
                await anyio.wait_all_tasks_blocked()
                group.start_soon(order, "second")
                await anyio.wait_all_tasks_blocked()
                first.cancel()
                admission.leave()
    assert served == ["second"]
    assert admission.gauges()["in_flight"] == 1
