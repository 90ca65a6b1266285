import threading

import anyio

from servers.partner_webhook_dispatcher.awaited import Awaited


async def test_an_end_told_from_another_thread_wakes_who_waits():
    awaited = Awaited()
    awaited.begin("msg_1")
    async with anyio.create_task_group() as group:
        group.start_soon(awaited.wait, "msg_1")
        await anyio.lowlevel.checkpoint()
        teller = threading.Thread(target=awaited.ended, args=("msg_1",))
        teller.start()
    teller.join()
    assert awaited.count("msg_1") == 1


async def test_an_end_that_came_before_the_wait_is_counted():
    awaited = Awaited()
    awaited.begin("msg_1")
    awaited.ended("msg_1")
    assert awaited.count("msg_1") == 1


async def test_nothing_is_kept_of_events_that_nobody_waits_for():
    awaited = Awaited()
    awaited.ended("msg_1")
    await awaited.wait("msg_1")
    awaited.begin("msg_2")
    awaited.forget("msg_2")
    assert (awaited.count("msg_1"), awaited.count("msg_2")) == (0, 0)
    assert not awaited._wakes
    assert not awaited._ended
