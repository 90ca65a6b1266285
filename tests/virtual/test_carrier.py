"""A carrier of the library's own begins, takes calls from any thread, and ends."""

import asyncio
import threading

from labcore.virtual.carrier import Carrier, running_loop


def test_calls_run_on_the_carrier_in_order():
    carrier = Carrier("carrier")
    seen: list[tuple[int, asyncio.AbstractEventLoop | None]] = []
    done = threading.Event()
    for number in range(1_000):
        carrier.call(lambda number=number: seen.append((number, running_loop())))
    carrier.call(done.set)
    assert done.wait(5)
    carrier.stop()
    carrier.join()
    assert seen == [(number, carrier.loop) for number in range(1_000)]


def test_a_stopped_carrier_leaves_neither_thread_nor_loop():
    carrier = Carrier("brief")
    carrier.stop()
    carrier.stop()
    carrier.join()
    assert carrier.loop.is_closed()
    assert [thread.name for thread in threading.enumerate() if thread.name == "brief"] == []


def test_no_loop_runs_on_a_plain_thread():
    assert running_loop() is None


async def test_the_running_loop_is_found():
    assert running_loop() is asyncio.get_running_loop()
