import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.protocols.fanout import MOST_TAKEN_BYTES, Backlog, Frame, Hub, Slow


def frame(number: int, *, key: str = "", scope: str = "") -> Frame:
    return Frame(b"%d," % number, key, scope)


class RecordingOutlet:
    """A client that keeps up."""

    def __init__(self) -> None:
        self.written: list[bytes] = []

    def __call__(self, data: bytes) -> bool:
        """Write."""
        self.written.append(data)
        return True


@given(st.lists(st.integers(0, 5), max_size=80), st.integers(1, 8), st.sampled_from(Slow))
def test_a_backlog_never_outgrows_its_bound_and_loses_only_what_it_counts(
    keys: list[int], most: int, slow: Slow
):
    backlog = Backlog(slow, most=most)
    kept = [backlog.put(frame(place, key=str(key))) for place, key in enumerate(keys)]
    assert len(backlog) <= most
    waiting = len(backlog)
    numbers = [int(text) for text in backlog.take().split(b",") if text]
    assert numbers == sorted(numbers)
    assert len(numbers) == waiting
    assert sum(kept) == waiting + backlog.conflated + backlog.dropped


@given(st.lists(st.integers(0, 5), max_size=80))
def test_conflation_keeps_the_latest_of_each_key(keys: list[int]):
    backlog = Backlog(Slow.CONFLATE)
    for place, key in enumerate(keys):
        backlog.put(frame(place, key=str(key)))
    latest = {key: place for place, key in enumerate(keys)}
    expected = b"".join(b"%d," % place for place in sorted(latest.values()))
    assert backlog.take() == expected


def test_dropping_the_oldest_keeps_the_newest():
    backlog = Backlog(Slow.DROP_OLDEST, most=2)
    for number in range(5):
        backlog.put(frame(number))
    assert (backlog.take(), backlog.dropped) == (b"3,4,", 3)


def test_what_is_taken_at_once_is_bounded():
    backlog = Backlog(Slow.DISCONNECT)
    for _ in range(10):
        backlog.put(Frame(b"x" * (MOST_TAKEN_BYTES // 2)))
    assert len(backlog.take()) == MOST_TAKEN_BYTES
    assert len(backlog) == 8


def test_a_backlog_of_nothing_is_refused():
    with pytest.raises(UsageError, match="most=0"):
        Hub().subscribe(most=0)


async def test_everybody_gets_every_frame_in_order():
    hub = Hub()
    first, second = hub.subscribe(), hub.subscribe()
    for number in range(3):
        hub.publish(frame(number))
    assert await first.take() == await second.take() == b"0,1,2,"


async def test_a_subscriber_sees_only_its_scope():
    hub = Hub()
    north = hub.subscribe(accepts=lambda each: each.scope == "north")
    for number, scope in enumerate(["north", "south", "north"]):
        hub.publish(frame(number, scope=scope))
    assert await north.take() == b"0,2,"


async def test_a_full_backlog_disconnects_and_delays_nobody_else():
    hub = Hub()
    slow, quick = hub.subscribe(most=2), hub.subscribe()
    for number in range(3):
        hub.publish(frame(number))
    assert await slow.take() == b""
    assert await quick.take() == b"0,1,2,"
    assert hub.gauges()["disconnected_slow_total"] == 1


async def test_an_idle_subscriber_is_written_to_past_its_task():
    hub, outlet = Hub(), RecordingOutlet()
    subscription = hub.subscribe()
    subscription.attach(outlet)
    taking = asyncio.create_task(subscription.take())
    await asyncio.sleep(0)
    hub.publish(frame(1))
    assert outlet.written == [b"1,"]
    subscription.end()
    assert await taking == b""


async def test_nothing_overtakes_frames_in_the_hands_of_the_task():
    """Between two takes the task may hold older frames: the newer must queue, outlet or not."""
    hub, outlet = Hub(), RecordingOutlet()
    subscription = hub.subscribe()
    subscription.attach(outlet)
    hub.publish(frame(1))
    assert await subscription.take() == b"1,"
    hub.publish(frame(2))
    assert outlet.written == []
    assert await subscription.take() == b"2,"


async def test_a_client_that_does_not_keep_up_is_queued_for():
    hub = Hub()
    subscription = hub.subscribe()
    subscription.attach(lambda _: False)
    taking = asyncio.create_task(subscription.take())
    await asyncio.sleep(0)
    hub.publish(frame(1))
    assert await taking == b"1,"


async def test_a_cancelled_take_loses_nothing():
    hub = Hub()
    subscription = hub.subscribe()
    taking = asyncio.create_task(subscription.take())
    await asyncio.sleep(0)
    hub.publish(frame(1))
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert await subscription.take() == b"1,"


async def test_the_end_comes_after_what_is_queued():
    hub = Hub()
    subscription = hub.subscribe()
    hub.publish(frame(1))
    hub.end()
    hub.publish(frame(2))
    assert [await subscription.take(), await subscription.take()] == [b"1,", b""]


async def test_one_that_leaves_is_forgotten_and_its_counts_stay():
    hub = Hub()
    subscription = hub.subscribe(Slow.CONFLATE)
    for number in range(4):
        hub.publish(frame(number, key="a"))
    subscription.close()
    subscription.close()
    gauges = hub.gauges()
    assert (gauges["subscribers"], gauges["conflated_total"], len(hub)) == (0, 3, 0)
