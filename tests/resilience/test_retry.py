"""The rule of one call, and its configuration."""

import pytest

from labcore.kernel import UsageError
from labcore.resilience import CallNotPermittedError, Event, Jitter, RetryConfig
from labcore.resilience.retry import RetryCall
from labcore.virtual import HttpReply


def begun(config: RetryConfig, events: list[Event] | None = None) -> RetryCall:
    call = RetryCall(
        config,
        backoff=config.backoff(),
        budget=None,
        name="retry",
        tell=None if events is None else events.append,
    )
    call.begin(0.0)
    return call


def is_busy(reply: object) -> bool:
    return isinstance(reply, HttpReply) and reply.status == 503


BUSY = RetryConfig(retry_on_result=is_busy)


def test_the_longer_of_the_schedule_and_retry_after_is_taken():
    call = begun(BUSY)
    assert call.after_result(HttpReply(503, {"retry-after": "7"}, b""), 0.0) == 7.0
    assert call.after_result(HttpReply(503, {"retry-after": "0"}, b""), 0.0) == 0.5


def test_a_retry_after_beyond_the_bound_means_no_retry():
    assert begun(BUSY).after_result(HttpReply(503, {"retry-after": "61"}, b""), 0.0) is None


def test_retry_after_can_be_left_unread():
    config = RetryConfig(retry_on_result=is_busy, retry_after=None)
    assert begun(config).after_result(HttpReply(503, {"retry-after": "7"}, b""), 0.0) == 0.5


def test_decorrelated_waits_grow_from_the_wait_before():
    config = RetryConfig(max_attempts=9, jitter=Jitter.DECORRELATED, random=lambda: 1.0)
    call = begun(config)
    assert [call.after_error(OSError("down"), 0.0) for _ in range(3)] == [0.5, 1.5, 4.5]


def test_a_good_result_is_the_answer():
    assert begun(BUSY).after_result(HttpReply(200, {}, b""), 0.0) is None


def test_a_predicate_adds_to_the_types():
    config = RetryConfig(
        retry_exceptions=(OSError,), retry_on_exception=lambda e: "again" in str(e)
    )
    assert begun(config).after_error(ValueError("again"), 0.0) == 0.5
    assert begun(config).after_error(ValueError("no"), 0.0) is None


def test_what_is_ignored_wins():
    config = RetryConfig(retry_on_exception=lambda _: True)
    refusal = CallNotPermittedError("open", retry_after_s=1.0)
    assert begun(config).after_error(refusal, 0.0) is None


def test_events_tell_attempt_wait_and_error():
    events: list[Event] = []
    call = begun(RetryConfig(max_attempts=2), events)
    error = OSError("down")
    call.after_error(error, 3.0)
    call.after_error(error, 4.0)
    assert [(event.kind.value, event.attempt, event.wait_s, event.now_s) for event in events] == [
        ("retry", 1, 0.5, 3.0),
        ("retries_exhausted", 2, None, 4.0),
    ]
    assert {event.error for event in events} == {error}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_attempts": 0}, "max_attempts is 0; give a number >= 1"),
        ({"max_retry_after_s": -1}, "max_retry_after_s is -1; give"),
        ({"wait_duration_s": -1}, "wait_duration_s is -1; give"),
    ],
)
def test_a_value_out_of_range_is_named(options: dict[str, int], message: str):
    with pytest.raises(UsageError, match=message):
        RetryConfig(**options)  # type: ignore[arg-type]  # one field at a time
