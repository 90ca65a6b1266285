"""When and whether to come back to a stream. Pure: no clock, no dice, no socket.

The standard gives a browser one reconnection time and lets it wait longer; here it grows
exponentially with each failure in a row, is spread by full jitter upwards from the server's own
wish, and has a ceiling.

Source: WHATWG HTML, section 9.2.3 "Processing model"; RFC 9110 section 10.2.3 (Retry-After).
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from labcore.kernel import UsageError

MEDIA_TYPE: Final = "text/event-stream"
OVERLOADED: Final = frozenset({429, 502, 503, 504})


class Answer(Enum):
    """What a response to the request for a stream means."""

    STREAM = "stream"  # read it
    END = "end"  # the server says: stop, for good
    LATER = "later"  # not now; a browser would give up here, a service should not
    REFUSED = "refused"  # no stream, and none will come of asking again


def judge_answer(status: int, content_type: str) -> Answer:
    """What to do about a response.

    200 with the right media type is a stream, whatever parameters the type carries but another
    charset. 204 ends it. A browser fails for good on everything else; so does this, except for the
    statuses of an overloaded server or gateway, which mean later.
    """
    if status == 204:
        return Answer.END
    if status in OVERLOADED:
        return Answer.LATER
    return Answer.STREAM if status == 200 and _is_event_stream(content_type) else Answer.REFUSED


@dataclass(frozen=True, slots=True)
class Reconnection:
    """How long to wait before coming back.

    The wait after the n-th failure in a row is drawn between the base and base * 2**(n - 1), never
    above the ceiling nor below the base: the base is the server's `retry`, or `base_s`. A stream that gave an
    event counts as a success: the next wait is the base again, spread by `spread_share` of it, so
    that subscribers who were cut together do not return together.

    Raises: UsageError for numbers that contradict each other.
    """

    base_s: float = 1.0
    ceiling_s: float = 30.0
    spread_share: float = 0.5

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if not 0 <= self.base_s <= self.ceiling_s:
            raise UsageError(
                f"base_s={self.base_s} must lie between 0 and ceiling_s={self.ceiling_s}"
            )
        if not 0 <= self.spread_share <= 1:
            raise UsageError(f"spread_share={self.spread_share} must lie between 0 and 1")

    def wait_s(self, failures: int, *, retry_ms: int | None, draw: float) -> float:
        """Seconds to wait; `draw` is uniform in 0..1, `failures` counts those in a row (0: none)."""
        base_s = self.base_s if retry_ms is None else retry_ms / 1e3
        if failures <= 1:
            return base_s * (1 + self.spread_share * draw)
        reach_s = min(max(self.ceiling_s, base_s), base_s * 2.0 ** min(failures - 1, 60))
        return base_s + (reach_s - base_s) * draw


def _is_event_stream(content_type: str) -> bool:
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    charsets = [
        value.strip(' "')
        for name, _, value in (parameter.partition("=") for parameter in parameters)
        if name.strip() == "charset"
    ]
    return media_type == MEDIA_TYPE and all(charset in {"utf-8", "utf8"} for charset in charsets)
