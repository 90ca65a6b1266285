"""What the table of strangers says of a meeting."""

from labcore.cli.bench.foreign import NODE, PYTHON
from labcore.cli.bench.strangers import Meeting

DUE = [3, 5, 6]


def test_who_heard_all_once_and_in_order_is_exact():
    row = Meeting(heard=[3, 5, 6]).row(PYTHON[0], DUE)
    assert row["exact"]
    assert (row["of"], row["came_back"], row["repeated"]) == ("Python", "by itself", 0)


def test_what_is_lost_repeated_or_out_of_order_is_not():
    for heard in ([3, 6], [3, 5, 5, 6], [5, 3, 6], []):
        assert not Meeting(heard=heard).row(NODE[0], DUE)["exact"]
    assert Meeting(heard=[3, 5, 5, 6], called_again=1).row(NODE[0], DUE) == {
        "client": "eventsource",
        "protocol": "sse",
        "of": "npm",
        "due": 3,
        "received": 4,
        "repeated": 1,
        "came_back": "started again",
        "exact": False,
    }
