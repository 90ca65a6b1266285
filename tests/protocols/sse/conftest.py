"""A server that says byte for byte what a test tells it to."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest


@dataclass
class Asked:
    """One request: its path and headers, names in lower case."""

    path: str
    headers: dict[str, str]


@dataclass
class ScriptedServer:
    """What it was asked, and where it is."""

    url: str
    asked: list[Asked] = field(default_factory=list)


Answer = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]
Opener = Callable[[Answer], AbstractAsyncContextManager[ScriptedServer]]


@asynccontextmanager
async def scripted(answer: Answer) -> AsyncIterator[ScriptedServer]:
    """Serve one request a connection: `answer` writes all of the response."""
    server = ScriptedServer("")

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:  # a browser opens connections ahead of need
            writer.close()
            return
        first, *lines = head.split("\r\n")
        headers = {
            name.lower(): value for name, _, value in (line.partition(": ") for line in lines)
        }
        asked = Asked(first.split(" ")[1], headers)
        server.asked.append(asked)
        try:
            with suppress(ConnectionError):  # the other side may leave when it likes
                await answer(asked, writer)
                await writer.drain()
        finally:
            writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    async with listener:
        yield server


@pytest.fixture
def scripted_server() -> Opener:
    """Opens a server that answers as told."""
    return scripted


@pytest.fixture(scope="session")
def cases() -> list[dict[str, Any]]:
    """Streams and what the standard makes of them."""
    text = Path(__file__).with_name("cases.json").read_text(encoding="utf-8")
    found: list[dict[str, Any]] = json.loads(text)
    return found
