"""HTTP between services behind one small face in the same three colours of waiting.

The event-loop lanes and virtual threads share one kind of client: httpx over aiohttp's transport,
because httpx's own pool rescans every connection for every request. Platform threads keep one httpx
client each, with its one connection, where that cost does not arise.
"""

import asyncio
import json
import ssl
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import httpcore
import httpx
from httpx_aiohttp import AiohttpTransport

from labcore.virtual.errors import http_errors
from labcore.virtual.thread import await_
from labcore.virtual.tracing import async_client, http_client

_SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)

TIMEOUT_S = 10.0
CONNECTIONS = 1_000  # in all; a lane is bounded by its own limits, not by its client


@dataclass(frozen=True, slots=True)
class HttpReply:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON. Raises: ValueError when it is not."""
        return json.loads(self.body)


class HttpClient(Protocol):
    """Blocking-style HTTP.

    Raises, in every method: TimeLimitExceededError after `timeout_s`, PeerError when the connection
    fails. A status is an answer, never an error.
    """

    def post(
        self,
        url: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> HttpReply:
        """Send a JSON document."""
        ...

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
    ) -> HttpReply:
        """Fetch."""
        ...

    def delete(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
    ) -> HttpReply:
        """Delete."""
        ...


def async_http_client(*, timeout_s: float = TIMEOUT_S) -> httpx.AsyncClient:
    """The client of every lane that waits on an event loop; open it with `async with`."""
    limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
    return async_client(
        transport=AiohttpTransport(limits=limits), timeout=timeout_s, trust_env=False
    )


async def send(
    client: httpx.AsyncClient,
    method: str,
    url: str,
    *,
    json: Any = None,
    headers: Mapping[str, str] | None = None,
    timeout_s: float = TIMEOUT_S,
) -> HttpReply:
    """One exchange on an async client, with one time limit over all of it."""
    with http_errors(method, url):
        async with asyncio.timeout(timeout_s):
            reply = await client.request(method, url, json=json, headers=headers, timeout=None)
    return HttpReply(reply.status_code, reply.headers, reply.content)


class _Verbs:
    """The three verbs over one `_send`."""

    def post(
        self,
        url: str,
        *,
        json: Any = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> HttpReply:
        """Send a JSON document."""
        return self._send("POST", url, json=json, headers=headers, timeout_s=timeout_s)

    def get(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
    ) -> HttpReply:
        """Fetch."""
        return self._send("GET", url, json=None, headers=headers, timeout_s=timeout_s)

    def delete(
        self, url: str, *, headers: Mapping[str, str] | None = None, timeout_s: float = TIMEOUT_S
    ) -> HttpReply:
        """Delete."""
        return self._send("DELETE", url, json=None, headers=headers, timeout_s=timeout_s)

    def _send(
        self,
        method: str,
        url: str,
        *,
        json: Any,
        headers: Mapping[str, str] | None,
        timeout_s: float,
    ) -> HttpReply:
        raise NotImplementedError


class PlatformHttpClient(_Verbs):
    """Blocks the OS thread; one httpx client, and so one connection, for each thread that asks.

    A socket's own time limit bounds each wait for bytes, and an answer that drips would evade it for
    ever. Here each wait may last no longer than what is left for the whole exchange; only looking up a
    name cannot be bounded.
    """

    def __init__(self) -> None:
        self._local = threading.local()
        self._lock = threading.Lock()
        self._tls = httpx.create_ssl_context()  # 20 ms of CPU: once, not once a thread
        self._closing: list[weakref.finalize[[], Any]] = []

    def close(self) -> None:
        """Close every thread's connection; call it when no thread asks any more."""
        with self._lock:
            closing, self._closing = self._closing, []
        for close in closing:
            close()

    def _send(
        self,
        method: str,
        url: str,
        *,
        json: Any,
        headers: Mapping[str, str] | None,
        timeout_s: float,
    ) -> HttpReply:
        own = self._own()
        own.deadline.set(timeout_s)
        with http_errors(method, url):
            reply = own.client.request(method, url, json=json, headers=headers, timeout=timeout_s)
        return HttpReply(reply.status_code, reply.headers, reply.content)

    def _own(self) -> "_Own":
        own: _Own | None = getattr(self._local, "own", None)
        if own is None:
            deadline = _Deadline()
            transport = _DeadlineTransport(self._tls, deadline)
            client = http_client(transport=transport, trust_env=False)
            own = self._local.own = _Own(client, deadline)
            closing = weakref.finalize(own, own.client.close)  # with its thread, or by `close`
            with self._lock:
                self._closing = [*(close for close in self._closing if close.alive), closing]
        return own


class _Deadline:
    """When the exchange of one thread must be over."""

    def __init__(self) -> None:
        self._at_s = 0.0

    def set(self, limit_s: float) -> None:
        self._at_s = time.monotonic() + limit_s

    def left_s(self, late: type[Exception]) -> float:
        """Seconds left. Raises: that error when there are none."""
        left_s = self._at_s - time.monotonic()
        if left_s <= 0:
            raise late("the whole exchange took longer than its time limit")
        return left_s


class _DeadlineStream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline, whatever limit it is given."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: _Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's
        return self._stream.read(max_bytes, self._deadline.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's
        self._stream.write(buffer, self._deadline.left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's
    ) -> httpcore.NetworkStream:
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        secured = self._stream.start_tls(ssl_context, server_hostname, left_s)
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _DeadlineBackend(httpcore.SyncBackend):
    def __init__(self, deadline: _Deadline) -> None:
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        stream = super().connect_tcp(host, port, left_s, local_address, socket_options)
        return _DeadlineStream(stream, self._deadline)


class _DeadlineTransport(httpx.HTTPTransport):
    """httpx's transport over connections with a deadline, a choice that it does not offer itself."""

    def __init__(self, tls: ssl.SSLContext, deadline: _Deadline) -> None:
        super().__init__(verify=tls, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=tls, network_backend=_DeadlineBackend(deadline)
        )


@dataclass(slots=True, weakref_slot=True)
class _Own:
    """Goes when its thread goes."""

    client: httpx.Client
    deadline: _Deadline


class VirtualHttpClient(_Verbs):
    """Parks the virtual thread: the async client, awaited for you."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    def _send(
        self,
        method: str,
        url: str,
        *,
        json: Any,
        headers: Mapping[str, str] | None,
        timeout_s: float,
    ) -> HttpReply:
        return await_(
            send(self._client, method, url, json=json, headers=headers, timeout_s=timeout_s)
        )
