"""Presence kept and announced: one task expires the silent, and each change is told in its order."""

import logging
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio

from labcore.kernel import LabError
from labcore.stores import AsyncDatabase
from servers.chat_service import statements
from servers.chat_service.domain import Change, Presence

ABSENT: Final = "/absent"  # stands for tabs of whom nobody knows; no client can name one so

_log = logging.getLogger(__name__)

Announce = Callable[[Change], Awaitable[None]]


class Attendance:
    """Who is here, and the announcements. Runs on one event loop."""

    def __init__(self, patience_s: float, announce: Announce) -> None:
        self.presence = Presence(patience_s)
        self._patience_s = patience_s
        self._announce = announce
        self._turn = anyio.Lock()  # changes are announced in the order in which they happened

    async def beat(self, room: str, member: str, tab: str) -> list[str]:
        """The tab lives; who is here. Raises: PeerError, RefusedError when nobody could be told."""
        async with self._turn:
            change = self.presence.beat(room, member, tab=tab, now_s=time.monotonic())
            await self._tell(change, tab)
        return self.presence.here(room)

    async def leave(self, room: str, member: str, tab: str) -> list[str]:
        """The tab is closed; who is here. Raises: PeerError, RefusedError when nobody could be told."""
        async with self._turn:
            await self._tell(self.presence.leave(room, member, tab=tab), tab)
        return self.presence.here(room)

    async def recall(self, database: AsyncDatabase) -> None:
        """Who was here when the last server died gets a heartbeat's time to come back."""
        for room, key in await database.fetch_all(statements.STILL_PRESENT):
            member = key.removesuffix("/")
            self.presence.beat(room, member, tab=ABSENT, now_s=time.monotonic())

    async def keep(self) -> None:
        """Expire the silent, for ever."""
        while True:
            await anyio.sleep(self._patience_s / 4)
            async with self._turn:
                await self.expire(time.monotonic())

    async def expire(self, now_s: float) -> None:
        """Forget who has been silent for too long, and tell; what cannot be told now is told later."""
        for change in self.presence.expire(now_s):
            try:
                await self._tell(change, ABSENT)
            except LabError as exc:
                _log.warning("nobody was told that a member left: %s", exc)

    async def _tell(self, change: Change | None, tab: str) -> None:
        """Tell the room; a change that it does not learn of has not happened."""
        if change is None:
            return
        room, member = change.room, change.member
        with anyio.CancelScope(shield=True):
            try:
                await self._announce(change)
            except LabError:
                if change.present:
                    self.presence.leave(room, member, tab=tab)
                else:
                    self.presence.beat(room, member, tab=tab, now_s=time.monotonic())
                raise
