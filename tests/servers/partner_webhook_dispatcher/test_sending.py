import time

import httpx

from labcore.kernel import PeerError
from labcore.resilience import TimeLimitExceededError
from servers.partner_webhook_dispatcher.sending import answered, unanswered


def test_a_retry_after_is_read_as_seconds_or_as_a_date():
    def wish(text: str) -> float | None:
        return answered(httpx.Response(429, headers={"Retry-After": text}), 0.0).retry_after_s

    assert wish("7") == 7
    assert wish("Mon, 01 Jan 2001 00:00:00 GMT") == 0
    assert wish("soon") is None
    assert answered(httpx.Response(200), 0.0).retry_after_s is None


def test_no_answer_says_whether_it_was_late_or_what_went_wrong():
    began_s = time.monotonic()
    assert unanswered(TimeLimitExceededError("x"), began_s).error == "no answer in time"
    assert unanswered(PeerError("refused"), began_s).error == "refused"
