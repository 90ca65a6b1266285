"""A TCP proxy that cuts connections at random places, by seed.

It stands between subscribers and a server: its own address stays while the server behind it is killed
and comes back at another. How many bytes a connection may carry down is drawn when it is made; then it
ends, in the middle of an event as likely as not. So where the cuts fall depends on the seed and on no
clock. Half of the cuts are resets, half look like an orderly end.
"""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

from labcore.kernel import UsageError

PIECE_BYTES: Final = 64 * 1024
BACKLOG: Final = 1_024  # all subscribers come back at once after a kill
_LINGER_0: Final = struct.pack("ii", 1, 0)  # closing then resets


class CuttingProxy:
    """Connections to `url` go on to whatever `target` named last.

    After a number of bytes drawn from an exponential distribution of mean `mean_bytes`, a connection is
    cut; 0 cuts none, and so does `calm`. `connections` and `cuts` count. Open it with `cutting`;
    everything runs on one event loop.

    Raises: UsageError for a negative mean.
    """

    def __init__(self, *, mean_bytes: float, seed: int) -> None:
        if not mean_bytes >= 0:
            raise UsageError(f"mean_bytes={mean_bytes} must be 0 (no cuts) or more")
        self.calm = False
        self.connections = 0
        self.cuts = 0
        self.url = ""
        self._mean_bytes = mean_bytes
        self._seed = seed
        self._address: tuple[str, int] | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def target(self, url: str) -> None:
        """From now on connections go to this server, `http://host:port`."""
        host, _, port = url.removeprefix("http://").partition(":")
        self._address = (host, int(port))

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end; a lost server ends it too."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        draw = random.Random(f"{self._seed}/{self.connections}")
        self.connections += 1
        try:
            with suppress(OSError):
                await self._carry(reader, writer, draw)
        finally:
            del self._open[task]
            writer.transport.abort()

    async def close(self) -> None:
        """End every connection; returns when all are gone."""
        for writer in self._open.values():
            writer.transport.abort()  # not a cancellation: asyncio's server would complain of it
        await asyncio.gather(*self._open)

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, draw: random.Random
    ) -> None:
        if self._address is None:
            return
        upstream, up = await asyncio.open_connection(*self._address)
        try:
            await _first_of(_pump(reader, up), self._pour(upstream, writer, draw))
        finally:
            up.transport.abort()

    async def _pour(
        self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter, draw: random.Random
    ) -> None:
        left = draw.expovariate(1 / self._mean_bytes) if self._mean_bytes else float("inf")
        while data := await upstream.read(PIECE_BYTES):
            cut = len(data) > left and not self.calm
            writer.write(data[: int(left)] if cut else data)
            await writer.drain()
            if cut:
                self.cuts += 1
                if draw.random() < 0.5:
                    _reset_on_close(writer)
                return
            left -= len(data)


@asynccontextmanager
async def cutting(*, mean_bytes: float, seed: int) -> AsyncIterator[CuttingProxy]:
    """A proxy on a free loopback port, gone with all its connections at the end of the block."""
    proxy = CuttingProxy(mean_bytes=mean_bytes, seed=seed)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0, backlog=BACKLOG)
    host, port = server.sockets[0].getsockname()
    proxy.url = f"http://{host}:{port}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(PIECE_BYTES):
        writer.write(data)
        await writer.drain()


async def _first_of(*ways: Coroutine[Any, Any, None]) -> None:
    """Until one of them ends; the others are cancelled. Raises what that one raised."""
    tasks = [asyncio.ensure_future(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _reset_on_close(writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)
