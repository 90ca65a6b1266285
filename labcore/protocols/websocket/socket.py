"""The server's end of a WebSocket that carries a hub's messages, on any ASGI server.

What the engine below does: frames, masks, UTF-8, the answer to pings, the echo of a close frame, and its
own pings, which find a client that is dead. What stands here: the first message, heartbeats that a page can
see (it never sees pings), the bound on a client that does not read, and an end at once when told.

Source: ASGI, "WebSocket"; RFC 6455, section 7.
"""

import json
import math
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

import anyio
from starlette.websockets import WebSocket, WebSocketDisconnect

from labcore.kernel import PeerError
from labcore.protocols.sse.response import HEARTBEAT_S, Frames
from labcore.protocols.websocket import codes
from labcore.protocols.websocket.lifecycle import Act, Acts, Lifecycle, Limits, Role, State

Hear = Callable[[dict[str, Any]], Awaitable[None]]

HEARTBEAT: Final = '{"type":"heartbeat"}'
# A page that only listens owes no answer: the engine's pings find the dead.
LISTENED_TO: Final = Limits(ping_every_s=HEARTBEAT_S, pong_within_s=None)
_MOST_ID_CHARS: Final = 64
# Starlette's word for a client that left, and uvicorn's for an engine that has closed on its own.
_GONE: Final = (WebSocketDisconnect, RuntimeError)


def encode_message(document: Mapping[str, Any]) -> bytes:
    r"""The data of a hub's `Frame`: one message, and a line end that parts it from the next.

    >>> encode_message({"type": "gap", "from": 1, "to": 3})
    b'{"type":"gap","from":1,"to":3}\n'
    """
    return json.dumps(document, separators=(",", ":")).encode() + b"\n"


class Socket:
    """One client of a stream: `await opening()`, look up what it missed, then `await pour(frames)`.

    Lives on one event loop, and so does who calls `end`. A `send` of the engine must either write before
    it first waits or not at all, as uvicorn's `wsproto` and `websockets-sansio` do; middleware that queues
    breaks that.

    Args:
        websocket: not accepted yet.
        limits: the lifecycle's; `ping_every_s` is that of heartbeat messages.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        websocket: WebSocket,
        *,
        limits: Limits = LISTENED_TO,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._websocket = websocket
        self._limits = limits
        self._clock = clock
        self._life = Lifecycle(Role.SERVER, limits, now_s=clock())
        self._parting: Acts = ()
        self._held: list[str] = []  # written past the writer, but for these
        self._all = anyio.CancelScope()
        self._waiting = anyio.CancelScope()
        self._overtaken = False

    @property
    def code(self) -> int:
        """The close code so far: 1006 until there is another."""
        return self._life.code

    @property
    def state(self) -> State:
        """Where the connection stands."""
        return self._life.state

    async def opening(self) -> dict[str, Any]:
        """Accept, and read the first message: an object of type `resume`, its `last_id` a text or None.

        Raises: PeerError when it is late, is something else, or the client has left; the connection is
        then closed.
        """
        await self._websocket.accept()
        self._life.opened(now_s=self._clock())
        document: dict[str, Any] | None = None
        with anyio.move_on_after(self._limits.open_within_s):
            document = await self._receive()
        if self.state is State.OPEN and (document is None or not _resumes(document)):
            self.end(codes.POLICY, 'say {"type":"resume","last_id":text or null} first')
        if self.state is State.OPEN and document is not None:
            return document
        await self._part()
        raise PeerError(f"a client did not resume, and was closed with {self.code}")

    async def send(self, *documents: Mapping[str, Any]) -> bool:
        """Send messages, waiting while the client does not read; False when the connection has ended."""
        for document in documents:
            await self._send(encode_message(document).decode().rstrip("\n"))
        return self.state is State.OPEN

    async def pour(self, frames: Frames, *, hear: Hear | None = None) -> int:
        """Send what the frames bring until they end, the client leaves, or `end`; returns the close code.

        `frames` is a hub's subscription to data of `encode_message`; it is closed in every case. When it
        ends the client is told 1001, the server leaves; when it ends while the client held up a
        write, 1013, too slow. What the client says is read all the time, and given to `hear`.
        """
        try:
            frames.attach(self._write_now)
            with self._all:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._read, hear)
                    await self._write(frames)
                    group.cancel_scope.cancel()
        finally:
            frames.close()
        await self._part()
        return self.code

    def end(self, code: int = codes.GOING_AWAY, reason: str = "") -> None:
        """End now, with that code: what is queued is not sent any more. Later calls change nothing.

        Raises: UsageError for a code or reason that no close frame may carry.
        """
        self._do(self._life.close(code, reason, now_s=self._clock()))

    async def _write(self, frames: Frames) -> None:
        while self.state is State.OPEN:
            joined: bytes | None = None
            with anyio.CancelScope() as self._waiting:
                self._waiting.deadline = anyio.current_time() + self._patience_s()
                joined = await frames.take()
            held, self._held = self._held, []
            if joined == b"":
                slow = self._overtaken
                self.end(codes.TRY_LATER if slow else codes.GOING_AWAY, "too slow" if slow else "")
                return
            self._overtaken = False
            for text in (*held, *_texts(joined or b"")):
                await self._send(text)
            acts = self._life.tick(now_s=self._clock())
            self._do(acts)
            if Act.PING in acts:
                await self._send(HEARTBEAT)

    async def _send(self, text: str) -> None:
        if self.state is not State.OPEN or self._write_text(text):
            return
        self._overtaken = True
        held_s = self._clock()
        self._life.held(now_s=held_s)
        with anyio.move_on_after(self._limits.stall_within_s) as patience:
            try:
                await self._websocket.send({"type": "websocket.send", "text": text})
            except _GONE:
                self._do(self._life.lost())
        if patience.cancelled_caught:
            self._do(self._life.tick(now_s=held_s + self._limits.stall_within_s))
        self._life.freed()
        self._life.said(now_s=self._clock())

    async def _read(self, hear: Hear | None) -> None:
        while self.state is State.OPEN:
            document = await self._receive()
            if document is not None and hear is not None:
                await hear(document)

    async def _receive(self) -> dict[str, Any] | None:
        """The next message; None when there is none to be had, and then the state says why."""
        message = await self._websocket.receive()
        now_s = self._clock()
        if message["type"] == "websocket.disconnect":
            code = message.get("code")
            # uvicorn says 1005 of a connection that was lost, too. The engine has echoed the others.
            if code in {None, codes.NO_CODE, codes.LOST}:
                self._life.lost()
            else:
                self._life.close_heard(code, message.get("reason") or "", now_s=now_s)
            self._do(())
            return None
        text = message.get("text")
        if text is None:
            self.end(codes.UNSUPPORTED, "messages are text")
            return None
        self._do(self._life.heard(size_bytes=len(text.encode()), now_s=now_s))
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            self.end(codes.POLICY, "a message is one JSON object")
            return None
        return document

    def _write_now(self, joined: bytes) -> bool:
        """The outlet: past the writer, which waits for something to do. False: nothing was written."""
        if self._held or self.state is not State.OPEN:
            return False
        first, *rest = _texts(joined)
        if not self._write_text(first):
            return False
        for number, text in enumerate(rest):
            if not self._write_text(text):
                self._held = rest[number:]
                self._waiting.cancel()
                break
        return True

    def _write_text(self, text: str) -> bool:
        """Send without waiting, or not at all: run by hand, `send` waits for room before it writes."""
        sending = self._websocket.send({"type": "websocket.send", "text": text}).__await__()
        try:
            next(sending)
        except StopIteration:
            self._life.said(now_s=self._clock())
            return True
        except _GONE:  # the reader is about to hear of it
            return False
        sending.close()
        return False

    async def _part(self) -> None:
        """Say goodbye, if there is something to say; a peer that is to be cut is not waited for."""
        if Act.CLOSE not in self._parting:
            return
        patience_s = 0.0 if Act.CUT in self._parting else self._limits.close_within_s
        with anyio.move_on_after(patience_s):
            try:
                await self._websocket.close(self._life.code, self._life.reason)
            except _GONE:
                self._do(self._life.lost())

    def _do(self, acts: Acts) -> None:
        self._parting += acts
        if self.state is not State.OPEN:
            self._all.cancel()

    def _patience_s(self) -> float:
        due_s = self._life.due_s
        return math.inf if due_s is None else max(0.0, due_s - self._clock())


def _texts(joined: bytes) -> list[str]:
    return joined.decode().split("\n")[:-1]  # JSON holds no line end, and no other split is safe


def _resumes(document: Mapping[str, Any]) -> bool:
    last_id = document.get("last_id")
    fits = last_id is None or (isinstance(last_id, str) and len(last_id) <= _MOST_ID_CHARS)
    return document.get("type") == "resume" and fits
