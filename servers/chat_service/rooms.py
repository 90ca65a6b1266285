"""Rooms with listeners: the newest events of each, encoded once, and every subscriber's place in them.

A subscriber is an id. What lies within reach of the room's tail it takes from memory, what lies before it
from the log; so a subscriber that stops reading costs an integer, and one that returns after a week is
served as one that blinked. How a subscriber waits, and on what, is its lane's business.

Rooms and sessions are written on the event loop; `look` and `read` may run on the one thread that
serves the session.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from labcore.stores.event_log import Event
from servers.chat_service.contract import TRY_LATER
from servers.chat_service.domain import Slow
from servers.chat_service.entries import Entry, entry_of, gap

READ_AT_ONCE: Final = 500


class Step(Enum):
    """What a subscriber is to do next."""

    SEND = "send"  # the entries
    READ = "read"  # the log, after its place
    WAIT = "wait"  # for a wake-up
    END = "end"


@dataclass(frozen=True, slots=True)
class Look:
    """What a subscriber found."""

    step: Step
    entries: Sequence[Entry] = ()


WAIT: Final = Look(Step.WAIT)
READ: Final = Look(Step.READ)
END: Final = Look(Step.END)


def no_one() -> None:
    """Nobody is to be told yet."""


class Room:
    """The newest events of a room, and who listens."""

    def __init__(self, name: str, *, last_id: int, most: int) -> None:
        self.name = name
        self.last_id = last_id
        self.sessions: set[Session] = set()
        self._tail: deque[Entry] = deque(maxlen=most)
        self._lock = threading.Lock()  # sessions of platform threads look while the loop extends

    def extend(self, events: Sequence[Event]) -> None:
        """More events, in order, right after the last; everybody is woken."""
        entries = [entry_of(event) for event in events]
        with self._lock:
            self._tail.extend(entries)
            self.last_id = entries[-1].id
        for session in tuple(self.sessions):
            session.grown()

    def after(self, last_id: int) -> list[Entry] | None:
        """What follows in memory; None where that does not reach back so far."""
        with self._lock:
            missing = self.last_id - last_id
            if missing > len(self._tail):
                return None
            return [self._tail[-place] for place in range(missing, 0, -1)]


class Session:
    """One subscriber: its place, and how it ends.

    Args:
        room: where.
        after_id: the last id that it knows.
        slow: what becomes of it when it is `most_behind` events behind after it had caught up.
        heartbeat_s: how long it may be silent.
    """

    def __init__(
        self, room: Room, *, after_id: int, slow: Slow, most_behind: int, heartbeat_s: float
    ) -> None:
        self.room = room
        self.after_id = after_id
        self.heartbeat_s = heartbeat_s
        self.wake: Callable[[], object] = no_one  # the lane's
        self.on_end: Callable[[], object] = no_one  # the outlet's
        self.reason: int | None = None  # a close code once it is to end
        self.behind = False  # ended for being slow
        self._slow = slow
        self._most_behind = most_behind
        self._caught_up = False

    def look(self) -> Look:
        """What there is to do; the entries it gives are the subscriber's from then on."""
        if self.reason is not None:
            return END
        if self.after_id >= self.room.last_id:
            self._caught_up = True
            return WAIT
        if self._overtaken:
            return self._sent([gap(self.after_id + 1, self.room.last_id)])
        entries = self.room.after(self.after_id)
        if entries is None:
            return READ
        return self._sent(entries)

    def read(self, events: Sequence[Event]) -> Look:
        """What the log gave after this subscriber's place; what is missing there is gone, and told."""
        found = [entry_of(event) for event in events]
        first = found[0].id if found else self.room.last_id + 1
        if first > self.after_id + 1:
            found.insert(0, gap(self.after_id + 1, first - 1))
        return self._sent(found)

    def grown(self) -> None:
        """There is more. One that may not fall so far behind ends, even while its write is held."""
        if self._overtaken and self._slow is Slow.DISCONNECT:
            self.behind = True
            self.end(TRY_LATER)
        else:
            self.wake()

    def end(self, reason: int) -> None:
        """No more; the first reason counts."""
        if self.reason is None:
            self.reason = reason
            self.wake()
            self.on_end()

    @property
    def _overtaken(self) -> bool:
        return self._caught_up and self.room.last_id - self.after_id > self._most_behind

    def _sent(self, entries: Sequence[Entry]) -> Look:
        if entries:
            self.after_id = entries[-1].id
        return Look(Step.SEND, entries)
