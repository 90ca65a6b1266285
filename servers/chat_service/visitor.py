"""What the checks act with: members who talk over HTTP, and listeners over either protocol."""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol, Self, TypeVar
from urllib.parse import urlsplit

import httpx
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from labcore.lanes import Site
from labcore.protocols import sse

PATIENCE_S: Final = 10.0
AT_ONCE: Final = 16
Kind = Literal["sse", "websocket"]
KINDS: Final[Sequence[Kind]] = ("sse", "websocket")

T = TypeVar("T")


class Listener(Protocol):
    """One open stream."""

    def next(self) -> dict[str, Any] | None:
        """The next event or sign of life; None at the end of the stream. Raises: TimeoutError."""
        ...


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody with a token, at one site."""

    site: Site
    http: httpx.Client = field(repr=False)
    name: str
    token: str = field(repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What shows who asks."""
        return {"Authorization": f"Bearer {self.token}"}

    def ask(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A request with the token."""
        return self.http.request(method, f"{self.site.url}{path}", headers=self.headers, **options)

    def send(self, room: str, text: str = "hello", *, client_id: str = "") -> httpx.Response:
        """Say something."""
        message = {"client_id": client_id or unique("m"), "text": text}
        return self.ask("POST", f"/rooms/{room}/messages", json=message)

    def said(self, room: str, text: str = "hello") -> int:
        """Say something new; its id."""
        reply = self.send(room, text)
        expect(reply.status_code == 201, f"201, got {reply.status_code}: {reply.text}")
        return int(reply.json()["id"])

    def ack(self, room: str, up_to: int) -> httpx.Response:
        """Acknowledge."""
        return self.ask("POST", f"/rooms/{room}/acks", json={"up_to": up_to})

    def beat(self, room: str, tab: str) -> list[str]:
        """Be here with a tab; who is."""
        reply = self.ask("POST", f"/rooms/{room}/presence", json={"tab": tab})
        return list(reply.raise_for_status().json()["members"])

    def leave(self, room: str, tab: str) -> list[str]:
        """Close a tab; who is still here."""
        reply = self.ask("DELETE", f"/rooms/{room}/presence", params={"tab": tab})
        return list(reply.raise_for_status().json()["members"])

    def history(self, room: str, **query: int) -> list[dict[str, Any]]:
        """A page of what was said."""
        reply = self.ask("GET", f"/rooms/{room}/messages", params=query)
        return list(reply.raise_for_status().json()["messages"])

    def ticket(self, path: str) -> str:
        """A ticket for a stream."""
        reply = self.ask("POST", "/tickets", json={"path": path})
        return str(reply.raise_for_status().json()["ticket"])

    def listen(
        self, room: str, kind: Kind, *, last_id: int | None = None
    ) -> "AbstractContextManager[EventsListener | SocketListener]":
        """Listen from the given id, or from what is not acknowledged."""
        if kind == "sse":
            return events(self, room, last_id=last_id)
        return conversation(self, room, last_id=last_id)


@dataclass(slots=True)
class EventsListener:
    """Reads server-sent events."""

    response: httpx.Response
    _pieces: Iterator[bytes]
    _decoder: sse.Decoder = field(default_factory=sse.Decoder)
    _ready: list[dict[str, Any]] = field(default_factory=list)

    def next(self) -> dict[str, Any] | None:
        """The next event, or a heartbeat; None at the end."""
        while not self._ready:
            try:
                piece = next(self._pieces, None)
            except httpx.ReadTimeout as exc:
                raise TimeoutError(f"no event within {PATIENCE_S:g} s") from exc
            except httpx.RemoteProtocolError:  # cut, where the end was due
                return None
            if piece is None:
                return None
            if piece.startswith(b":"):
                self._ready.append({"type": "heartbeat"})
            self._ready += [_checked(event) for event in self._decoder.feed(piece)]
        return self._ready.pop(0)


@dataclass(slots=True)
class SocketListener:
    """Talks and listens over a WebSocket."""

    socket: ClientConnection
    closed: int | None = None
    _answers: list[dict[str, Any]] = field(default_factory=list)
    _events: list[dict[str, Any]] = field(default_factory=list)

    def next(self) -> dict[str, Any] | None:
        """The next event; None once it is closed, with the code in `closed`."""
        while not self._events and self.closed is None:
            self._receive()
        return self._events.pop(0) if self._events else None

    def ask(self, **document: Any) -> dict[str, Any]:
        """Say something; the answer."""
        self.socket.send(json.dumps(document))
        while not self._answers:
            self._receive()
            expect(self.closed is None, f"an answer, got close code {self.closed}")
        return self._answers.pop(0)

    def _receive(self) -> None:
        try:
            document = json.loads(self.socket.recv(PATIENCE_S))
        except ConnectionClosed as exc:
            self.closed = 1006 if exc.rcvd is None else exc.rcvd.code
            return
        happened = document["type"] in {"message", "presence", "gap", "heartbeat"}
        (self._events if happened else self._answers).append(document)


class Visitors:
    """Makes members of a site."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._http = httpx.Client(timeout=PATIENCE_S, trust_env=False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def member(self, name: str = "", *, scope: str = "room:*", ttl_s: float = 600) -> Member:
        """A member with a token of its own."""
        name = name or unique("member")
        wish = {"subject": name, "scope": [scope], "ttl_s": ttl_s}
        reply = self._http.post(f"{self.site.url}/tokens", json=wish)
        return Member(self.site, self._http, name, reply.raise_for_status().json()["token"])

    def stats(self) -> dict[str, float]:
        """What the server says of itself."""
        return dict(self._http.get(f"{self.site.url}/stats").raise_for_status().json())


@contextmanager
def events(member: Member, room: str, *, last_id: int | None = None) -> Iterator[EventsListener]:
    """An event stream, its head received."""
    headers = {**member.headers, **({} if last_id is None else {"Last-Event-ID": str(last_id)})}
    url = f"{member.site.url}/rooms/{room}/events"
    with (
        httpx.Client(timeout=PATIENCE_S, trust_env=False) as http,
        http.stream("GET", url, headers=headers) as response,
    ):
        expect(response.status_code == 200, f"200, got {response.status_code}")
        yield EventsListener(response, response.iter_raw())


@contextmanager
def conversation(
    member: Member, room: str, *, last_id: int | None = None
) -> Iterator[SocketListener]:
    """A WebSocket, resumed; what was asked first has been answered, so it listens already."""
    with dialled(member, f"/rooms/{room}/socket") as socket:
        resume = {"type": "resume", "last_id": None if last_id is None else str(last_id)}
        socket.send(json.dumps(resume))
        listener = SocketListener(socket)
        listener.ask(type="nothing")
        yield listener


@contextmanager
def dialled(
    member: Member | None, path: str, *, site: Site | None = None, origin: str | None = None
) -> Iterator[ClientConnection]:
    """A WebSocket after its handshake. Raises: InvalidStatus when it is refused."""
    at = member.site if site is None and member is not None else site
    assert at is not None
    url = f"ws://{urlsplit(at.url).netloc}{path}"
    headers = {**({} if member is None else member.headers)}
    if origin is not None:
        headers["Origin"] = origin
    with connect(
        url, additional_headers=headers, proxy=None, open_timeout=PATIENCE_S, close_timeout=1
    ) as socket:
        yield socket


def handshake_status(member: Member | None, path: str, **options: Any) -> int:
    """The status of a WebSocket's handshake: 101 where it is accepted."""
    try:
        with dialled(member, path, **options):
            return 101
    except InvalidStatus as exc:
        return exc.response.status_code


def happened(listener: Listener, count: int) -> list[dict[str, Any]]:
    """The next events, signs of life left out."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        event = listener.next()
        expect(event is not None, f"{count} events, got the end after {found}")
        if event is not None and event["type"] != "heartbeat":
            found.append(event)
    return found


def drained(listener: Listener) -> list[dict[str, Any]]:
    """What comes until the stream ends, signs of life left out."""
    found = []
    while (event := listener.next()) is not None:
        if event["type"] != "heartbeat":
            found.append(event)
    return found


def everybody(stack: ExitStack, members: Sequence[Member], room: str) -> list[Listener]:
    """Each member listening, by turns over SSE and over WebSocket."""
    return [
        stack.enter_context(member.listen(room, KINDS[number % 2]))
        for number, member in enumerate(members)
    ]


def at_once(count: int, action: Callable[[int], T]) -> list[T]:
    """The results of `count` calls, made at the same time up to `AT_ONCE` of them."""
    with ThreadPoolExecutor(min(count, AT_ONCE)) as pool:
        return list(pool.map(action, range(count)))


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for it. Raises: AssertionError naming what did not happen in time."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not condition():
        expect(time.monotonic() < deadline_s, f"within {PATIENCE_S:g} s: {what}")
        time.sleep(0.02)


def unique(hint: str) -> str:
    """A name that nobody used before."""
    return f"{hint}-{secrets.token_hex(6)}"


def expect(true: bool, claim: str) -> None:
    """Python's `assert`, which also holds under `python -O`."""
    if not true:
        raise AssertionError(f"expected {claim}")


def _checked(event: sse.ServerSentEvent) -> dict[str, Any]:
    """The event's document. Raises: AssertionError when frame and document disagree."""
    document: dict[str, Any] = json.loads(event.data)
    expect(event.event == document["type"], f"event: {document['type']}, got {event.event}")
    last_id = document["to"] if event.event == "gap" else document["id"]
    expect(event.last_event_id == str(last_id), f"id: {last_id}, got {event.last_event_id}")
    return document
