import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
import pytest

from labcore.learn.stream_labs.relay import relay


@asynccontextmanager
async def echo() -> AsyncIterator[str]:
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(100):
                writer.write(data)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await ended.wait()


async def test_bytes_pass_and_are_kept_and_a_cut_ends_the_connection():
    async with echo() as url, relay(url) as network:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"hello"
        said = network.conversations[0]
        assert (said.up, said.down, len(network)) == (b"hello", b"hello", 1)
        network.cut()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await reader.readexactly(1)
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()
        while len(network):  # noqa: ASYNC110 - the relay's own task ends
            await asyncio.sleep(0)


async def test_silence_holds_everything_back_and_closes_nothing():
    async with echo() as url, relay(url) as network:
        reader, writer = await asyncio.open_connection("127.0.0.1", network.port)
        network.silence(on=True)
        writer.write(b"hello")
        with anyio.move_on_after(0.05) as waited:
            await reader.readexactly(5)
        assert waited.cancelled_caught
        assert len(network) == 1
        network.silence(on=False)
        assert await reader.readexactly(5) == b"hello"
        writer.close()
        await writer.wait_closed()
