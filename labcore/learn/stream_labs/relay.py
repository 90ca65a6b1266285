"""A stretch of network that can be cut, or go silent, while both ends believe in it.

Clients connect to the relay, whose address stays; the server behind it may die and come back elsewhere.
A cut is a reset of every connection, in the middle of an event as likely as not. Silence is worse: nothing
is closed, and nothing comes through any more, as when a laptop is carried out of the radio's reach.
"""

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

KEPT_BYTES: Final = 4_096  # of each direction, to be shown
_PIECE_BYTES: Final = 64 * 1024


@dataclass(slots=True)
class Conversation:
    """The first bytes of a connection, as they passed."""

    up: bytes = b""
    down: bytes = b""


class Relay:
    """Carries bytes both ways between any number of clients and the server last named.

    Everything runs on one event loop. Open it with `relay`.

    Attributes:
        port: where it listens, on the loopback interface.
        conversations: what was said, one entry a connection that reached the server.
    """

    def __init__(self) -> None:
        self.port = 0
        self.conversations: list[Conversation] = []
        self._target: tuple[str, int] | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    def __len__(self) -> int:
        """Connections that are open."""
        return len(self._open)

    @property
    def url(self) -> str:
        """Where clients connect, HTTP."""
        return f"http://127.0.0.1:{self.port}"

    def target(self, url: str) -> None:
        """From now on connections go to this server, `scheme://host:port`."""
        host, _, port = url.partition("://")[2].partition(":")
        self._target = (host, int(port))

    def cut(self) -> None:
        """Reset every connection."""
        for writer in self._open.values():
            writer.transport.abort()

    def silence(self, *, on: bool) -> None:
        """Let nothing through any more, and close nothing; or let everything through again."""
        if on:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        task = asyncio.current_task()
        assert task is not None
        self._open[task] = writer
        try:
            with suppress(OSError):  # a lost server ends the connection, as it does without a relay
                await self._carry(reader, writer)
        finally:
            writer.transport.abort()
            with suppress(OSError):
                await writer.wait_closed()
            del self._open[task]

    async def close(self) -> None:
        """End every connection; returns when all are gone."""
        self._flowing.set()
        self.cut()
        await asyncio.gather(*self._open)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._target is None:
            return
        upstream, up = await asyncio.open_connection(*self._target)
        said = Conversation()
        self.conversations.append(said)
        try:
            await _first_of(
                self._pump(reader, up, said, "up"), self._pump(upstream, writer, said, "down")
            )
        finally:
            up.transport.abort()
            with suppress(OSError):
                await up.wait_closed()

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        said: Conversation,
        way: str,
    ) -> None:
        while data := await reader.read(_PIECE_BYTES):
            await self._flowing.wait()
            kept: bytes = getattr(said, way)
            setattr(said, way, kept + data[: KEPT_BYTES - len(kept)])
            writer.write(data)
            await writer.drain()
        await self._flowing.wait()  # nobody hears of an end through a silent network either


@asynccontextmanager
async def relay(target: str = "") -> AsyncIterator[Relay]:
    """A relay on a free loopback port, gone with all its connections at the end of the block."""
    found = Relay()
    if target:
        found.target(target)
    server = await asyncio.start_server(found.accept, "127.0.0.1", 0)
    found.port = server.sockets[0].getsockname()[1]
    try:
        yield found
    finally:
        server.close()
        await found.close()


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
