"""Nine lives of a WebSocket, each ended in another way, as client and server saw it.

Real sockets through a stretch of network that can go silent; the server is a process of its own that is asked
to leave, and killed.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import anyio
import anyio.to_thread
import pandas as pd
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Child
from labcore.learn.stream_labs.relay import Conversation, Relay, relay
from labcore.learn.stream_labs.switchboard import FLOOD, MOST_MESSAGE_BYTES, ORIGIN, TARGET
from labcore.protocols.websocket import TRANSITIONS, Role

LONG, SHORT = "a-long-token", "a-short-token"
START_S: Final = 30.0
LIFE_S: Final = 15.0  # for the longest of them; more means that somebody hangs
_LOOK_S: Final = 0.01

Story = Callable[["_Lab", ClientConnection], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Life:
    """One connection. Times in seconds from the first packet of the handshake.

    `status` is the HTTP answer, 101 for a connection; `code` the close code that the client has, None where
    there was no connection. `server` says in words what the server knows.
    """

    name: str
    status: int
    open_s: float
    end_s: float
    code: int | None = None
    reason: str = ""
    server: str = ""

    @property
    def number(self) -> int:
        """What the client holds in the end: the close code, or the HTTP status without a connection."""
        return self.status if self.code is None else self.code


@dataclass(frozen=True, slots=True, repr=False)
class Lives:
    """All of them, and what went over the wire when one said goodbye."""

    lives: tuple[Life, ...]
    conversation: Conversation

    @property
    def table(self) -> pd.DataFrame:
        """One row a life."""
        return pd.DataFrame(
            [
                {
                    "what happened": life.name,
                    "handshake": life.status,
                    "the client has": "" if life.code is None else str(life.code),
                    "reason": life.reason,
                    "the server": life.server,
                    "open, s": round(life.end_s - life.open_s, 2),
                }
                for life in self.lives
            ]
        )

    @property
    def rows(self) -> pd.DataFrame:
        """For the picture: `name`, `open_s`, `end_s`, `number`, `connected`."""
        return pd.DataFrame(
            [
                {
                    "name": life.name,
                    "open_s": life.open_s,
                    "end_s": life.end_s,
                    "number": life.number,
                    "connected": life.code is not None,
                }
                for life in self.lives
            ]
        )

    @property
    def counts(self) -> dict[str, float]:
        """The number each life ended with, for a guess."""
        return {life.name: float(life.number) for life in self.lives}

    @property
    def wire(self) -> str:
        """The handshake as text, then the frames of a greeting and a goodbye as bytes."""
        up, down = (_split(raw) for raw in (self.conversation.up, self.conversation.down))
        lines = [f"> {line}" for line in up[0]] + [f"< {line}" for line in down[0]]
        return "\n".join([*lines, f"> {up[1].hex(' ')}", f"< {down[1].hex(' ')}"])

    def __repr__(self) -> str:
        return self.table.to_string(index=False)

    def _repr_html_(self) -> str:
        html: str = self.table.to_html(index=False)
        return html


async def nine_lives(*, token_s: float = 0.5) -> Lives:
    """Live them all. Takes some five seconds; nothing is left behind.

    Args:
        token_s: how long the short token lasts.

    Raises:
        UsageError: a time out of range.
        PeerError: a server did not start, or a life did not end.
    """
    if not 0.05 <= token_s <= 5:
        raise UsageError(f"token_s={token_s} must lie between 0.05 and 5 seconds")
    first, second = (_Server(token_s) for _ in range(2))
    try:
        with anyio.fail_after(START_S):
            async with anyio.create_task_group() as group:
                group.start_soon(first.start)
                group.start_soon(second.start)
        async with relay(first.url) as network:
            lab = _Lab(network, first, second)
            return Lives(tuple([await lab.live(*each) for each in _STORIES]), lab.goodbye)
    finally:
        for server in (first, second):
            await anyio.to_thread.run_sync(server.child.stop)


def transitions() -> pd.DataFrame:
    """A client's life as the library's own table has it: for each state and event, the next state and what to do.

    Only the events that change something are listed.
    """
    return pd.DataFrame(
        [
            {
                "state": state.name,
                "event": event.value,
                "next": then.name,
                "to do": ", ".join(act.value for act in acts),
            }
            for (state, event), (then, acts) in TRANSITIONS[Role.CLIENT].items()
            if then is not state or acts
        ]
    )


class _Server:
    def __init__(self, token_s: float) -> None:
        self.url = ""
        self._endings: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()
        setting = {"tokens": {LONG: 60.0, SHORT: token_s}}
        self.child = Child(TARGET, setting, name="switchboard", on_event=self._note)

    async def start(self) -> None:
        self.child.start()
        ready = await anyio.to_thread.run_sync(partial(self.child.wait_ready, START_S))
        self.url = ready["url"]

    def _note(self, _: str, payload: dict[str, Any]) -> None:
        with self._lock:
            self._endings[payload["path"]] = payload

    def ending(self, path: str) -> dict[str, Any] | None:
        with self._lock:
            return self._endings.get(path)


class _Lab:
    """The network, the server behind it, and the one that takes its place."""

    def __init__(self, network: Relay, server: _Server, spare: _Server) -> None:
        self.network = network
        self.server = server
        self.goodbye = Conversation()
        self._spare = spare

    async def live(
        self, name: str, story: Story, path: str, token: str = LONG, origin: str = ORIGIN
    ) -> Life:
        """Connect, let happen what happens, and note how it ended."""
        if not self.server.child.alive:
            self.server = self._spare
            self.network.target(self._spare.url)
        began_s = time.monotonic()
        # The library's own pings find a silent network; see `_silent`.
        connecting = connect(
            f"ws://127.0.0.1:{self.network.port}{path}",
            origin=Origin(origin),
            additional_headers={"Authorization": f"Bearer {token}"} if token else {},
            compression=None,
            max_size=None,
            max_queue=1,
            ping_interval=0.2,
            ping_timeout=0.4,
            close_timeout=0.5,
            proxy=None,
        )
        try:
            connection = await connecting
        except InvalidStatus as exc:
            end_s = time.monotonic() - began_s
            return Life(
                name, exc.response.status_code, end_s, end_s, server="never had a connection"
            )
        open_s = time.monotonic() - began_s
        with anyio.move_on_after(LIFE_S) as patience:
            await story(self, connection)
            await connection.wait_closed()
        if patience.cancelled_caught:
            raise PeerError(f"{name!r} did not end within {LIFE_S:g} s")
        end_s = time.monotonic() - began_s
        self.network.silence(on=False)
        code = connection.close_code
        assert code is not None
        reason = connection.close_reason or ""
        return Life(name, 101, open_s, end_s, code, reason, await self._told(path))

    async def _told(self, path: str) -> str:
        """What the server knows, once it knows."""
        while (ending := self.server.ending(path)) is None:
            if not self.server.child.alive:
                return "is dead"
            await anyio.sleep(_LOOK_S)
        sent, heard = ending["sent"], ending["heard"]
        if heard is None:
            return f"sent {sent}, heard nothing" if sent else "heard nothing"
        return f"sent {sent}, heard {heard}"


async def _nothing(_: _Lab, __: ClientConnection) -> None:
    """The server acts, or does not let in."""


async def _goodbye(lab: _Lab, connection: ClientConnection) -> None:
    await connection.send("hello")
    await connection.recv()
    await connection.close()
    lab.goodbye = lab.network.conversations[-1]


async def _too_big(_: _Lab, connection: ClientConnection) -> None:
    await connection.send("x" * (MOST_MESSAGE_BYTES + 1))


async def _read_all(connection: ClientConnection) -> None:
    try:
        async for _ in connection:
            pass
    except ConnectionClosed:
        return


async def _too_slow(_: _Lab, connection: ClientConnection) -> None:
    """Reads nothing, until the server has decided; then reads on, to the close frame."""
    await asyncio.sleep(0.2)
    await _read_all(connection)


async def _silent(lab: _Lab, _: ClientConnection) -> None:
    lab.network.silence(on=True)


async def _asked_to_leave(lab: _Lab, _: ClientConnection) -> None:
    await anyio.to_thread.run_sync(lab.server.child.stop)


async def _killed(lab: _Lab, _: ClientConnection) -> None:
    await anyio.to_thread.run_sync(lab.server.child.kill)


_STORIES: Final[Sequence[tuple[Any, ...]]] = (
    ("no token", _nothing, "/1", ""),
    ("a foreign page", _nothing, "/2", LONG, "https://elsewhere.example"),
    ("goodbye", _goodbye, "/3"),
    ("the token ends", _nothing, "/4", SHORT),
    ("a message too big", _too_big, "/5"),
    ("too slow a reader", _too_slow, FLOOD),
    ("the network falls silent", _silent, "/7"),
    ("the server leaves", _asked_to_leave, "/8"),
    ("the server is killed", _killed, "/9"),
)


def _split(raw: bytes) -> tuple[list[str], bytes]:
    head, _, frames = raw.partition(b"\r\n\r\n")
    return head.decode().split("\r\n"), frames
