"""One HTTP face in both colours of blocking, against a real server."""

import asyncio
import contextlib
import json
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import psutil
import pytest

from labcore.kernel import PeerError
from labcore.virtual import (
    HttpClient,
    PlatformHttpClient,
    PlatformThreadExecutor,
    TimeLimitExceededError,
    VirtualHttpClient,
    VirtualThreadExecutor,
    async_http_client,
)

release = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Echoes what it is sent; `/hang` waits, `/nothing` is not there."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with the path."""
        if self.path == "/hang":
            release.wait(10)
        self.answer(404 if self.path == "/nothing" else 200, {"path": self.path})

    def do_POST(self) -> None:
        """Answer with the body."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(201, {"got": json.loads(body), "key": self.headers["Idempotency-Key"]})

    def do_DELETE(self) -> None:
        """Answer with the path."""
        self.answer(200, {"deleted": self.path, "key": self.headers["Idempotency-Key"]})

    def answer(self, status: int, document: Any) -> None:
        """Send one JSON document."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's signature
        """Say nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    release.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        release.set()
        server.shutdown()
        thread.join()


@asynccontextmanager
async def client_of(kind: str) -> AsyncIterator[tuple[Any, HttpClient]]:
    if kind == "platform":
        executor = PlatformThreadExecutor(2, name="http")
        client = PlatformHttpClient()
        try:
            yield executor, client
        finally:
            executor.shutdown()
            client.close()
    else:
        async with async_http_client() as asynchronous:
            yield VirtualThreadExecutor(name="http"), VirtualHttpClient(asynchronous)


@pytest.fixture(params=["platform", "virtual"])
def ask(request: pytest.FixtureRequest) -> Callable[[Callable[[HttpClient], Any]], Any]:
    async def run(work: Callable[[HttpClient], Any]) -> Any:
        async with client_of(request.param) as (executor, client):
            return await executor.call(work, client)

    return run


async def test_post_sends_json_and_headers(ask: Any, url: str):
    reply = await ask(lambda http: http.post(url, json={"n": 1}, headers={"Idempotency-Key": "k"}))
    assert (reply.status, reply.json()) == (201, {"got": {"n": 1}, "key": "k"})


async def test_a_status_is_an_answer_and_no_error(ask: Any, url: str):
    reply = await ask(lambda http: http.get(f"{url}/nothing"))
    assert reply.status == 404


async def test_silence_beyond_the_limit_is_named(ask: Any, url: str):
    with pytest.raises(TimeLimitExceededError, match="/hang"):
        await ask(lambda http: http.get(f"{url}/hang", timeout_s=0.05))


@pytest.mark.parametrize("drips", ["head", "body"])
async def test_an_answer_that_drips_does_not_evade_the_limit(ask: Any, drips: str):
    """Each byte comes well within the limit; the whole answer never does."""
    ended = threading.Event()

    def drip(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65_536)
            head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n"
            connection.sendall(head if drips == "head" else head + b"\r\n")
            while not ended.wait(0.05):
                connection.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=drip, args=(listener,))
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            with pytest.raises(TimeLimitExceededError):
                await ask(lambda client: client.get(url, timeout_s=0.3))
        finally:
            ended.set()
            thread.join()


async def test_a_limit_is_each_exchanges_own(ask: Any, url: str):
    def work(client: HttpClient) -> list[int]:
        with pytest.raises(TimeLimitExceededError):
            client.get(f"{url}/hang", timeout_s=0.05)
        return [client.get(url).status for _ in range(2)]

    assert await ask(work) == [200, 200]


async def test_nobody_there_is_the_peers_fault(ask: Any):
    with pytest.raises(PeerError, match=r"127\.0\.0\.1:1/"):
        await ask(lambda http: http.get("http://127.0.0.1:1/"))


async def test_delete_is_asked_with_its_own_method(ask: Any, url: str):
    reply = await ask(lambda http: http.delete(f"{url}/stock", headers={"Idempotency-Key": "k"}))
    assert (reply.status, reply.json()) == (200, {"deleted": "/stock", "key": "k"})


async def test_a_reply_that_is_no_http_is_the_peers_fault(ask: Any):
    async def babble(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello there\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(babble, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(PeerError, match=f"GET http://127.0.0.1:{port}/"):
            await ask(lambda http: http.get(f"http://127.0.0.1:{port}/"))


async def test_connections_are_kept_and_send_without_delay(ask: Any, url: str):
    """With Nagle's algorithm on, each small exchange may wait 40 ms for an acknowledgement."""
    port = int(url.rpartition(":")[2])

    def work(http: HttpClient) -> list[tuple[int, int]]:
        for _ in range(3):
            http.get(url)
        return [(fd, no_delay(fd)) for fd in sockets_to(port)]

    [(_, flag)] = await ask(work)
    assert flag != 0


def sockets_to(port: int) -> list[int]:
    """The descriptors of this process's connections to a port."""
    connections = psutil.Process().net_connections("tcp4")
    return [it.fd for it in connections if it.raddr[1:] == (port,)]


def no_delay(fd: int) -> int:
    with socket.socket(fileno=os.dup(fd)) as copy:
        return copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


def test_a_platform_threads_connection_ends_with_the_thread(url: str):
    port = int(url.rpartition(":")[2])
    client = PlatformHttpClient()
    for _ in range(3):
        thread = threading.Thread(target=client.get, args=(url,))
        thread.start()
        thread.join()
    assert sockets_to(port) == []
    assert client.get(url).status == 200
    assert len(sockets_to(port)) == 1
    client.close()
    assert sockets_to(port) == []
