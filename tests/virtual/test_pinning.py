"""Who keeps a carrier is found, named and counted; who parks is not."""

import asyncio
import threading
import time

import pytest

from labcore.kernel import UsageError
from labcore.virtual import Pin, PinWatch, VirtualThreadExecutor, carry, sleep, start_virtual_thread
from labcore.virtual.pinning import WATCHING

THRESHOLD_S = 0.02


def watched() -> bool:
    return WATCHING.on


def compute(seconds: float) -> None:
    """Holds the carrier, as a long computation does."""
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s:
        pass


def park_then_compute() -> None:
    sleep(2 * THRESHOLD_S)
    compute(3 * THRESHOLD_S)
    sleep(0)


async def test_a_long_computation_is_a_pin_with_the_stack_of_the_culprit():
    told: list[Pin] = []
    with PinWatch(threshold_s=THRESHOLD_S, on_pin=told.append) as watch:
        await carry(park_then_compute, name="order")
    (pin,) = watch.pins
    assert told == [pin]
    assert pin.thread.startswith("order-")
    assert pin.carrier == threading.current_thread().name
    assert 3 * THRESHOLD_S <= pin.lasted_s < 1
    assert "compute" in pin.culprit
    assert [each.name for each in pin.stack][-2:] == ["park_then_compute", "compute"]
    assert "pinned" in str(pin)
    assert watch.gauges()["pins_total"] == 1
    assert watch.gauges()["pinned_ms_total"] == pytest.approx(pin.lasted_s * 1e3)


async def test_parking_pins_nobody_however_long():
    with PinWatch(threshold_s=THRESHOLD_S) as watch:
        await carry(sleep, 5 * THRESHOLD_S)
    assert watch.pins == ()


async def test_counting_alone_needs_no_thread_and_knows_no_stack():
    before = threading.active_count()
    with PinWatch(threshold_s=THRESHOLD_S, stacks=False) as watch:
        assert threading.active_count() == before
        await carry(compute, 2 * THRESHOLD_S)
    (pin,) = watch.pins
    assert (pin.stack, pin.culprit) == ((), "")


async def test_a_pin_that_ends_by_an_error_counts_too():
    def fail() -> None:
        compute(2 * THRESHOLD_S)
        raise ValueError("no")

    with (
        PinWatch(threshold_s=THRESHOLD_S, stacks=False) as watch,
        pytest.raises(ValueError, match="no"),
    ):
        await carry(fail)
    assert len(watch.pins) == 1


def test_the_carrier_of_an_executor_is_named():
    with (
        PinWatch(threshold_s=THRESHOLD_S) as watch,
        VirtualThreadExecutor(name="mail") as executor,
    ):
        executor.submit(compute, 2 * THRESHOLD_S).result()
    (pin,) = watch.pins
    assert pin.carrier == "mail-carrier"


async def test_two_watches_count_apart_and_nothing_is_left_on():
    with PinWatch(threshold_s=THRESHOLD_S, stacks=False) as fine:
        with PinWatch(threshold_s=1.0, stacks=False) as coarse:
            await carry(compute, 2 * THRESHOLD_S)
        assert watched()
    assert (len(fine.pins), len(coarse.pins)) == (1, 0)
    assert not watched()
    await carry(compute, 2 * THRESHOLD_S)
    assert len(fine.pins) == 1


async def test_a_watch_that_begins_while_a_thread_is_mounted_leaves_it_be():
    ended = asyncio.Event()

    def begin_watching() -> None:
        with PinWatch(threshold_s=THRESHOLD_S, stacks=False) as watch:
            sleep(0)
            compute(2 * THRESHOLD_S)
            sleep(0)
        assert len(watch.pins) == 1
        ended.set()

    start_virtual_thread(begin_watching)
    await asyncio.wait_for(ended.wait(), 10)
    assert not watched()


def test_a_threshold_of_nothing_is_refused():
    with pytest.raises(UsageError, match="threshold_s=0"):
        PinWatch(threshold_s=0)
