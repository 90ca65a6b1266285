"""The server's core is its own where there are two."""

import os
import platform
import subprocess
import sys
import threading

import pytest

from labcore.measure.placement import SHORT_SLICE_NS, Placement, kept_to, slice_ns, woken_first


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


TELL = "from labcore.measure.placement import slice_ns; print(slice_ns())"
KERNEL = tuple(int(part) for part in platform.release().split(".")[:2])


@pytest.mark.skipif(KERNEL < (6, 12), reason="the kernel gives no slices of one's own choice")
def test_a_child_inherits_the_short_slice_and_the_parent_gives_it_up():
    before = slice_ns()
    with woken_first():
        assert slice_ns() == SHORT_SLICE_NS
        told = subprocess.run([sys.executable, "-c", TELL], capture_output=True, check=True)
    assert int(told.stdout) == SHORT_SLICE_NS
    assert slice_ns() == before != SHORT_SLICE_NS


def test_being_woken_first_keeps_the_nice_value():
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with woken_first():
        assert os.getpriority(os.PRIO_PROCESS, 0) == before
