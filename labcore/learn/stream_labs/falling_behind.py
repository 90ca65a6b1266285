"""Four subscribers of one stock: one reads as fast as it can, three do not, each under another policy.

A slow subscriber is a real one: it has a small receive window and reads so many bytes a second, so the
server's socket fills as it does behind a bad network.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread
import httpx
import pandas as pd

from labcore.kernel import UsageError
from labcore.lanes import ServiceSetting, hosted
from labcore.learn.stream_labs.counter import TARGET
from labcore.protocols import sse

QUICK: Final = "quick"
SLOW: Final = {
    "slow (conflate)": "conflate",
    "slow (drop oldest)": "drop",
    "slow (disconnect)": "disconnect",
}
START_S: Final = 30.0
REST_S: Final = 10.0  # for the slow ones to read what is left, then at full speed
_WINDOW_BYTES: Final = 16 * 1024
_PIECE_BYTES: Final = 8 * 1024


@dataclass(frozen=True, slots=True)
class Crowd:
    """How much is published, and how slowly the slow ones read.

    Raises: UsageError for numbers out of range.
    """

    rate_per_s: float = 400.0
    duration_s: float = 3.0
    skus: int = 20
    slow_kib_per_s: float = 1_000.0
    most: int = 30  # frames of a backlog
    padding_bytes: int = 16_000  # large, so that the sockets between fill soon
    seed: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, value in asdict(self).items():
            if not value > 0:
                raise UsageError(f"{name}={value} must be above 0")
        if self.skus > self.most:
            raise UsageError(f"skus={self.skus} must fit into a backlog of most={self.most}")

    @property
    def count(self) -> int:
        """Events in all."""
        return max(1, round(self.rate_per_s * self.duration_s))


@dataclass(frozen=True, slots=True, repr=False)
class Standing:
    """What each subscriber had in the end.

    Attributes:
        rows: one an event received: `subscriber`, `at_s` since the first sale, `age_ms` of that event.
        boards: by subscriber, the quantities it last heard of.
        stock: the quantities as they are.
        ended: who was disconnected.
        hub: what the server counted.
        published: events in all.
    """

    rows: pd.DataFrame
    boards: Mapping[str, Mapping[str, int]]
    stock: Mapping[str, int]
    ended: frozenset[str]
    hub: Mapping[str, float]
    published: int

    @property
    def mistakes(self) -> dict[str, int]:
        """By subscriber, how many quantities it has wrong in the end."""
        return {name: self.wrong(board) for name, board in self.boards.items()}

    @property
    def table(self) -> pd.DataFrame:
        """One row a subscriber."""
        lines = []
        for name, board in self.boards.items():
            age_ms = self.rows.age_ms[self.rows.subscriber == name]
            lines.append(
                {
                    "subscriber": name,
                    "received": len(age_ms),
                    "of": self.published,
                    "oldest news, ms": round(float(age_ms.max()), 1) if len(age_ms) else None,
                    "wrong in the end": self.wrong(board),
                    "disconnected": "yes" if name in self.ended else "",
                }
            )
        return pd.DataFrame(lines)

    def wrong(self, board: Mapping[str, int]) -> int:
        """How many articles a board has another quantity for than the stock; unheard-of ones had 100."""
        return sum(board.get(sku, 100) != quantity for sku, quantity in self.stock.items())

    @property
    def counts(self) -> dict[str, float]:
        """`wrong in the end: …` and `disconnected: …` of each subscriber, for a guess."""
        wrong = {f"wrong in the end: {n}": float(self.wrong(b)) for n, b in self.boards.items()}
        return wrong | {f"disconnected: {name}": float(name in self.ended) for name in self.boards}

    def __repr__(self) -> str:
        return self.table.to_string(index=False)

    def _repr_html_(self) -> str:
        html: str = self.table.to_html(index=False)
        return html


async def fall_behind(crowd: Crowd | None = None) -> Standing:
    """Sell, let everybody watch, then let the slow ones read what is left for them.

    Takes `duration_s` and some seconds; nothing is left behind.

    Raises:
        UsageError: numbers that cannot be.
        PeerError: the server did not start.
    """
    crowd = crowd or Crowd()
    parameters = {key: getattr(crowd, key) for key in ("skus", "most", "padding_bytes", "seed")}
    setting = ServiceSetting(lane="structured", parameters=parameters, database_url=None, peers={})
    child = hosted(TARGET, setting, name="counter")
    try:
        child.start()
        ready = await anyio.to_thread.run_sync(partial(child.wait_ready, START_S))
        return await _Run(crowd, ready["url"]).play()
    finally:
        await anyio.to_thread.run_sync(child.stop)


class _Run:
    def __init__(self, crowd: Crowd, url: str) -> None:
        self._crowd = crowd
        self._url = url
        self._began_ns = 0
        self._selling = True
        self._there = 0
        self._rows: list[dict[str, Any]] = []
        self._newest: dict[str, int] = {}
        self._boards: dict[str, dict[str, int]] = {name: {} for name in (QUICK, *SLOW)}
        self._ended: set[str] = set()

    async def play(self) -> Standing:
        async with (
            httpx.AsyncClient(base_url=self._url, trust_env=False, timeout=120) as client,
            anyio.create_task_group() as group,
        ):
            group.start_soon(self._subscribe, QUICK, "disconnect")
            for name, policy in SLOW.items():
                group.start_soon(self._subscribe, name, policy)
            while self._there < len(self._boards):  # noqa: ASYNC110 - four connections
                await anyio.sleep(0.01)
            self._began_ns = time.monotonic_ns()
            asked = {"count": self._crowd.count, "rate_per_s": self._crowd.rate_per_s}
            last_id = (await client.post("/sales", json=asked)).json()["id"]
            self._selling = False
            with anyio.move_on_after(REST_S):
                while not self._caught_up(last_id):  # noqa: ASYNC110 - as above
                    await anyio.sleep(0.01)
            state = (await client.get("/stock")).json()
            group.cancel_scope.cancel()
        return Standing(
            pd.DataFrame(self._rows, columns=["subscriber", "at_s", "age_ms"]),
            self._boards,
            state["stock"],
            frozenset(self._ended),
            state["hub"],
            last_id,
        )

    def _caught_up(self, last_id: int) -> bool:
        return all(
            name in self._ended or self._newest.get(name) == last_id for name in self._boards
        )

    async def _subscribe(self, name: str, policy: str) -> None:
        pieces = self._read(policy, window_bytes=None if name == QUICK else _WINDOW_BYTES)
        decoder = sse.Decoder()
        async with aclosing(pieces):
            async for piece in pieces:
                for event in decoder.feed(piece):
                    self._note(name, json.loads(event.data))
        self._ended.add(name)

    async def _read(self, policy: str, *, window_bytes: int | None) -> AsyncGenerator[bytes, None]:
        """The body in pieces, at the subscriber's pace while things are being sold."""
        reader, writer = await self._connect(window_bytes)
        try:
            # HTTP 1.0, so that the body comes as it is and not in chunks.
            writer.write(f"GET /stock/events?slow={policy} HTTP/1.0\r\n\r\n".encode())
            await reader.readuntil(b"\r\n\r\n")
            self._there += 1
            with suppress(ConnectionError):
                while piece := await reader.read(_PIECE_BYTES):
                    yield piece
                    if window_bytes is not None and self._selling:
                        await anyio.sleep(len(piece) / (self._crowd.slow_kib_per_s * 1024))
        finally:
            writer.transport.abort()

    async def _connect(
        self, window_bytes: int | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = self._url.removeprefix("http://").partition(":")
        made = socket.socket()
        made.setblocking(False)
        if window_bytes is not None:  # before the connection: the window is agreed at its beginning
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window_bytes)
        await asyncio.get_running_loop().sock_connect(made, (host, int(port)))
        return await asyncio.open_connection(sock=made, limit=_PIECE_BYTES)

    def _note(self, name: str, document: dict[str, Any]) -> None:
        now_ns = time.monotonic_ns()
        self._newest[name] = document["id"]
        self._boards[name][document["sku"]] = document["quantity"]
        age_ms = (now_ns - document["published_ns"]) / 1e6
        at_s = (now_ns - self._began_ns) / 1e9
        self._rows.append({"subscriber": name, "at_s": at_s, "age_ms": age_ms})
