"""The judge of deliveries: each way to be wrong is counted as itself."""

import pytest

from labcore.cli.bench.delivering import Account, Judgement, Logged, judged, last_ids

NORTH = frozenset({"north"})
LOG = [
    Logged(1, "north", "a", 9),
    Logged(2, "south", "a", 5),
    Logged(3, "north", "b", 7),
    Logged(4, "north", "a", 8),
]


def heard(*ids: int, conflated: bool = False, gaps: int = 0) -> Account:
    account = Account(NORTH, conflated=conflated, gaps=gaps)
    by_id = {event.id: event for event in LOG}
    for event_id in ids:
        account.hear(by_id.get(event_id, Logged(event_id, "north", "x", 0)))
    return account


def test_the_part_of_the_log_in_order_is_exact():
    found = judged(LOG, [heard(1, 3, 4), heard(1, 3, 4)])
    assert found == Judgement(delivered=6)
    assert found.exact


@pytest.mark.parametrize(
    ("account", "fault"),
    [
        (heard(1, 4), Judgement(delivered=2, lost=1)),
        (heard(1, 3, 3, 4), Judgement(delivered=4, repeated=1)),
        (heard(1, 4, 3), Judgement(delivered=3, disordered=1)),
        (heard(1, 2, 3, 4), Judgement(delivered=4, foreign=1)),
        (heard(1, 3, 4, 5), Judgement(delivered=4, foreign=1)),
        (heard(1, 3, 4, gaps=1), Judgement(delivered=3, gaps=1)),
        (heard(), Judgement(lost=3)),
    ],
    ids=["lost", "repeated", "disordered", "foreign", "invented", "gap", "nothing"],
)
def test_each_fault_is_counted_as_itself(account: Account, fault: Judgement):
    found = judged(LOG, [account])
    assert found == fault
    assert not found.exact


def test_a_conflating_subscriber_owes_only_the_final_state():
    assert judged(LOG, [heard(3, 4, conflated=True)]).exact
    assert judged(LOG, [heard(1, 3, conflated=True)]).lost == 1


def test_the_last_event_of_each_warehouse_is_known():
    assert last_ids(LOG) == {"north": 4, "south": 2}
