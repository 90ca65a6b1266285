"""The chat as pipelines: a subscriber is a stream of wake-ups, each of which brings what there is to write.

`switch_map` restarts the heartbeat at every wake-up, `on_backpressure_latest` makes one of those that
come while a write is held, and `concat_map` keeps the writes in order.
"""

from collections.abc import Sequence
from typing import LiteralString

from labcore.reactive import Flux, ManySink, Mono, Sinks
from labcore.stores.event_log import Event, event_of
from labcore.virtual import AsyncDatabase
from servers.chat_service import statements
from servers.chat_service.domain import Accepted, Change, NewMessage, Opening, Page
from servers.chat_service.entries import Entry
from servers.chat_service.outlet import Write
from servers.chat_service.rooms import READ_AT_ONCE, Look, Session, Step

SILENT = True  # a signal: nobody woke the subscriber for a heartbeat's time


class ReactiveLane:
    """Handlers of the lane `reactive`. Cancelling one cancels its pipeline and waits for the clean-up."""

    def __init__(self, database: AsyncDatabase) -> None:
        self._database = database

    async def send(self, new: NewMessage) -> Accepted | None:
        """Store the message, or find the place that its client id has; None if that is kept no more."""
        sending = statements.sending(new)
        return await self._one(statements.SEND, sending).flat_map(
            lambda row: (
                self._one(statements.FIND_SENT, sending).map(statements.sent_before)
                if row is None
                else Mono.just(statements.first_sent(row, new))
            )
        )

    async def history(self, page: Page) -> list[Event]:
        """A piece of a room's messages, oldest first."""
        return await self._events(*statements.paging(page))

    async def ack(self, room: str, member: str, up_to: int) -> int | None:
        """The member's acknowledgement from now on; None for an id that was never given."""
        values = {"room": room, "member": member, "up_to": up_to}
        row = await self._one(statements.ACK, values)
        return None if row is None else int(row[0])

    async def enter(self, room: str, member: str) -> Opening:
        """What the member finds; the first visit acknowledges what was said before."""
        values = {"room": room, "member": member}
        return await self._one(statements.ENTER, values).map(statements.opening)

    async def announce(self, change: Change) -> None:
        """Tell the room."""
        await self._one(statements.ANNOUNCE, statements.announcing(change))

    async def stream(self, session: Session, write: Write) -> None:
        """Serve a subscriber to its end."""
        wakes: ManySink[bool] = Sinks.many().unicast().on_backpressure_buffer()
        session.wake = lambda: wakes.try_emit_next(not SILENT)
        wakes.try_emit_next(not SILENT)
        await (
            wakes.as_flux()
            .switch_map(lambda woken: _and_silences(woken, session.heartbeat_s))
            .on_backpressure_latest()
            .concat_map(lambda silent: self._turns(session, write, silent=silent))
            .take_until(lambda look: look.step is Step.END)
            .then()
        )

    def _turns(self, session: Session, write: Write, *, silent: bool) -> Flux[Look]:
        """Look and write until there is nothing more; a silence without anything is a heartbeat."""
        turns = (
            self._turn(session, write).repeat().take_until(lambda look: look.step is not Step.SEND)
        )
        return _write((), write).then_many(turns) if silent else turns

    def _turn(self, session: Session, write: Write) -> Mono[Look]:
        return (
            Mono.from_callable(session.look)
            .flat_map(
                lambda look: self._read(session) if look.step is Step.READ else Mono.just(look)
            )
            .flat_map(lambda look: _written(look, write))
        )

    def _read(self, session: Session) -> Mono[Look]:
        values = {
            "stream": session.room.name,
            "after_id": session.after_id,
            "most": READ_AT_ONCE,
        }
        return self._events(statements.READ, values).map(session.read)

    def _events(self, statement: LiteralString, values: statements.Parameters) -> Mono[list[Event]]:
        return Mono.from_callable(lambda: self._database.fetch_all(statement, values)).map(
            lambda rows: [event_of(row) for row in rows]
        )

    def _one(
        self, statement: LiteralString, values: statements.Parameters
    ) -> Mono[statements.Row | None]:
        return Mono.from_callable(lambda: self._database.fetch_one(statement, values))


def _and_silences(woken: bool, heartbeat_s: float) -> Flux[bool]:
    return Flux.just(woken).concat_with(Flux.interval(heartbeat_s).map(lambda _: SILENT))


def _written(look: Look, write: Write) -> Mono[Look]:
    if look.step is not Step.SEND:
        return Mono.just(look)
    return _write(look.entries, write).map(lambda _: look)


def _write(entries: Sequence[Entry], write: Write) -> Mono[None]:
    return Mono.from_callable(lambda: write(entries))
