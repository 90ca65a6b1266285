"""One HTTP face in both colours of blocking, against a real server."""

import json
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

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


async def test_nobody_there_is_the_peers_fault(ask: Any):
    with pytest.raises(PeerError, match=r"127\.0\.0\.1:1/"):
        await ask(lambda http: http.get("http://127.0.0.1:1/"))
