"""Subscribers that come back, each with its account."""

import asyncio
import json
import random
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import anyio
import httpx
from httpx_aiohttp import AiohttpTransport
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from labcore.cli.bench.delivering.account import Account, Logged
from labcore.kernel import PeerError
from labcore.protocols import sse

FROM_THE_BEGINNING: Final = 0  # a subscriber cut before its first event must not lose it
RECONNECTION: Final = sse.Reconnection(base_s=0.05, ceiling_s=2.0)
MOST_STREAMS: Final = 100_000  # named, for no limit at all means a hundred to aiohttp
FOR_GOOD: Final = frozenset({1008, 4001, 4003})  # closed by decision, not by accident


@asynccontextmanager
async def many_streams() -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that holds any number of streams."""
    transport = AiohttpTransport(limits=httpx.Limits(max_connections=MOST_STREAMS))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        yield client


class Subscriber:
    """What subscribers of either protocol share: an account, and somebody who waits for it to grow."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.reconnects = 0
        self._grown = asyncio.Event()

    async def listen(self) -> None:
        """Until cancelled. Raises: PeerError for a refusal, or an event that contradicts itself."""
        raise NotImplementedError

    async def until(self, event_id: int) -> None:
        """Wait for an event with this id or a later one."""
        while self.account.last_id < event_id:
            self._grown.clear()
            await self._grown.wait()

    @property
    def slow(self) -> str:
        """What is to become of it when it falls behind."""
        return "conflate" if self.account.conflated else "disconnect"

    def hear(self, document: dict[str, Any]) -> None:
        """A message of the stream."""
        if document.get("type") == "gap":
            self.account.gaps += 1
        elif "sku" in document:
            self.account.hear(Logged.of(document["id"], document))
            self._grown.set()


class EventsSubscriber(Subscriber):
    """Listens by server-sent events, through our own reconnecting client."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, *, token: str, account: Account
    ) -> None:
        super().__init__(account)
        warehouses = ",".join(sorted(account.warehouses))
        self._source = sse.EventSource(
            client,
            f"{base_url}/stock/events?warehouse={warehouses}&slow={self.slow}",
            headers={"Authorization": f"Bearer {token}"},
            last_event_id=str(FROM_THE_BEGINNING),
            reconnection=RECONNECTION,
        )

    async def listen(self) -> None:
        """Until cancelled. Raises: PeerError for a refusal, or an event whose two ids differ."""
        async with aclosing(aiter(self._source)) as events:
            async for event in events:
                document = json.loads(event.data)
                if event.event == "stock" and event.last_event_id != str(document["id"]):
                    raise PeerError(f"event {document['id']} came with id {event.last_event_id!r}")
                self.reconnects = self._source.reconnects
                self.hear(document)


class SocketSubscriber(Subscriber):
    """Listens by WebSocket, and drops nothing: what the server repeats stands in the account."""

    def __init__(self, base_url: str, *, token: str, account: Account) -> None:
        super().__init__(account)
        self._url = f"{base_url.replace('http:', 'ws:')}/stock/socket?slow={self.slow}"
        self._headers = {"Authorization": f"Bearer {token}"}

    async def listen(self) -> None:
        """Until cancelled. Raises: PeerError for a connection closed for good."""
        failures = 0
        while True:
            failures += 1  # until a message says otherwise
            before = len(self.account.ids)
            try:
                async with self._connected() as socket:
                    await self._listen(socket)
            except ConnectionClosed as exc:
                if exc.rcvd is not None and exc.rcvd.code in FOR_GOOD:
                    raise PeerError(f"{self._url} closed for good: {exc.rcvd}") from exc
            except (OSError, WebSocketException):
                pass  # refused while the server is away, or cut within the handshake
            failures = failures if len(self.account.ids) == before else 0
            wait_s = RECONNECTION.wait_s(failures, retry_ms=None, draw=random.random())
            await anyio.sleep(wait_s)
            self.reconnects += 1

    def _connected(self) -> connect:
        return connect(
            self._url,
            additional_headers=self._headers,
            compression=None,
            ping_interval=None,
            proxy=None,
        )

    async def _listen(self, socket: ClientConnection) -> None:
        resume = {
            "type": "resume",
            "warehouses": sorted(self.account.warehouses),
            "last_id": str(self.account.last_id or FROM_THE_BEGINNING),
        }
        await socket.send(json.dumps(resume))
        async for message in socket:
            self.hear(json.loads(message))
