"""The clients that go out to partners: to judged addresses only, and within the time limit however bytes drip.

A URL was judged by its spelling when it was registered; a name is judged by every address that it has when it
is connected to, and the connection goes to a judged address, so that a name rebound in between leads nowhere.
Host and SNI stay those of the URL. Only the lab's own receivers, by host and port, may be private.

Source: OWASP, "Server-Side Request Forgery Prevention Cheat Sheet".
"""

import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Collection, Iterable
from typing import Any

import aiohttp
import httpcore
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from httpx_aiohttp import AiohttpTransport

from labcore.kernel import RefusedError
from labcore.protocols.webhook import refusal

Places = Collection[tuple[str, int]]
_SocketOption = (
    tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]
)


def judge_addresses(host: str, port: int, addresses: Iterable[str], *, exceptions: Places) -> None:
    """Let a name pass if all its addresses may. Raises: RefusedError saying what one of them is."""
    if (host, port) in exceptions:
        return
    for address in addresses:
        why = refusal(ipaddress.ip_address(address.partition("%")[0]))
        if why is not None:
            raise RefusedError(f"{host} leads to {why}; a webhook goes to a public address")


class JudgedResolver(AbstractResolver):
    """Names to judged addresses, for the connector that then connects to them."""

    def __init__(self, exceptions: Places) -> None:
        self._names = aiohttp.ThreadedResolver()
        self._exceptions = exceptions

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Every address of the name. Raises: RefusedError when one must not be gone to."""
        found = await self._names.resolve(host, port, family)
        judge_addresses(host, port, [each["host"] for each in found], exceptions=self._exceptions)
        return found

    async def close(self) -> None:
        """Nothing is held."""
        await self._names.close()


def async_client(exceptions: Places, *, connections: int) -> httpx.AsyncClient:
    """For event loops and virtual threads; open it with `async with`."""
    tls = httpx.create_ssl_context()

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            resolver=JudgedResolver(exceptions), use_dns_cache=False, limit=connections, ssl=tls
        )
        return aiohttp.ClientSession(connector=connector)

    return httpx.AsyncClient(transport=AiohttpTransport(client=session), trust_env=False)


class Deadline:
    """When the exchange of the calling thread must be over."""

    def __init__(self) -> None:
        self._local = threading.local()

    def set(self, limit_s: float) -> None:
        """This thread's exchange begins now."""
        self._local.at_s = time.monotonic() + limit_s

    def left_s(self, late: type[Exception]) -> float:
        """Seconds left. Raises: that error when there are none."""
        left_s = float(self._local.at_s) - time.monotonic()
        if left_s <= 0:
            raise late("the whole exchange took longer than its time limit")
        return left_s


class TimedStream(httpcore.NetworkStream):
    """A connection whose every wait ends at the deadline of the thread that waits."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002 - httpcore's
        """Some bytes."""
        return self._stream.read(max_bytes, self._deadline.left_s(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002 - httpcore's
        """All of them."""
        self._stream.write(buffer, self._deadline.left_s(httpcore.WriteTimeout))

    def close(self) -> None:
        """Hang up."""
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002 - httpcore's
    ) -> httpcore.NetworkStream:
        """The same, encrypted; the name is the URL's."""
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        secured = self._stream.start_tls(ssl_context, server_hostname, left_s)
        return TimedStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        """What the connection knows."""
        return self._stream.get_extra_info(info)


class JudgedBackend(httpcore.SyncBackend):
    """Connects to the address that was judged, not to the name."""

    def __init__(self, exceptions: Places, deadline: Deadline) -> None:
        self._exceptions = exceptions
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002 - the deadline decides
        local_address: str | None = None,
        socket_options: Iterable[_SocketOption] | None = None,
    ) -> httpcore.NetworkStream:
        """A connection. Raises: RefusedError for an address that must not be gone to."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as exc:
            raise httpcore.ConnectError(str(exc)) from exc
        addresses = [str(each[4][0]) for each in found]
        judge_addresses(host, port, addresses, exceptions=self._exceptions)
        left_s = self._deadline.left_s(httpcore.ConnectTimeout)
        stream = super().connect_tcp(addresses[0], port, left_s, local_address, socket_options)
        return TimedStream(stream, self._deadline)


class PlatformClient(httpx.Client):
    """For platform threads, which share its connections; set `deadline` before each exchange."""

    def __init__(self, exceptions: Places, *, connections: int) -> None:
        self.deadline = Deadline()
        transport = httpx.HTTPTransport(trust_env=False)
        transport._pool = httpcore.ConnectionPool(  # noqa: SLF001 - httpx offers no choice of a backend
            ssl_context=httpx.create_ssl_context(),
            max_connections=connections,
            max_keepalive_connections=connections,
            network_backend=JudgedBackend(exceptions, self.deadline),
        )
        super().__init__(transport=transport, trust_env=False)
