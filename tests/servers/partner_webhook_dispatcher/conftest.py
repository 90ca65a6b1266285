"""A dispatcher on a real database, and endpoints played by the standard library's own server."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest

from labcore.lanes import Child, DatabaseServer, ServiceSetting, hosted
from servers.partner_webhook_dispatcher import SCENARIO
from servers.partner_webhook_dispatcher.statements import prepare

BUILD = "servers.partner_webhook_dispatcher.app:build"
QUICK: Mapping[str, Any] = {
    "partners": 1, "retry_base_ms": 10.0, "retry_ceiling_ms": 50.0, "timeout_ms": 600.0,
    "lease_s": 1.2, "db_pool": 4, "workers": 16, "breaker": False,
}  # fmt: skip

Answering = Callable[["Received"], tuple[int, Mapping[str, str]]]


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def id(self) -> str:
        """Its `webhook-id`."""
        return self.headers["webhook-id"]


@dataclass
class Endpoint:
    """Answers as it is told, and remembers what came."""

    url: str
    received: list[Received] = field(default_factory=list)
    answer: Answering = lambda _: (204, {})
    changed: threading.Condition = field(default_factory=threading.Condition)

    def wait(self, count: int) -> list[Received]:
        """What came, once so much has."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.received) >= count, 15), self.received
            return list(self.received)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    """Partners' endpoints, on one port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            names = {name.lower(): value for name, value in self.headers.items()}
            received = Received(self.path, names, body)
            with played.changed:
                played.received.append(received)
                played.changed.notify_all()
            status, headers = played.answer(received)
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            """Be quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    played = Endpoint(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield played
    server.shutdown()
    thread.join()
    server.server_close()


@dataclass(frozen=True)
class Dispatcher:
    """A dispatcher as its users see it."""

    http: httpx.Client
    child: Child

    def publish(self, kind: str = "order.paid.g000", **data: Any) -> str:
        """Publish an event; its id."""
        reply = self.http.post("/events", json={"type": kind, "data": data})
        assert reply.status_code == 202, reply.text
        return str(reply.json()["id"])

    def register(self, name: str, url: str, **members: Any) -> dict[str, Any]:
        """Register a partner; the answer."""
        reply = self.http.post("/partners", json={"id": name, "url": url, **members})
        assert reply.status_code == 201, reply.text
        return dict(reply.json())

    def deliveries(self, event_id: str) -> list[dict[str, Any]]:
        """Those of an event."""
        event = self.http.get(f"/events/{event_id}").raise_for_status().json()
        return list(event["deliveries"])

    def settled(self, event_id: str) -> list[dict[str, Any]]:
        """Those of an event, once none is pending."""
        return list(
            self.until(
                lambda: self.deliveries(event_id),
                lambda found: all(each["status"] != "pending" for each in found),
            )
        )

    @staticmethod
    def until(look: Callable[[], Any], good: Callable[[Any], object]) -> Any:
        """What was seen, once it is good; each look is a request, so nobody spins."""
        deadline_s = time.monotonic() + 15
        while not good(seen := look()):
            assert time.monotonic() < deadline_s, seen
        return seen


Starter = Callable[..., Dispatcher]


@pytest.fixture
def start(
    database_server: DatabaseServer, dispatcher_url: str, endpoint: Endpoint
) -> Iterator[Starter]:
    """Start a dispatcher; several share one database."""
    with ExitStack() as cleanup:

        def started(lane: str = "structured", **values: Any) -> Dispatcher:
            setting = ServiceSetting(
                lane=lane,
                parameters=SCENARIO.values({**QUICK, **values}),
                database_url=dispatcher_url,
                peers={"partner-receiver": endpoint.url},
            )
            child = cleanup.enter_context(hosted(BUILD, setting, name="dispatcher"))
            url = child.wait_ready(15)["url"]
            http = cleanup.enter_context(httpx.Client(base_url=url, timeout=10, trust_env=False))
            return Dispatcher(http, child)

        yield started


@pytest.fixture(scope="session")
def dispatcher_template(database_server: DatabaseServer) -> Iterator[str]:
    """A database as `prepare` leaves it."""
    url = database_server.create("webhooks_template")
    prepare(url, SCENARIO.values())
    yield url
    database_server.drop(url)


@pytest.fixture
def dispatcher_url(database_server: DatabaseServer, dispatcher_template: str) -> Iterator[str]:
    """A fresh copy of it."""
    url = database_server.create("webhooks", template=dispatcher_template)
    yield url
    database_server.drop(url)
