"""The contestants do what their case says, and leave nothing to the next one."""

import threading

import pytest

from labcore.cli.bench.virtual import HOPPING, Contestant, cases

CASES = cases(quick=True)
CONTESTANTS = {
    f"{name}-{unit}": contestant
    for name, case in CASES.items()
    for unit, contestant in case.contestants.items()
    if unit != "gevent"  # it keeps a hub for the life of its process, and runs in a child
}


def test_every_case_is_compared_with_one_of_its_own():
    assert all(case.peer in case.contestants for case in CASES.values())


def test_a_full_run_has_ten_times_the_units_but_for_memory():
    full = cases(quick=False)
    ratios = {name: full[name].n / case.n for name, case in CASES.items()}
    assert ratios == {"wait": 10, "hop": 10, "call": 10, "memory": 1}


@pytest.mark.parametrize("contestant", CONTESTANTS.values(), ids=CONTESTANTS)
def test_a_contestant_leaves_no_thread(contestant: Contestant):
    before = set(threading.enumerate())
    contestant(HOPPING, 0.001)
    assert set(threading.enumerate()) <= before
