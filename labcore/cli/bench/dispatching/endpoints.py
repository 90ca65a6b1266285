"""Partners' endpoints in the prover's own process: faults by seed, and a note of everything they took.

A fault happens before anything is taken, so what is taken twice was sent twice.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from time import monotonic
from typing import Any, Final

from labcore.kernel import PeerError

ID_HEADER: Final = "webhook-id"
_WORDS: Final[Mapping[int, str]] = {200: "OK", 429: "Too Many Requests", 503: "Unavailable"}


@dataclass(frozen=True, slots=True)
class Conduct:
    """How one partner behaves; shares are of its requests. `down_s` counts from its first request."""

    name: str = "well"
    delay_s: float = 0.0
    failure_share: float = 0.0
    hang_share: float = 0.0
    reset_share: float = 0.0
    down_s: float = 0.0
    rate_per_s: float = 0.0


FAULTS: Final[Sequence[Conduct]] = (
    Conduct("flaky", failure_share=0.3),
    Conduct("out for a while", down_s=3.0),
    Conduct("slow", delay_s=0.2),
    Conduct("down", down_s=float("inf")),
    Conduct("limited", rate_per_s=200.0),
    Conduct("hangs", hang_share=0.01),
    Conduct("resets", reset_share=0.1),
)


def conducts(partners: Sequence[str]) -> dict[str, Conduct]:
    """Every other partner has a fault, each kind in turn; the others behave well.

    The first, which may want order, are not the slow ones: one at a time, they would make a whole proof slow.
    """
    return {
        name: FAULTS[number // 2 % len(FAULTS)] if number % 2 == 0 else Conduct()
        for number, name in enumerate(partners)
    }


@dataclass(frozen=True, slots=True)
class Receipt:
    """One delivery taken: whose, which, when it arrived and when it was answered, monotonic seconds."""

    partner: str
    id: str
    arrived_s: float
    taken_s: float


@dataclass
class Endpoints:
    """All partners behind one port, by the last part of the path."""

    conducts: Mapping[str, Conduct]
    seed: int = 1
    url: str = ""
    receipts: list[Receipt] = field(default_factory=list)
    requests: int = 0

    def __post_init__(self) -> None:
        self._draw = Random(self.seed)
        self._first_s: dict[str, float] = {}
        self._second: dict[str, tuple[int, int]] = {}
        self._open: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[Any]] = set()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Answer on a free port until the end of the block."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield
            server.close()
            for writer in list(self._open):
                writer.transport.abort()
            if self._serving:
                await asyncio.wait(self._serving)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._open.add(writer)
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            return  # the dispatcher left, or was killed
        finally:
            writer.transport.abort()
            self._open.discard(writer)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; False when the connection is to be cut."""
        head = await reader.readuntil(b"\r\n\r\n")
        arrived_s = monotonic()
        partner, headers = _read_head(head)
        await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests += 1
        conduct = self.conducts.get(partner, Conduct())
        if self._draw.random() < conduct.reset_share:
            return False
        if self._draw.random() < conduct.hang_share:
            return await _until_left(reader)
        status = self._status(partner, conduct, arrived_s)
        await asyncio.sleep(conduct.delay_s)
        if status == 200:
            if writer.transport.is_closing():
                return False
            self.receipts.append(Receipt(partner, headers[ID_HEADER], arrived_s, monotonic()))
        patience = "Retry-After: 1\r\n" if status == 429 else ""
        line = f"HTTP/1.1 {status} {_WORDS[status]}\r\n{patience}Content-Length: 0\r\n\r\n"
        writer.write(line.encode())
        await writer.drain()
        return True

    def _status(self, partner: str, conduct: Conduct, now_s: float) -> int:
        first_s = self._first_s.setdefault(partner, now_s)
        if now_s - first_s < conduct.down_s or self._draw.random() < conduct.failure_share:
            return 503
        if conduct.rate_per_s:
            second, count = self._second.get(partner, (0, 0))
            count = count + 1 if int(now_s) == second else 1
            self._second[partner] = (int(now_s), count)
            if count > conduct.rate_per_s:
                return 429
        return 200


def _read_head(head: bytes) -> tuple[str, dict[str, str]]:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, path, _ = first.split(" ", 2)
    if method != "POST":
        raise PeerError(f"a dispatcher sent {method} {path}; expected POST")
    pairs = (line.partition(":") for line in lines if line)
    return path.rpartition("/")[2], {name.lower(): value.strip() for name, _, value in pairs}


async def _until_left(reader: asyncio.StreamReader) -> bool:
    """No answer; until the other side gives up."""
    await reader.read(1)
    return False
