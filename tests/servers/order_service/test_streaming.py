"""The way out of a stream, against a hand-made ASGI server."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from starlette.responses import PlainTextResponse

from labcore.kernel import LabError, PeerError
from servers.order_service.streaming import Outlet, Streamed, StreamEndedError, Streams, Write

Producer = Callable[[Write], Awaitable[None]]


@dataclass
class Reader:
    """The other side: what it was sent, when it takes more, when it leaves."""

    messages: list[Any] = field(default_factory=list)
    takes: anyio.Event = field(default_factory=anyio.Event)
    left: anyio.Event = field(default_factory=anyio.Event)

    async def send(self, message: Any) -> None:
        """Take a message, once it takes."""
        await self.takes.wait()
        self.messages.append(message)

    async def receive(self) -> dict[str, str]:
        """Tell that it left, once it did."""
        await self.left.wait()
        return {"type": "http.disconnect"}

    @property
    def body(self) -> bytes:
        """What came."""
        return b"".join(each.get("body", b"") for each in self.messages)

    @property
    def status(self) -> int:
        """The status of the answer."""
        return int(self.messages[0]["status"])


def reading(*, takes: bool = True) -> Reader:
    reader = Reader()
    if takes:
        reader.takes.set()
    return reader


def streamed(produce: Producer, streams: Streams) -> Streamed:
    return Streamed(
        produce,
        streams,
        media_type="text/plain",
        refusal=PlainTextResponse("full", 503),
        failed=lambda error: PlainTextResponse(str(error), 500),
    )


async def respond(produce: Producer, streams: Streams, reader: Reader) -> None:
    await streamed(produce, streams)({"type": "http"}, reader.receive, reader.send)


async def two(write: Write) -> None:
    await write(b"one ")
    await write(b"two")


async def test_what_is_written_goes_out_and_the_end_is_told():
    reader, streams = reading(), Streams(1)
    await respond(two, streams, reader)
    assert (reader.status, reader.body) == (200, b"one two")
    assert [each.get("more_body") for each in reader.messages] == [None, True, True, False]
    assert streams.gauges() == {"streams": 0}


async def test_a_stream_of_nothing_is_a_whole_answer():
    async def nothing(write: Write) -> None:
        """Write nothing."""

    reader = reading()
    await respond(nothing, Streams(1), reader)
    assert (reader.status, reader.body) == (200, b"")


async def test_a_reader_who_does_not_take_stops_the_producer():
    written: list[int] = []

    async def many(write: Write) -> None:
        for number in range(100):
            await write(b"x")
            written.append(number)

    reader = reading(takes=False)
    async with anyio.create_task_group() as group:
        group.start_soon(respond, many, Streams(1), reader)
        await anyio.wait_all_tasks_blocked()
        assert written == []
        reader.takes.set()
    assert len(written) == 100


@pytest.mark.parametrize("by_server", [False, True])
async def test_who_leaves_and_a_server_that_stops_let_the_producer_go(*, by_server: bool):
    ended: list[str] = []

    async def endless(write: Write) -> None:
        try:
            while True:
                await write(b"x")
        except StreamEndedError:
            ended.append("let go")
            raise

    reader, streams = reading(takes=False), Streams(1)
    async with anyio.create_task_group() as group:
        group.start_soon(respond, endless, streams, reader)
        await anyio.wait_all_tasks_blocked()
        if by_server:
            await streams.end()
        else:
            reader.left.set()
    assert ended == ["let go"]
    assert streams.gauges() == {"streams": 0}
    assert not any(each.get("more_body") is False for each in reader.messages)


async def test_there_are_only_so_many_streams_and_none_after_the_end():
    async def forever(write: Write) -> None:
        while True:
            await write(b"x")

    streams, second, third = Streams(1), reading(), reading()
    async with anyio.create_task_group() as group:
        group.start_soon(respond, forever, streams, reading(takes=False))
        await anyio.wait_all_tasks_blocked()
        await respond(two, streams, second)
        await streams.end()
    await respond(two, streams, third)
    assert (second.status, third.status) == (503, 503)


@pytest.mark.parametrize("written", [b"", b"some"])
async def test_a_failure_before_the_first_byte_is_an_answer_and_later_a_cut(written: bytes):
    async def fails(write: Write) -> None:
        if written:
            await write(written)
        raise PeerError("the database was lost")

    reader = reading()
    await respond(fails, Streams(1), reader)
    if written:
        assert (reader.status, reader.body) == (200, b"some")
        assert reader.messages[-1]["more_body"]
    else:
        assert (reader.status, reader.body) == (500, b"the database was lost")


async def test_a_fault_of_ours_is_not_hidden():
    async def broken(write: Write) -> None:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as raised:
        await respond(broken, Streams(1), reading())
    assert raised.group_contains(ZeroDivisionError)
    assert not issubclass(ZeroDivisionError, LabError)


async def test_nothing_is_written_after_the_end():
    reader = reading()
    outlet = Outlet(reader.send, media_type="text/plain")
    outlet.end()
    with pytest.raises(StreamEndedError):
        await outlet.write(b"late")
    assert reader.messages == []
