"""The decoder against the standard's rules; `test_browser` asks Chromium about the same cases."""

import itertools
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import PeerError, UsageError
from labcore.protocols.sse import Decoder, ServerSentEvent, encode, encode_comment

CASES = json.loads(Path(__file__).with_name("cases.json").read_text(encoding="utf-8"))
PIECES = st.lists(
    st.sampled_from(
        (b" ", *b"data id event retry : 1 \n \r \0 \xff \xef\xbb\xbf \xe2\x82\xac".split(b" "))
    ),
    max_size=60,
).map(b"".join)


def decoded(pieces: list[bytes]) -> tuple[list[ServerSentEvent], int | None, str]:
    decoder = Decoder()
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events, decoder.retry_ms, decoder.last_event_id


def each_byte(stream: bytes) -> list[bytes]:
    return [stream[place : place + 1] for place in range(len(stream))]


@pytest.mark.parametrize("split", [lambda s: [s], each_byte], ids=["whole", "byte by byte"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_streams_are_read_as_the_standard_says(case: dict[str, Any], split: Any):
    events, retry_ms, last_event_id = decoded(split(case["stream"].encode("latin-1")))
    expected = [
        ServerSentEvent(event["data"], event["event"], event["id"]) for event in case["events"]
    ]
    assert events == expected
    assert retry_ms == case["retry_ms"]
    assert last_event_id == case["last_event_id"]


@given(PIECES, st.lists(st.integers(0, 200), max_size=10))
def test_where_a_stream_is_cut_makes_no_difference(stream: bytes, cuts: list[int]):
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    pieces = [stream[low:high] for low, high in itertools.pairwise(edges)]
    assert decoded(pieces) == decoded([stream]) == decoded(each_byte(stream))


@given(
    data=st.text(),
    event=st.text(st.characters(exclude_characters="\r\n"), min_size=1) | st.none(),
    event_id=st.text(st.characters(exclude_characters="\r\n\0")) | st.none(),
    retry_ms=st.integers(0, 10**7) | st.none(),
)
def test_what_is_encoded_arrives(
    data: str, event: str | None, event_id: str | None, retry_ms: int | None
):
    stream = encode(data, event=event, event_id=event_id, retry_ms=retry_ms)
    events, retry, _ = decoded([stream])
    lines = data.replace("\r\n", "\n").replace("\r", "\n")
    assert events == [ServerSentEvent(lines, event or "message", event_id or "")]
    assert retry == retry_ms


def test_a_comment_is_no_event():
    assert decoded([encode_comment("still here")]) == ([], None, "")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"event": "a\nb"}, "event='a"),
        ({"event_id": "a\rb"}, "event_id='a"),
        ({"event_id": "a\0b"}, "NUL"),
        ({"retry_ms": -1}, "retry_ms=-1"),
    ],
)
def test_what_the_format_cannot_say_is_refused(arguments: dict[str, Any], said: str):
    with pytest.raises(UsageError, match=said):
        encode("x", **arguments)


def test_a_comment_of_two_lines_is_refused():
    with pytest.raises(UsageError, match="line end"):
        encode_comment("a\nb")


@pytest.mark.parametrize("piece", [b"data: 123456", b"data: 1234\ndata: 5\n"])
def test_an_endless_event_is_refused(piece: bytes):
    with pytest.raises(PeerError, match="longer than 10"):
        Decoder(most_event_chars=10).feed(piece * 2)


def test_many_small_events_are_not_an_endless_one():
    events = Decoder(most_event_chars=10).feed(b"data: 12345\n\n" * 1_000)
    assert len(events) == 1_000


def test_a_monstrous_retry_is_bounded():
    decoder = Decoder()
    decoder.feed(b"retry: " + b"9" * 10_000 + b"\n")
    assert decoder.retry_ms == 24 * 3600 * 1000


def test_the_id_of_the_connection_before_goes_on():
    assert Decoder(last_event_id="41").feed(b"data: a\n\n") == [
        ServerSentEvent("a", "message", "41")
    ]
