"""A subscriber by WebSocket that comes back: where it broke off, and until it is told to stop."""

import json
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Any, Final

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, InvalidURI, WebSocketException
from websockets.http11 import Response
from websockets.uri import parse_uri

from labcore.kernel import PeerError, UsageError
from labcore.protocols.sse.reconnection import Reconnection
from labcore.protocols.websocket import codes
from labcore.protocols.websocket.codes import Verdict, judge_close, judge_handshake
from labcore.protocols.websocket.lifecycle import Limits, State

Credentials = Callable[[], Awaitable[Mapping[str, str]]]

LISTENING: Final = Limits(ping_every_s=20.0, pong_within_s=20.0)


class ResumingSocket:
    """The messages of a stream, across reconnections, each id once.

    Iterate it: `async for message in socket`; messages are JSON objects. The first message it sends on
    each connection is `{"type": "resume", "last_id": …}` with the members of `opening`. Messages with an
    integer `id` up to the last one are dropped; a message of type `gap` moves the last id to its `to` and is
    given out; heartbeats are not. The iteration ends with close code 1000, and raises where it never
    can go on. One iteration at a time; `last_id`, `reconnects`, `duplicates` and `state` may be read.

    Close codes: 1013 means later (the wait grows even if messages came), 4001 and status 401 a fresh token, if
    `credentials` mints them, else the end; 1002, 1003, 1007 to 1010 and 4003 are the end; every
    other code, and a cut, mean coming back. 429, 500, 502, 503 and 504 mean later.

    Args:
        url: `ws:` or `wss:`.
        opening: further members of the first message.
        credentials: asked before each connection for the headers of the handshake.
        last_id: where to begin; None: where the server begins for newcomers.
        reconnection: the waits.
        limits: the engine's pings and deadlines, and the size of a message.
        idle_timeout_s: a stream silent for so long, heartbeats included, is taken for dead.
        on_state: called at each change of state.
        draw: uniform in 0..1, for the jitter.

    Raises: UsageError for a URL of another kind.

    Source: RFC 6455, section 7.2.3 "Recovering from Abnormal Closure".
    """

    def __init__(
        self,
        url: str,
        *,
        opening: Mapping[str, Any] | None = None,
        credentials: Credentials | None = None,
        last_id: int | None = None,
        reconnection: Reconnection | None = None,
        limits: Limits = LISTENING,
        idle_timeout_s: float = 45.0,
        on_state: Callable[[State], object] | None = None,
        draw: Callable[[], float] = random.random,
    ) -> None:
        try:
            parse_uri(url)
        except InvalidURI as exc:
            raise UsageError(f"{url!r} is no address of a WebSocket: ws://host/path is") from exc
        self.last_id = last_id
        self.reconnects = 0
        self.duplicates = 0
        self.state = State.CONNECTING
        self._url = url
        self._opening = dict(opening or {})
        self._credentials = credentials
        self._reconnection = reconnection or Reconnection()
        self._limits = limits
        self._idle_timeout_s = idle_timeout_s
        self._on_state = on_state
        self._draw = draw
        self._failures = 0
        self._refreshed = False

    async def __aiter__(self) -> AsyncGenerator[dict[str, Any], None]:
        """The messages. Raises: PeerError for a refusal for good, or a message outside the contract."""
        try:
            while True:
                failures, self._failures = self._failures, self._failures + 1
                verdict, after_s = Verdict.AGAIN, 0.0
                try:
                    async with (
                        await self._connected() as connection,
                        aclosing(self._read(connection)) as messages,
                    ):
                        async for message in messages:
                            yield message
                except ConnectionClosed as exc:
                    code = codes.LOST if exc.rcvd is None else exc.rcvd.code
                    verdict = self._judged(judge_close(code), f"closed with {exc.rcvd}")
                except InvalidStatus as exc:
                    verdict = judge_handshake(exc.response.status_code)
                    self._judged(verdict, f"answered {exc.response.status_code}")
                    after_s = _retry_after_s(exc.response)
                except (OSError, TimeoutError, WebSocketException):
                    pass  # refused, cut or silent: what coming back is for
                if verdict is Verdict.END:
                    return
                if verdict is Verdict.LATER:
                    self._failures = failures + 1
                self._enter(State.CONNECTING)
                await anyio.sleep(max(after_s, self._wait_s()))
                self.reconnects += 1
        finally:
            self._enter(State.CLOSED)

    async def _connected(self) -> connect:
        headers = None if self._credentials is None else await self._credentials()
        return connect(
            self._url,
            additional_headers=headers,
            compression=None,  # small messages do not repay it
            open_timeout=self._limits.open_within_s,
            ping_interval=self._limits.ping_every_s,
            ping_timeout=self._limits.pong_within_s,
            close_timeout=self._limits.close_within_s,
            max_size=self._limits.most_message_bytes,
            proxy=None,
        )

    async def _read(self, connection: ClientConnection) -> AsyncGenerator[dict[str, Any], None]:
        self._enter(State.OPEN)
        last_id = None if self.last_id is None else str(self.last_id)
        await connection.send(json.dumps({"type": "resume", **self._opening, "last_id": last_id}))
        while True:
            with anyio.fail_after(self._idle_timeout_s):
                text = await connection.recv()
            message = self._message(text)
            self._failures = 0
            self._refreshed = False
            if message.get("type") != "heartbeat" and self._is_new(message):
                yield message

    def _message(self, text: str | bytes) -> dict[str, Any]:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise PeerError(f"{self._url} sent {text[:80]!r}; a message is one JSON object")
        return message

    def _is_new(self, message: Mapping[str, Any]) -> bool:
        """Whether it was not given out before; moves the last id."""
        is_gap = message.get("type") == "gap"
        told = message.get("to") if is_gap else message.get("id")
        if type(told) is not int:
            return True
        if self.last_id is not None and told <= self.last_id and not is_gap:
            self.duplicates += 1
            return False
        self.last_id = told if self.last_id is None else max(told, self.last_id)
        return True

    def _judged(self, verdict: Verdict, what: str) -> Verdict:
        """Raises: PeerError when coming back is no use."""
        if verdict is Verdict.CREDENTIALS:
            # Twice in a row without a message between: the mint itself is out of favour.
            if self._credentials is None or self._refreshed:
                verdict = Verdict.REFUSED
            self._refreshed = True
        if verdict is Verdict.REFUSED:
            raise PeerError(f"{self._url} {what}, and will again; a stream needs another request")
        return verdict

    def _wait_s(self) -> float:
        return self._reconnection.wait_s(self._failures, retry_ms=None, draw=self._draw())

    def _enter(self, state: State) -> None:
        if state is not self.state:
            self.state = state
            if self._on_state is not None:
                self._on_state(state)


def _retry_after_s(response: Response) -> float:
    wish = response.headers.get("Retry-After", "")
    return float(wish) if wish.isascii() and wish.isdigit() and len(wish) < 8 else 0.0
