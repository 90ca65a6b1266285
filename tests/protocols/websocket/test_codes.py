"""Which codes may be sent, and what they mean to a client."""

import pytest

from labcore.kernel import UsageError
from labcore.protocols.websocket import (
    Verdict,
    check_close,
    is_sendable,
    judge_close,
    judge_handshake,
)


@pytest.mark.parametrize("code", [999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, -1])
def test_codes_that_no_frame_may_carry_are_refused(code: int):
    assert not is_sendable(code)
    with pytest.raises(UsageError, match=f"close code {code} may not be sent"):
        check_close(code, "")


@pytest.mark.parametrize("code", [1000, 1003, 1007, 1014, 3000, 4999])
def test_codes_of_the_standard_and_private_ones_may_be_sent(code: int):
    check_close(code, "é" * 61)


def test_a_reason_is_measured_in_bytes():
    with pytest.raises(UsageError, match="124 bytes does not fit"):
        check_close(1000, "é" * 62)


@pytest.mark.parametrize(
    ("code", "verdict"),
    [
        (1000, Verdict.END),
        (1001, Verdict.AGAIN),
        (1005, Verdict.AGAIN),
        (1006, Verdict.AGAIN),
        (1008, Verdict.REFUSED),
        (1009, Verdict.REFUSED),
        (1011, Verdict.AGAIN),
        (1012, Verdict.AGAIN),
        (1013, Verdict.LATER),
        (4001, Verdict.CREDENTIALS),
        (4003, Verdict.REFUSED),
        (4999, Verdict.AGAIN),
    ],
)
def test_a_close_code_says_whether_to_come_back(code: int, verdict: Verdict):
    assert judge_close(code) is verdict


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, Verdict.CREDENTIALS),
        (403, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (200, Verdict.REFUSED),
        (429, Verdict.LATER),
        (500, Verdict.LATER),
        (503, Verdict.LATER),
    ],
)
def test_a_refused_handshake_says_it_too(status: int, verdict: Verdict):
    assert judge_handshake(status) is verdict
