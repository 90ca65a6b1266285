"""Events to bytes and, piece by piece, back again. Pure.

Source: WHATWG HTML, section 9.2.5 "Parsing an event stream" and 9.2.6 "Interpreting an event stream".
"""

import codecs
import re
from dataclasses import dataclass
from typing import Final

from labcore.kernel import PeerError, UsageError

MOST_EVENT_CHARS: Final = 16 * 1024 * 1024  # beyond any sane event, below what would fill a machine
MOST_RETRY_MS: Final = 24 * 3600 * 1000  # a server that wants longer wants no client
_LINE_END: Final = re.compile(r"\r\n|\n|\r")
_BOM: Final = "\N{ZERO WIDTH NO-BREAK SPACE}"


@dataclass(frozen=True, slots=True)
class ServerSentEvent:
    """One dispatched event. `last_event_id` is sticky: an event without an id carries the one before."""

    data: str
    event: str = "message"
    last_event_id: str = ""


def encode(
    data: str, *, event: str | None = None, event_id: str | None = None, retry_ms: int | None = None
) -> bytes:
    r"""The bytes of one event.

    Line ends within `data` all arrive as LF, for the format knows no other. An empty `event_id`
    takes the client's id back; None leaves it as it is.

    >>> encode("a\nb", event_id="7")
    b'id: 7\ndata: a\ndata: b\n\n'

    Raises: UsageError for a line end in `event` or `event_id`, NUL in `event_id`, a negative `retry_ms`.
    """
    lines = []
    if event_id is not None:
        if "\0" in event_id:
            raise UsageError(f"event_id={event_id!r} holds NUL, and clients would ignore it whole")
        lines.append(f"id: {_single_line('event_id', event_id)}")
    if event is not None:
        lines.append(f"event: {_single_line('event', event)}")
    if retry_ms is not None:
        if retry_ms < 0:
            raise UsageError(f"retry_ms={retry_ms} must be 0 or more milliseconds")
        lines.append(f"retry: {retry_ms}")
    lines += [f"data: {line}" for line in _LINE_END.split(data)]
    return ("\n".join(lines) + "\n\n").encode()


def encode_comment(text: str = "") -> bytes:
    """A comment, which clients ignore: the heartbeat that keeps proxies from cutting an idle stream.

    Raises: UsageError for a line end in `text`.
    """
    return f":{_single_line('text', text)}\n\n".encode()


class Decoder:
    r"""Bytes in any pieces to events, by every rule of the standard.

    `last_event_id` is what a reconnecting client sends back: it belongs to the last *dispatched*
    block. `retry_ms` is the server's reconnection time, or None. Make a new decoder for
    each connection and hand it the id of the one before.

    >>> decoder = Decoder()
    >>> decoder.feed(b"data: wel"), decoder.feed(b"come\r\n\r\n")
    ([], [ServerSentEvent(data='welcome', event='message', last_event_id='')])
    """

    def __init__(
        self, *, last_event_id: str = "", most_event_chars: int = MOST_EVENT_CHARS
    ) -> None:
        self.last_event_id = last_event_id
        self.retry_ms: int | None = None
        self._most_event_chars = most_event_chars
        self._text = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._begun = False
        self._after_cr = False
        self._rest: list[str] = []  # pieces of a line whose end has not come
        self._rest_chars = 0
        self._data: list[str] = []
        self._data_chars = 0
        self._event = ""
        self._id = last_event_id

    def feed(self, piece: bytes) -> list[ServerSentEvent]:
        """The events that these bytes complete, in order.

        Raises: PeerError when one event grows beyond the limit.
        """
        text = self._text.decode(piece)
        if not text:
            return []
        if not self._begun:
            self._begun = True
            text = text.removeprefix(_BOM)
        if self._after_cr:  # a CR has ended its line at once; an LF behind it belongs to it
            text = text.removeprefix("\n")
        self._after_cr = text.endswith("\r")
        *whole, rest = _LINE_END.split(text)
        found = [event for line in whole if (event := self._take(self._joined(line)))]
        if rest:
            self._rest.append(rest)
            self._rest_chars += len(rest)
        self._refuse_endless()
        return found

    def _joined(self, end: str) -> str:
        if not self._rest:
            return end
        line = "".join((*self._rest, end))
        self._rest.clear()
        self._rest_chars = 0
        return line

    def _refuse_endless(self) -> None:
        if self._rest_chars + self._data_chars > self._most_event_chars:
            raise PeerError(
                f"an event of the stream is longer than {self._most_event_chars} characters"
            )

    def _take(self, line: str) -> ServerSentEvent | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
            self._data_chars += len(value) + 1
        elif name == "event":
            self._event = value
        elif name == "id":
            if "\0" not in value:
                self._id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_ms = _milliseconds(value)
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        self.last_event_id = self._id
        data, event = self._data, self._event or "message"
        self._data, self._event, self._data_chars = [], "", 0
        return ServerSentEvent("\n".join(data), event, self._id) if data else None


def _milliseconds(digits: str) -> int:
    """The number, or the ceiling for one that has no place in any clock."""
    significant = digits.lstrip("0") or "0"
    return MOST_RETRY_MS if len(significant) > 15 else min(int(significant), MOST_RETRY_MS)


def _single_line(name: str, value: str) -> str:
    if _LINE_END.search(value):
        raise UsageError(f"{name}={value!r} holds a line end, which would end the field")
    return value
