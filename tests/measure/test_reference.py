import urllib.request
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.lanes import Child
from labcore.measure import reference
from labcore.measure.reference import Slots, queue_latency_ns, stall_latency_ns, stalls

MS = 1_000_000


def test_waiting_is_the_rest_of_the_stall_and_nothing_outside_of_it():
    intended = np.array([0, 50, 100, 120, 149, 150, 199, 210]) * MS
    windows = stalls(0, stall_s=0.05, period_s=0.1, until_ns=210 * MS)
    # The first period has no stall; from then on, the first half of each.
    assert (windows / MS).tolist() == [[100, 150], [200, 250]]
    assert (stall_latency_ns(intended, windows) / MS).tolist() == [0, 0, 50, 30, 1, 0, 0, 40]


def test_a_server_that_never_stalls_makes_nobody_wait():
    windows = stalls(0, stall_s=0.0, period_s=0.0, until_ns=5)
    assert stall_latency_ns(np.arange(3), windows).tolist() == [0, 0, 0]


def test_two_slots_serve_in_the_order_of_arrival():
    queue = Slots(2)
    # Both slots are taken until 10 and 12; the third begins at 10, the fourth at 12.
    finished = [queue.finish_ns(arrived, 10) for arrived in (0, 2, 3, 4, 50)]
    assert finished == [10, 12, 20, 22, 60]


def test_without_a_bound_a_request_takes_its_hold():
    assert queue_latency_ns(np.array([0, 1]), np.array([7, 9]), slots=0).tolist() == [7, 9]


@given(
    gaps=st.lists(st.integers(0, 20), min_size=1, max_size=60),
    hold=st.integers(1, 50),
    slots=st.integers(1, 5),
)
def test_never_more_requests_are_in_service_than_there_are_slots(
    gaps: list[int], hold: int, slots: int
):
    arrived = np.cumsum(gaps)
    finished = arrived + queue_latency_ns(arrived, np.full(len(gaps), hold), slots=slots)
    begun = finished - hold
    assert (begun >= arrived).all()
    assert (np.diff(begun) >= 0).all()
    assert all(((begun <= moment) & (moment < finished)).sum() <= slots for moment in begun)


@given(gaps=st.lists(st.integers(0, 20), min_size=1, max_size=60), hold=st.integers(1, 50))
def test_one_slot_waits_as_lindley_says(gaps: list[int], hold: int):
    arrived = np.cumsum(gaps)
    waits = queue_latency_ns(arrived, np.full(len(gaps), hold), slots=1) - hold
    wait, expected = 0, []
    for gap in [*gaps[1:], 0]:
        expected.append(wait)
        wait = max(0, wait + hold - gap)
    assert waits.tolist() == expected


def asked(setting: dict[str, Any], paths: list[str]) -> dict[str, Any]:
    """The account of a server that was asked for these paths, one after the other."""
    accounts = []

    def on_event(kind: str, payload: dict[str, Any]) -> None:
        if kind == reference.ACCOUNT:
            accounts.append(payload)

    with Child(reference.TARGET, setting, name="reference", on_event=on_event) as child:
        url = child.wait_ready(10)["url"]
        child.send("begin", {})
        for path in paths:
            with urllib.request.urlopen(url + path, timeout=5) as response:
                assert response.status == 200
                assert response.read() == b'{"ok":true}'
    assert child.exit_code == 0
    return dict(accounts[0])


@pytest.mark.parametrize("slots", [0, 2])
def test_the_server_accounts_for_what_is_numbered_and_never_answers_early(slots: int):
    account = asked({"delay_s": 0.01, "slots": slots}, ["/", "/3000/7", "/0/8"])
    assert account["numbers"] == [7, 8]
    stay = np.subtract(account["answered_ns"], account["received_ns"])
    assert stay[0] >= 3 * MS
    assert stay[1] >= 0
    assert account["stalls"] == []


def test_a_stall_is_accounted_for_as_it_was():
    setting = {"stall_s": 0.02, "period_s": 0.05}
    account = asked(setting, [f"/30000/{number}" for number in range(4)])  # lasts two periods
    assert len(account["stalls"]) >= 1
    for turn, (from_ns, until_ns) in enumerate(account["stalls"], start=1):
        assert from_ns <= until_ns
        assert until_ns >= account["began_ns"] + (turn * 50 + 20) * MS - 1_000  # floats of seconds
