"""The life of one WebSocket as a table: no clock, no socket, no frame parser.

    CONNECTING ── opened ──▶ OPEN ── close asked, close heard, too big ──▶ CLOSING ──▶ CLOSED
         └── refused, late, lost ──────── silent, stalled, lost ─────────────────────────┘

It decides when to ping, when a peer is dead, when a close handshake has taken long enough, and which
code a connection ends with. Frames, masks and UTF-8 are the engine's; time is handed in.

Source: RFC 6455, sections 5.5 (control frames), 7 (closing the connection).
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import Enum
from typing import Final

from labcore.kernel import UsageError
from labcore.protocols.websocket import codes

Acts = tuple["Act", ...]


class State(Enum):
    """Where a connection stands; names and numbers as in a browser's `readyState`."""

    CONNECTING = 0
    OPEN = 1
    CLOSING = 2
    CLOSED = 3


class Role(Enum):
    """Whose end it is: the server closes TCP first, the client waits for that."""

    SERVER = "server"
    CLIENT = "client"


class Event(Enum):
    """What can happen to a connection."""

    OPENED = "opened"  # the handshake succeeded
    REFUSED = "refused"  # the handshake did not
    HEARD = "heard"  # any frame, a pong among them: the peer lives
    PING_DUE = "ping due"
    TOO_BIG = "too big"  # a message beyond the limit
    CLOSE_ASKED = "close asked"  # our side wants to end
    CLOSE_HEARD = "close heard"  # the peer's close frame
    LATE = "late"  # the handshake that opens, or the one that closes, took too long
    SILENT = "silent"  # a ping was not answered in time
    STALLED = "stalled"  # the peer does not take what is sent
    LOST = "lost"  # the transport is gone


class Act(Enum):
    """What the owner of the socket has to do, in the order given."""

    PING = "ping"
    CLOSE = "close"  # send a close frame with `code` and `reason`
    CUT = "cut"  # close the transport, without waiting for anything


_IN_LIFE: Final = (Event.HEARD, Event.PING_DUE, Event.TOO_BIG, Event.CLOSE_ASKED)
_COMMON: Final[Mapping[tuple[State, Event], tuple[State, Acts]]] = {
    (State.CONNECTING, Event.OPENED): (State.OPEN, ()),
    (State.CONNECTING, Event.REFUSED): (State.CLOSED, (Act.CUT,)),
    (State.CONNECTING, Event.CLOSE_ASKED): (State.CLOSED, (Act.CUT,)),
    (State.CONNECTING, Event.LATE): (State.CLOSED, (Act.CUT,)),
    (State.CONNECTING, Event.LOST): (State.CLOSED, ()),
    (State.OPEN, Event.HEARD): (State.OPEN, ()),
    (State.OPEN, Event.PING_DUE): (State.OPEN, (Act.PING,)),
    (State.OPEN, Event.TOO_BIG): (State.CLOSING, (Act.CLOSE,)),
    (State.OPEN, Event.CLOSE_ASKED): (State.CLOSING, (Act.CLOSE,)),
    # Nobody is there to answer: the frame is a courtesy to one who comes back to life.
    (State.OPEN, Event.SILENT): (State.CLOSED, (Act.CLOSE, Act.CUT)),
    # A close frame would only queue behind what the peer does not read.
    (State.OPEN, Event.STALLED): (State.CLOSED, (Act.CUT,)),
    (State.OPEN, Event.LOST): (State.CLOSED, ()),
    **{(State.CLOSING, event): (State.CLOSING, ()) for event in _IN_LIFE},
    (State.CLOSING, Event.LATE): (State.CLOSED, (Act.CUT,)),
    (State.CLOSING, Event.STALLED): (State.CLOSED, (Act.CUT,)),
    (State.CLOSING, Event.LOST): (State.CLOSED, ()),
    **{(State.CLOSED, event): (State.CLOSED, ()) for event in Event},
}
TRANSITIONS: Final[Mapping[Role, Mapping[tuple[State, Event], tuple[State, Acts]]]] = {
    Role.SERVER: {
        **_COMMON,
        (State.OPEN, Event.CLOSE_HEARD): (State.CLOSED, (Act.CLOSE, Act.CUT)),
        (State.CLOSING, Event.CLOSE_HEARD): (State.CLOSED, (Act.CUT,)),
    },
    Role.CLIENT: {
        **_COMMON,
        (State.OPEN, Event.CLOSE_HEARD): (State.CLOSING, (Act.CLOSE,)),
        (State.CLOSING, Event.CLOSE_HEARD): (State.CLOSING, ()),
    },
}
"""By role, state and event: the next state, and what to do. What is missing cannot happen."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how much. Seconds, bytes; None: no such limit.

    Raises: UsageError for a limit that is not positive.
    """

    open_within_s: float = 10.0
    ping_every_s: float | None = 20.0  # of our silence; proxies cut after 30 to 120
    pong_within_s: float | None = 20.0
    stall_within_s: float = 10.0
    close_within_s: float = 5.0
    most_message_bytes: int = 1024 * 1024

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for field in fields(self):
            value = getattr(self, field.name)
            if value is not None and not value > 0:
                raise UsageError(f"{field.name}={value} must be above 0")


class Lifecycle:
    """One connection's state, deadlines and end.

    Every method says what happened, at what monotonic `now_s`, and returns what to do about it.
    `due_s` is when to call `tick` next. `code` and `reason` are those of the close frame that was sent
    or heard first; `clean` says whether both sides gave one.

    >>> life = Lifecycle(Role.SERVER, now_s=0.0)
    >>> life.opened(now_s=0.1), life.close(1001, now_s=5.0), life.state
    ((), (<Act.CLOSE: 'close'>,), <State.CLOSING: 2>)
    """

    def __init__(self, role: Role, limits: Limits | None = None, *, now_s: float) -> None:
        self.state = State.CONNECTING
        self.code = codes.LOST
        self.reason = ""
        self.clean = False
        self._table = TRANSITIONS[role]
        self._limits = limits or Limits()
        self._late_s: float | None = now_s + self._limits.open_within_s
        self._ping_s: float | None = None
        self._pong_s: float | None = None
        self._stall_s: float | None = None

    @property
    def due_s(self) -> float | None:
        """When `tick` has something to do, if nothing else happens; None: never."""
        deadlines = (self._late_s, self._ping_s, self._pong_s, self._stall_s)
        return min((each for each in deadlines if each is not None), default=None)

    def opened(self, *, now_s: float) -> Acts:
        """The handshake is done. Raises: UsageError when it was before."""
        acts = self._enter(Event.OPENED)
        if self.state is State.OPEN:
            self._late_s = None
            self._expect_ping(now_s)
        return acts

    def refused(self) -> Acts:
        """The handshake failed. Raises: UsageError when it had succeeded."""
        return self._enter(Event.REFUSED)

    def heard(self, *, size_bytes: int = 0, now_s: float) -> Acts:
        """A frame came, a pong or part of a message of that size so far.

        Any frame proves that the peer lives, as a pong does.
        """
        self._pong_s = None
        if size_bytes > self._limits.most_message_bytes and self.state is State.OPEN:
            self._decide(codes.TOO_BIG, f"at most {self._limits.most_message_bytes} bytes")
            return self._closing(Event.TOO_BIG, now_s)
        return self._enter(Event.HEARD)

    def said(self, *, now_s: float) -> None:
        """We sent something: no proxy takes the connection for idle, so the next ping may wait."""
        if self.state is State.OPEN and self._pong_s is None:
            self._expect_ping(now_s)

    def held(self, *, now_s: float) -> None:
        """A write waits for the peer to read."""
        if self.state in {State.OPEN, State.CLOSING} and self._stall_s is None:
            self._stall_s = now_s + self._limits.stall_within_s

    def freed(self) -> None:
        """The peer reads again."""
        self._stall_s = None

    def close(self, code: int = codes.NORMAL, reason: str = "", *, now_s: float) -> Acts:
        """Our side wants to end; once is enough.

        Raises: UsageError for a code or reason that no close frame may carry.
        """
        codes.check_close(code, reason)
        if self.state in {State.CONNECTING, State.OPEN}:
            self._decide(code, reason)
        return self._closing(Event.CLOSE_ASKED, now_s)

    def close_heard(self, code: int | None = None, reason: str = "", *, now_s: float) -> Acts:
        """The peer's close frame; without a code it counts as 1005. What may not be sent is answered 1002."""
        if self.state is State.OPEN:
            if code is None or codes.is_sendable(code):
                self._decide(codes.NO_CODE if code is None else code, reason)
            else:
                self._decide(codes.PROTOCOL_ERROR, f"close code {code}")
        self.clean = self.state in {State.OPEN, State.CLOSING}
        return self._closing(Event.CLOSE_HEARD, now_s)

    def lost(self) -> Acts:
        """The transport is gone."""
        return self._enter(Event.LOST)

    def tick(self, *, now_s: float) -> Acts:
        """See what is overdue; to be called at `due_s`."""
        if _passed(self._late_s, now_s):
            return self._enter(Event.LATE)
        if _passed(self._stall_s, now_s):
            if self.state is State.OPEN:
                self._decide(codes.TRY_LATER, "reads too slowly")
            return self._enter(Event.STALLED)
        if _passed(self._pong_s, now_s):
            self._decide(codes.SERVER_ERROR, "no answer to a ping")
            return self._enter(Event.SILENT)
        if _passed(self._ping_s, now_s):
            if self._limits.pong_within_s is not None and self._pong_s is None:
                self._pong_s = now_s + self._limits.pong_within_s
            self._expect_ping(now_s)
            return self._enter(Event.PING_DUE)
        return ()

    def _closing(self, event: Event, now_s: float) -> Acts:
        before = self.state
        acts = self._enter(event)
        if self.state is State.CLOSING and before is State.OPEN:
            self._late_s = now_s + self._limits.close_within_s
        return acts

    def _decide(self, code: int, reason: str) -> None:
        self.code, self.reason = code, reason

    def _expect_ping(self, now_s: float) -> None:
        every_s = self._limits.ping_every_s
        self._ping_s = None if every_s is None else now_s + every_s

    def _enter(self, event: Event) -> Acts:
        found = self._table.get((self.state, event))
        if found is None:
            raise UsageError(
                f"{event.value!r} cannot happen to a connection that is {self.state.name}"
            )
        self.state, acts = found
        if self.state is not State.OPEN:
            self._ping_s = self._pong_s = None
        if self.state is State.CLOSED:
            self._late_s = self._stall_s = None
        return acts


def _passed(deadline_s: float | None, now_s: float) -> bool:
    return deadline_s is not None and now_s >= deadline_s
