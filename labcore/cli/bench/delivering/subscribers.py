"""Subscribers that come back, each with its account."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import httpx
from httpx_aiohttp import AiohttpTransport

from labcore.cli.bench.delivering.account import Account, Logged
from labcore.kernel import PeerError
from labcore.protocols import sse

FROM_THE_BEGINNING: Final = "0"  # a subscriber cut before its first event must not lose it
RECONNECTION: Final = sse.Reconnection(base_s=0.05, ceiling_s=2.0)


@asynccontextmanager
async def many_streams() -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client that holds any number of streams."""
    transport = AiohttpTransport(limits=httpx.Limits(max_connections=None))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        yield client


class EventsSubscriber:
    """Listens by server-sent events, through our own reconnecting client."""

    def __init__(
        self, client: httpx.AsyncClient, base_url: str, *, token: str, account: Account
    ) -> None:
        slow = "conflate" if account.conflated else "disconnect"
        warehouses = ",".join(sorted(account.warehouses))
        self.account = account
        self._grown = asyncio.Event()
        self._source = sse.EventSource(
            client,
            f"{base_url}/stock/events?warehouse={warehouses}&slow={slow}",
            headers={"Authorization": f"Bearer {token}"},
            last_event_id=FROM_THE_BEGINNING,
            reconnection=RECONNECTION,
        )

    @property
    def reconnects(self) -> int:
        """How often it came back."""
        return self._source.reconnects

    async def listen(self) -> None:
        """Until cancelled. Raises: PeerError for an event whose two ids differ, or a refusal."""
        async with aclosing(aiter(self._source)) as events:
            async for event in events:
                document = json.loads(event.data)
                if event.event == "gap":
                    self.account.gaps += 1
                elif event.event == "stock":
                    self.account.hear(_logged(event, document))
                    self._grown.set()

    async def until(self, event_id: int) -> None:
        """Wait for an event with this id or a later one."""
        while self.account.last_id < event_id:
            self._grown.clear()
            await self._grown.wait()


def _logged(event: sse.ServerSentEvent, document: Mapping[str, Any]) -> Logged:
    if event.last_event_id != str(document["id"]):
        raise PeerError(f"event {document['id']} came with id {event.last_event_id!r}")
    return Logged.of(document["id"], document)
