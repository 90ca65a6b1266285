"""The chat in plain `async`/`await`: a subscriber is a task that looks, writes, and waits.

What differs from the reactive lane is the price of the operators; what it shares with it is asyncio.
"""

from dataclasses import dataclass

import anyio

from labcore.stores.event_log import Event, event_of
from labcore.virtual import AsyncDatabase
from servers.chat_service import statements
from servers.chat_service.domain import Accepted, Change, NewMessage, Opening, Page
from servers.chat_service.outlet import Write
from servers.chat_service.rooms import READ_AT_ONCE, Session, Step


@dataclass(frozen=True, slots=True)
class StructuredLane:
    """Handlers of the lane `structured`. Cancelling one cancels everything it started."""

    database: AsyncDatabase

    async def send(self, new: NewMessage) -> Accepted | None:
        """Store the message, or find the place that its client id has; None if that is kept no more."""
        sending = statements.sending(new)
        row = await self.database.fetch_one(statements.SEND, sending)
        if row is not None:
            return statements.first_sent(row, new)
        return statements.sent_before(await self.database.fetch_one(statements.FIND_SENT, sending))

    async def history(self, page: Page) -> list[Event]:
        """A piece of a room's messages, oldest first."""
        rows = await self.database.fetch_all(*statements.paging(page))
        return [event_of(row) for row in rows]

    async def ack(self, room: str, member: str, up_to: int) -> int | None:
        """The member's acknowledgement from now on; None for an id that was never given."""
        values = {"room": room, "member": member, "up_to": up_to}
        row = await self.database.fetch_one(statements.ACK, values)
        return None if row is None else int(row[0])

    async def enter(self, room: str, member: str) -> Opening:
        """What the member finds; the first visit acknowledges what was said before."""
        values = {"room": room, "member": member}
        return statements.opening(await self.database.fetch_one(statements.ENTER, values))

    async def announce(self, change: Change) -> None:
        """Tell the room."""
        await self.database.fetch_one(statements.ANNOUNCE, statements.announcing(change))

    async def stream(self, session: Session, write: Write) -> None:
        """Serve a subscriber to its end."""
        woken = _Woken()
        session.wake = woken.set
        while True:
            woken.clear()  # before the look: what comes after it wakes again
            look = session.look()
            if look.step is Step.READ:
                look = session.read(await self._after(session))
            if look.step is Step.END:
                return
            if look.step is Step.SEND:
                await write(look.entries)
            elif not await woken.within(session.heartbeat_s):
                await write(())

    async def _after(self, session: Session) -> list[Event]:
        values = {
            "stream": session.room.name,
            "after_id": session.after_id,
            "most": READ_AT_ONCE,
        }
        return [event_of(row) for row in await self.database.fetch_all(statements.READ, values)]


class _Woken:
    """A signal that is kept until it is cleared."""

    def __init__(self) -> None:
        self._event = anyio.Event()

    def set(self) -> None:
        self._event.set()

    def clear(self) -> None:
        if self._event.is_set():
            self._event = anyio.Event()

    async def within(self, patience_s: float) -> bool:
        with anyio.move_on_after(patience_s):
            await self._event.wait()
        return self._event.is_set()
