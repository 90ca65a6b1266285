"""The chat in plain blocking code, run unchanged by the lanes `threads` and `virtual`.

A subscriber holds its thread: on a platform thread each wait blocks it, and the pool bounds how many may
listen; a virtual one parks, and costs its stack.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from labcore.stores.event_log import Event, event_of
from labcore.virtual import World
from servers.chat_service import statements
from servers.chat_service.domain import Accepted, Change, NewMessage, Opening, Page
from servers.chat_service.entries import Entry
from servers.chat_service.rooms import READ_AT_ONCE, Session, Step

Latch = Callable[[], "Future[Any]"]


def send(world: World, new: NewMessage) -> Accepted | None:
    """Store the message, or find the place that its client id has; None if that is kept no more."""
    sending = statements.sending(new)
    row = world.database.fetch_one(statements.SEND, sending)
    if row is not None:
        return statements.first_sent(row, new)
    return statements.sent_before(world.database.fetch_one(statements.FIND_SENT, sending))


def history(world: World, page: Page) -> list[Event]:
    """A piece of a room's messages, oldest first."""
    return [event_of(row) for row in world.database.fetch_all(*statements.paging(page))]


def ack(world: World, room: str, member: str, up_to: int) -> int | None:
    """The member's acknowledgement from now on; None for an id that was never given."""
    values = {"room": room, "member": member, "up_to": up_to}
    row = world.database.fetch_one(statements.ACK, values)
    return None if row is None else int(row[0])


def enter(world: World, room: str, member: str) -> Opening:
    """What the member finds; the first visit acknowledges what was said before."""
    values = {"room": room, "member": member}
    return statements.opening(world.database.fetch_one(statements.ENTER, values))


def announce(world: World, change: Change) -> None:
    """Tell the room."""
    world.database.fetch_one(statements.ANNOUNCE, statements.announcing(change))


def stream(
    world: World, latch: Latch, session: Session, write: Callable[[Sequence[Entry]], None]
) -> None:
    """Serve a subscriber to its end. `latch` makes signals that this kind of thread can wait for."""
    while True:
        signal = latch()
        session.wake = partial(_give, signal)  # before the look: what comes after it wakes again
        look = session.look()
        if look.step is Step.READ:
            look = session.read(_after(world, session))
        if look.step is Step.END:
            return
        if look.step is Step.SEND:
            write(look.entries)
        elif not _given_within(signal, session.heartbeat_s):
            write(())


def _after(world: World, session: Session) -> list[Event]:
    values = {"stream": session.room.name, "after_id": session.after_id, "most": READ_AT_ONCE}
    return [event_of(row) for row in world.database.fetch_all(statements.READ, values)]


def _give(signal: "Future[Any]") -> None:
    if not signal.done():  # given from the event loop alone, so nobody comes between
        signal.set_result(None)


def _given_within(signal: "Future[Any]", patience_s: float) -> bool:
    try:
        signal.result(patience_s)
    except TimeoutError:
        return False
    return True
