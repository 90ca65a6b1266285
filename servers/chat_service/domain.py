"""Decisions of a chat: what a message is, where a stream begins, who is here. No I/O, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

MOST_TABS = 32  # of one member in one room
MOST_PRESENT = 10_000  # members of one room


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A message as its author sends it. `client_id` names it among the author's own."""

    room: str
    member: str
    client_id: str
    text: str
    published_ns: int  # monotonic

    @property
    def key(self) -> str:
        """What is stored once in a room; a member's name has no slash."""
        return f"{self.member}/{self.client_id}"


@dataclass(frozen=True, slots=True)
class Accepted:
    """A message's place in its room. `text` is what the first one said; `first` whether this was it."""

    id: int
    text: str
    first: bool


@dataclass(frozen=True, slots=True)
class Opening:
    """What a member finds on entering a room: its own acknowledgement, and the ids that are there."""

    acked: int
    first_id: int
    last_id: int

    def begin_after(self, last_id: int | None) -> int:
        """The id after which a stream begins.

        A client that names its last id goes on there. One that does not gets again whatever the member
        has not acknowledged: at least once. An id that was never given tells of another history, and
        begins where the member's acknowledgement does.
        """
        if last_id is None or last_id > self.last_id:
            return min(self.acked, self.last_id)
        return last_id


@dataclass(frozen=True, slots=True)
class Page:
    """A bounded piece of a room's history: before an id, newest first to be found; or after one."""

    room: str
    limit: int
    before: int | None = None
    after: int | None = None


class Slow(Enum):
    """What becomes of a subscriber that falls behind after it had caught up.

    Nothing is ever kept for it in memory: it has a place in the log, and reads on from there.
    """

    DISCONNECT = "disconnect"  # ends, and comes back with its last id
    DROP = "drop"  # skips to the newest, and is told which ids it missed


@dataclass(frozen=True, slots=True)
class Change:
    """Somebody came, or left."""

    room: str
    member: str
    present: bool


@dataclass(slots=True)
class Presence:
    """Who is here: tabs that beat, counted by member. Time comes with every call, in seconds.

    A member is here while one of its tabs has beaten within `patience_s`. Changes are returned, each once.
    """

    patience_s: float
    _rooms: dict[str, dict[str, dict[str, float]]] = field(default_factory=dict)

    def beat(self, room: str, member: str, *, tab: str, now_s: float) -> Change | None:
        """The tab lives; a change if the member was not here. A tab beyond the bound counts for nothing."""
        members = self._rooms.setdefault(room, {})
        came = member not in members
        if came and len(members) >= MOST_PRESENT:
            return None
        tabs = members.setdefault(member, {})
        if tab in tabs or len(tabs) < MOST_TABS:
            tabs[tab] = now_s + self.patience_s
        return Change(room, member, present=True) if came else None

    def leave(self, room: str, member: str, *, tab: str) -> Change | None:
        """The tab is closed; a change if it was the member's last."""
        tabs = self._rooms.get(room, {}).get(member, {})
        if tabs.pop(tab, None) is None or tabs:
            return None
        return self._gone(room, member)

    def expire(self, now_s: float) -> list[Change]:
        """Forget the tabs that have been silent for too long; who is gone with them."""
        gone = []
        for room, members in [*self._rooms.items()]:
            for member, tabs in [*members.items()]:
                for tab in [tab for tab, until_s in tabs.items() if until_s <= now_s]:
                    del tabs[tab]
                if not tabs:
                    gone.append(self._gone(room, member))
        return gone

    def here(self, room: str) -> list[str]:
        """The members of a room, sorted."""
        return sorted(self._rooms.get(room, {}))

    def gauges(self) -> Mapping[str, float]:
        """`present`, members in all rooms."""
        return {"present": sum(len(members) for members in [*self._rooms.values()])}

    def _gone(self, room: str, member: str) -> Change:
        members = self._rooms[room]
        del members[member]
        if not members:
            del self._rooms[room]
        return Change(room, member, present=False)
