"""Close codes: which may be sent, and what each means to a client that would come back. Pure.

Source: RFC 6455, section 7.4; the IANA registry of WebSocket close codes (1012 to 1014).
"""

from enum import Enum
from typing import Final

from labcore.kernel import UsageError
from labcore.protocols.sse.reconnection import OVERLOADED

NORMAL: Final = 1000
GOING_AWAY: Final = 1001  # the server leaves: come back, to another
PROTOCOL_ERROR: Final = 1002
UNSUPPORTED: Final = 1003
NO_CODE: Final = 1005  # never sent: the close frame was empty
LOST: Final = 1006  # never sent: there was no close frame
BAD_TEXT: Final = 1007
POLICY: Final = 1008
TOO_BIG: Final = 1009
SERVER_ERROR: Final = 1011
TRY_LATER: Final = 1013  # overloaded, or the client reads too slowly
TOKEN_ENDED: Final = 4001
FORBIDDEN: Final = 4003

MOST_REASON_BYTES: Final = 123
_DEFINED: Final = frozenset({*range(1000, 1004), *range(1007, 1015)})
_FOR_GOOD: Final = frozenset(
    {PROTOCOL_ERROR, UNSUPPORTED, BAD_TEXT, POLICY, TOO_BIG, 1010, TOKEN_ENDED, FORBIDDEN}
)


class Verdict(Enum):
    """What the end of a connection, or its refusal, means to a client that wants the stream."""

    END = "end"  # all is said
    AGAIN = "again"  # an accident, or a server that leaves: come back
    LATER = "later"  # come back, but not soon
    REFUSED = "refused"  # the same request will never succeed
    CREDENTIALS = "credentials"  # only with a fresh token


def is_sendable(code: int) -> bool:
    """Whether a close frame may carry the code."""
    return code in _DEFINED or 3000 <= code <= 4999


def check_close(code: int, reason: str) -> None:
    """Raises: UsageError for a code that no frame may carry, or a reason that does not fit in one."""
    if not is_sendable(code):
        raise UsageError(
            f"close code {code} may not be sent; 1000-1003, 1007-1014 and 3000-4999 may"
        )
    if (size := len(reason.encode())) > MOST_REASON_BYTES:
        raise UsageError(
            f"a close reason of {size} bytes does not fit; {MOST_REASON_BYTES} bytes are the most"
        )


def judge_close(code: int) -> Verdict:
    """What a close code means; codes of an accident, and unknown ones, mean coming back."""
    if code == NORMAL:
        return Verdict.END
    if code == TRY_LATER:
        return Verdict.LATER
    if code == TOKEN_ENDED:
        return Verdict.CREDENTIALS
    return Verdict.REFUSED if code in _FOR_GOOD else Verdict.AGAIN


def judge_handshake(status: int) -> Verdict:
    """What an HTTP answer instead of the upgrade means."""
    if status == 401:
        return Verdict.CREDENTIALS
    if status in OVERLOADED or status == 500:
        return Verdict.LATER
    return Verdict.REFUSED
