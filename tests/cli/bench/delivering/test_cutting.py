"""The cutting proxy: bytes go through unchanged, and it cuts where the seed says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from labcore.cli.bench.delivering import CuttingProxy, cutting
from labcore.kernel import UsageError

STREAM = bytes(range(256)) * 400


@asynccontextmanager
async def pouring() -> AsyncIterator[str]:
    """A server that sends a stream to each who says a word, and waits for its leaving."""

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            if await reader.read(1):
                writer.write(STREAM)
            await reader.read()
        writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server:
        yield f"http://{host}:{port}"


async def carried(url: str, *, most: int = len(STREAM)) -> bytes:
    """What a client gets until `most` bytes or the end, however the end looks."""
    host, port = url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"?")
    found = b""
    with suppress(ConnectionError):
        while len(found) < most and (piece := await reader.read(1_000)):
            found += piece
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()
    return found


async def lengths(seed: int) -> list[int]:
    async with pouring() as url, cutting(mean_bytes=20_000, seed=seed) as proxy:
        proxy.target(url)
        found = [await carried(proxy.url) for _ in range(8)]
        assert all(STREAM.startswith(piece) for piece in found)
        assert proxy.connections == 8
        assert proxy.cuts == sum(len(piece) < len(STREAM) for piece in found) > 4
    return [len(piece) for piece in found]


async def test_without_cuts_the_bytes_arrive_unchanged():
    async with pouring() as url, cutting(mean_bytes=0, seed=1) as proxy:
        proxy.target(url)
        assert await carried(proxy.url) == STREAM


async def test_cuts_fall_where_the_seed_says():
    assert await lengths(7) == await lengths(7) != await lengths(8)


async def test_a_calm_proxy_cuts_nothing():
    async with pouring() as url, cutting(mean_bytes=10, seed=1) as proxy:
        proxy.target(url)
        proxy.calm = True
        assert await carried(proxy.url) == STREAM


async def test_a_server_that_is_gone_ends_the_connection():
    async with pouring() as url, cutting(mean_bytes=0, seed=1) as proxy:
        assert await carried(proxy.url) == b""  # no target yet
    async with cutting(mean_bytes=0, seed=1) as proxy:
        proxy.target(url)
        assert await carried(proxy.url) == b""


def test_a_mean_below_zero_is_refused():
    with pytest.raises(UsageError, match="mean_bytes=-1 must be 0"):
        CuttingProxy(mean_bytes=-1, seed=1)
