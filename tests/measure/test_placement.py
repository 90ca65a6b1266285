"""The server's core is its own where there are two."""

import os
import threading

import pytest

from labcore.measure.placement import Placement, kept_to


def test_one_core_is_shared():
    assert Placement.on([3]) == Placement(None, None, None)
    assert Placement.on([3]).server_core is None


def test_two_cores_part_server_and_driver_and_the_rest_keeps_off_the_server():
    placement = Placement.on([0, 1])
    assert placement == Placement(frozenset({0}), frozenset({1}), frozenset({1}))
    assert placement.server_core == 0


def test_more_cores_leave_the_driver_alone_too():
    placement = Placement.on([2, 3, 6, 7])
    assert placement == Placement(frozenset({2}), frozenset({3}), frozenset({6, 7}))


@pytest.mark.parametrize("count", [2, 3, 8])
def test_nobody_shares_the_servers_core(count: int):
    placement = Placement.on(range(count))
    assert placement.server is not None
    assert placement.driver is not None
    assert placement.others is not None
    assert not placement.server & (placement.driver | placement.others)


def test_a_thread_is_kept_and_released_and_others_stay():
    before = os.sched_getaffinity(0)
    core = min(before)
    seen: list[set[int]] = []
    entered, checked = threading.Event(), threading.Event()

    def other() -> None:
        entered.wait(10)
        seen.append(os.sched_getaffinity(0))
        checked.set()

    thread = threading.Thread(target=other)
    thread.start()
    with kept_to({core}):
        assert os.sched_getaffinity(0) == {core}
        entered.set()
        assert checked.wait(10)
    thread.join()
    assert seen == [before]
    assert os.sched_getaffinity(0) == before


def test_no_cores_change_nothing():
    before = os.sched_getaffinity(0)
    with kept_to(None):
        assert os.sched_getaffinity(0) == before
