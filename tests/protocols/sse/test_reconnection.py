import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.protocols.sse import Answer, Reconnection, judge_answer

SHARE = st.floats(0, 1)


@pytest.mark.parametrize(
    ("status", "content_type", "answer"),
    [
        (200, "text/event-stream", Answer.STREAM),
        (200, "text/event-stream; charset=utf-8", Answer.STREAM),
        (200, 'Text/Event-Stream;charset="UTF-8"', Answer.STREAM),
        (200, "text/event-stream;", Answer.STREAM),
        (200, "text/event-stream; charset=windows-1252", Answer.REFUSED),
        (200, "text/event-stream-foo", Answer.REFUSED),
        (200, "text/plain", Answer.REFUSED),
        (200, "", Answer.REFUSED),
        (204, "", Answer.END),
        (401, "text/event-stream", Answer.REFUSED),
        (404, "", Answer.REFUSED),
        (429, "", Answer.LATER),
        (500, "text/event-stream", Answer.REFUSED),
        (503, "application/problem+json", Answer.LATER),
    ],
)
def test_an_answer_means_one_thing(status: int, content_type: str, answer: Answer):
    assert judge_answer(status, content_type) is answer


def test_the_wait_grows_up_to_the_ceiling():
    rule = Reconnection(base_s=1, ceiling_s=30)
    waits = [rule.wait_s(failures, retry_ms=None, draw=1.0) for failures in range(2, 9)]
    assert waits == [2, 4, 8, 16, 30, 30, 30]


def test_the_server_s_wish_is_the_base():
    rule = Reconnection(base_s=1, ceiling_s=30)
    assert rule.wait_s(0, retry_ms=200, draw=0.0) == 0.2
    assert rule.wait_s(3, retry_ms=60_000, draw=1.0) == 60


@given(st.integers(0, 10_000), st.integers(0, 10**6) | st.none(), SHARE)
def test_no_wait_is_below_the_server_s_wish_nor_beyond_its_bound(
    failures: int, retry_ms: int | None, draw: float
):
    rule = Reconnection()
    base_s = rule.base_s if retry_ms is None else retry_ms / 1e3
    wait_s = rule.wait_s(failures, retry_ms=retry_ms, draw=draw)
    assert base_s <= wait_s <= max(rule.ceiling_s, base_s * (1 + rule.spread_share))


@pytest.mark.parametrize(
    "numbers", [{"base_s": -1}, {"base_s": 31}, {"spread_share": 1.5}, {"spread_share": -0.1}]
)
def test_numbers_that_contradict_each_other_are_refused(numbers: dict[str, float]):
    with pytest.raises(UsageError):
        Reconnection(**numbers)
