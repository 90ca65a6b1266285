from dataclasses import replace
from datetime import UTC, datetime

from labcore.protocols.webhook import FullJitter, Secret, verify
from labcore.resilience import BulkheadFullError, CallNotPermittedError
from servers.partner_webhook_dispatcher.domain import (
    DEFAULT_PUT_OFF_S,
    Claimed,
    Outcome,
    Status,
    call_of,
    judge,
    put_off,
)

AT = datetime(2026, 11, 23, tzinfo=UTC)
CLAIMED = Claimed(
    id=1,
    lease=2,
    event_id="msg_1",
    partner_id="p",
    url="http://x/",
    payload=b'{"n":1}',
    attempt=5,
    tries=1,
    previous_s=0.0,
    timeout_s=1.0,
    retry=FullJitter(base_s=2.0, ceiling_s=10.0, attempts=3),
    secrets=(Secret(b"new" * 10), Secret(b"old" * 10)),
)


def _outcome(status: int | None, *, retry_after_s: float | None = None) -> Outcome:
    return Outcome(status, None if status else "no answer in time", 1.0, retry_after_s)


def test_an_attempt_is_signed_with_every_valid_secret_over_the_stored_bytes():
    call = call_of(CLAIMED, at=AT)
    assert call.body == CLAIMED.payload
    for secret in CLAIMED.secrets:
        verified = verify(call.headers, call.body, secrets=[secret], now_s=AT.timestamp())
        assert verified.message_id == "msg_1"


def test_what_is_not_delivered_is_tried_again_after_the_partners_jitter():
    verdict = judge(CLAIMED, _outcome(500), draw=0.5)
    assert (verdict.status, verdict.wait_s) == (Status.PENDING, 1.0)
    patient = judge(CLAIMED, _outcome(503, retry_after_s=30.0), draw=0.5)
    assert patient.wait_s == 30.0


def test_a_delivery_ends_by_success_by_the_schedules_end_or_by_a_410():
    last = replace(CLAIMED, tries=3)
    assert judge(last, _outcome(204), draw=0).status is Status.DELIVERED
    given_up = judge(last, _outcome(None), draw=0)
    assert given_up.status is Status.DEAD
    assert given_up.reason == "gave up after 3 attempts; the last: no answer in time"
    gone = judge(CLAIMED, _outcome(410), draw=0)
    assert (gone.status, gone.gone) == (Status.DEAD, True)


def test_an_endpoint_is_to_blame_for_silence_5xx_and_429_and_not_for_refusing_one_delivery():
    blamed = [_outcome(status).blames_endpoint for status in (None, 500, 503, 429, 400, 301, 200)]
    assert blamed == [True, True, True, True, False, False, False]


def test_a_refusal_puts_off_for_as_long_as_it_says():
    refused = CallNotPermittedError("open", retry_after_s=7.0)
    assert put_off(refused).wait_s == 7.0
    assert put_off(BulkheadFullError("full")).wait_s == DEFAULT_PUT_OFF_S


def test_no_secret_is_in_a_repr():
    assert "key" not in repr(CLAIMED)
    assert "secrets" not in repr(CLAIMED)
