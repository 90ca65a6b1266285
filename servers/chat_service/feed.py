"""Follows the log of every room that somebody listens to, once for all of its subscribers."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

import anyio
from anyio.abc import TaskGroup, TaskStatus

from labcore.kernel import LabError
from labcore.stores import AsyncDatabase, event_log
from servers.chat_service.contract import GOING_AWAY, TRY_LATER
from servers.chat_service.rooms import Room, Session

_log = logging.getLogger(__name__)


class Feed:
    """The rooms with listeners. Runs on one event loop."""

    def __init__(
        self, database: AsyncDatabase, tail: event_log.Tail, group: TaskGroup, *, recent: int
    ) -> None:
        self._database = database
        self._tail = tail
        self._group = group
        self._recent = recent
        self._rooms: dict[str, tuple[Room, anyio.CancelScope]] = {}
        self._held: dict[str, int] = {}
        self._opening = anyio.Lock()
        self._left = anyio.Event()
        self._ended = False
        self.slow_total = 0

    @asynccontextmanager
    async def room(self, name: str) -> AsyncIterator[Room]:
        """The room, followed for as long as somebody is within such a block.

        Raises: PeerError when the database is lost.
        """
        self._held[name] = self._held.get(name, 0) + 1
        try:
            async with self._opening:
                if name not in self._rooms:
                    room = Room(name, last_id=await self._last_id(name), most=self._recent)
                    self._rooms[name] = room, await self._group.start(self._follow, room)
            yield self._rooms[name][0]
        finally:
            self._held[name] -= 1
            if not self._held[name]:
                del self._held[name]
                _, following = self._rooms.pop(name, (None, anyio.CancelScope()))
                following.cancel()

    def enter(self, session: Session) -> None:
        """The session is woken from now on; at once, and for the last time, when all are ending."""
        session.room.sessions.add(session)
        if self._ended:
            session.end(GOING_AWAY)

    def leave(self, session: Session) -> None:
        """The session is over."""
        self.slow_total += session.behind
        session.room.sessions.discard(session)
        self._left.set()

    async def end(self) -> None:
        """End every session, let no more begin, and return when all have left."""
        self._ended = True
        while sessions := self._sessions():
            self._left = anyio.Event()
            for session in sessions:
                session.end(GOING_AWAY)
            await self._left.wait()

    def gauges(self) -> Mapping[str, float]:
        """Rooms followed, sessions, how far the last of them is behind, and how many were too slow."""
        behind = [each.room.last_id - each.after_id for each in self._sessions()]
        return {
            "rooms": len(self._rooms),
            "subscribers": len(behind),
            "backlog_longest": max(behind, default=0),
            "disconnected_slow_total": self.slow_total,
        }

    def _sessions(self) -> list[Session]:
        rooms = tuple(self._rooms.values())
        return [session for room, _ in rooms for session in tuple(room.sessions)]

    async def _last_id(self, name: str) -> int:
        return (await event_log.span(self._database, name)).last_id

    async def _follow(self, room: Room, *, task_status: TaskStatus[anyio.CancelScope]) -> None:
        with anyio.CancelScope() as scope:
            task_status.started(scope)
            try:
                following = event_log.follow(
                    self._database, self._tail, room.name, after_id=room.last_id
                )
                async with aclosing(following) as batches:
                    async for events in batches:
                        room.extend(events)
            except LabError as exc:  # its subscribers come back with their last ids
                _log.warning("room %s is no longer followed: %s", room.name, exc)
                if self._rooms.get(room.name, (None,))[0] is room:
                    del self._rooms[room.name]
                for session in tuple(room.sessions):
                    session.end(TRY_LATER)
