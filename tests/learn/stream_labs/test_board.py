import pytest

from labcore.learn.stream_labs.board import RULES
from labcore.stores import event_log


@pytest.mark.parametrize(
    ("rule", "last_id", "after"),
    [("now", 12, 20), ("start", 12, 9), ("last", 12, 12), ("last", None, 20)],
)
def test_each_rule_says_where_the_stream_begins(rule: str, last_id: int | None, after: int):
    assert RULES[rule](last_id, event_log.Span(10, 20)) == after
