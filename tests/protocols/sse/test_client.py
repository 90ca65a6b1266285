"""The reconnecting client against a server that says exactly what the test wants, over real sockets."""

import asyncio
from contextlib import aclosing
from typing import Any

import httpx
import pytest

from labcore.kernel import PeerError
from labcore.protocols.sse import EventSource, EventSourceState, Reconnection

OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
END = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
AT_ONCE = Reconnection(base_s=0, ceiling_s=0)


def says(*answers: bytes) -> Any:
    """The n-th request gets the n-th answer; 204 when they have run out."""
    left = list(answers)

    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(left.pop(0) if left else END)

    return answer


async def all_of(url: str, **options: Any) -> tuple[list[tuple[str, str]], EventSource]:
    async with httpx.AsyncClient() as client:
        source = EventSource(client, url, reconnection=AT_ONCE, **options)
        return [(event.data, event.last_event_id) async for event in source], source


async def test_it_returns_with_the_last_id_until_it_is_told_to_stop(scripted_server: Any):
    answers = says(OK + b"id: 1\ndata: a\n\n", OK + b"data: b\n\nid: 2\ndata: c\n\n")
    async with scripted_server(answers) as server:
        events, source = await all_of(server.url)
    assert events == [("a", "1"), ("b", "1"), ("c", "2")]
    assert [asked.headers.get("last-event-id") for asked in server.asked] == [None, "1", "2"]
    assert (source.reconnects, source.state) == (2, EventSourceState.CLOSED)


async def test_half_an_event_is_dropped_and_its_id_with_it(scripted_server: Any):
    async with scripted_server(says(OK + b"id: 1\ndata: a\n\nid: 2\ndata: b\n")) as server:
        events, _ = await all_of(server.url)
    assert events == [("a", "1")]
    assert server.asked[1].headers["last-event-id"] == "1"


async def test_an_id_without_data_is_sent_back(scripted_server: Any):
    async with scripted_server(says(OK + b"id: 8\n\n")) as server:
        await all_of(server.url)
    assert server.asked[1].headers["last-event-id"] == "8"


async def test_an_emptied_id_is_sent_no_more(scripted_server: Any):
    answers = says(OK + b"id: 1\ndata: a\n\n", OK + b"id\ndata: b\n\n")
    async with scripted_server(answers) as server:
        await all_of(server.url)
    assert "last-event-id" not in server.asked[2].headers


async def test_it_begins_where_the_caller_says(scripted_server: Any):
    async with scripted_server(says(OK)) as server:
        await all_of(server.url, last_event_id="41")
    assert [asked.headers["last-event-id"] for asked in server.asked] == ["41", "41"]


async def test_it_asks_as_the_standard_says(scripted_server: Any):
    async with scripted_server(says()) as server:
        await all_of(server.url, headers={"Authorization": "Bearer x"})
    headers = server.asked[0].headers
    assert headers["accept"] == "text/event-stream"
    assert headers["cache-control"] == "no-store"
    assert headers["authorization"] == "Bearer x"


@pytest.mark.parametrize("status", ["401 Unauthorized", "404 Not Found", "500 Oops"])
async def test_an_error_is_final(scripted_server: Any, status: str):
    answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode()
    async with scripted_server(says(answer)) as server:
        with pytest.raises(PeerError, match=status[:3]):
            await all_of(server.url)
    assert len(server.asked) == 1


async def test_another_media_type_is_final(scripted_server: Any):
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n"
    async with scripted_server(says(answer)) as server:
        with pytest.raises(PeerError, match="text/html"):
            await all_of(server.url)


async def test_an_overloaded_server_is_asked_again(scripted_server: Any):
    later = b"HTTP/1.1 503 Busy\r\nRetry-After: 0\r\nContent-Length: 0\r\n\r\n"
    async with scripted_server(says(later, later, OK + b"data: a\n\n")) as server:
        events, _ = await all_of(server.url)
    assert events == [("a", "")]


async def test_a_connection_cut_in_the_middle_is_made_again(scripted_server: Any):
    left = [b"id: 1\ndata: a\n\nda", b"id: 2\ndata: b\n\n"]

    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        if not left:
            writer.write(END)
            return
        writer.write(OK + left.pop(0))
        await writer.drain()
        writer.transport.abort()

    async with scripted_server(answer) as server:
        events, _ = await all_of(server.url)
    assert events[-1] == ("b", "2")


async def test_nobody_there_is_waited_for(scripted_server: Any):
    """The port is free at first; the server comes while the client keeps asking."""
    async with scripted_server(says()) as gone:
        url = gone.url
    attempts: list[float] = []
    enough = asyncio.Event()

    def draw() -> float:
        attempts.append(0.0)
        if len(attempts) == 3:
            enough.set()
        return 0.0

    async with httpx.AsyncClient() as client:
        source = EventSource(client, url, reconnection=AT_ONCE, draw=draw)
        reading = asyncio.ensure_future(anext(aiter(source)))
        await enough.wait()
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
    assert source.state is EventSourceState.CLOSED


async def test_a_silent_stream_is_taken_for_dead(scripted_server: Any):
    silent = asyncio.Event()

    async def answer(asked: Any, writer: asyncio.StreamWriter) -> None:
        if "last-event-id" in asked.headers:
            writer.write(END)
            silent.set()
            return
        writer.write(OK + b"id: 1\ndata: a\n\n")
        await writer.drain()
        await silent.wait()

    async with scripted_server(answer) as server:
        events, _ = await all_of(server.url, idle_timeout_s=0.05)
    assert events == [("a", "1")]


async def test_leaving_closes_the_connection(scripted_server: Any):
    gone = asyncio.Event()

    async def answer(_: Any, writer: asyncio.StreamWriter) -> None:
        writer.write(OK + b"data: a\n\n")
        try:
            while True:
                writer.write(b":\n\n")
                await writer.drain()
                await asyncio.sleep(0)
        finally:
            gone.set()

    async with scripted_server(answer) as server, httpx.AsyncClient() as client:
        source = EventSource(client, server.url)
        async with aclosing(aiter(source)) as events:
            assert (await anext(events)).data == "a"
        await gone.wait()
        assert source.state is EventSourceState.CLOSED


async def test_states_are_told_in_order(scripted_server: Any):
    states: list[EventSourceState] = []
    async with scripted_server(says(OK + b"data: a\n\n")) as server:
        await all_of(server.url, on_state=states.append)
    assert states == [
        EventSourceState.OPEN,
        EventSourceState.CONNECTING,
        EventSourceState.CLOSED,
    ]
