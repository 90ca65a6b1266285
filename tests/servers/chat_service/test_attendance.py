import anyio
import anyio.lowlevel
import pytest

from labcore.kernel import PeerError
from servers.chat_service.attendance import Attendance
from servers.chat_service.domain import Change

FAR_S = 1e12


class Room:
    """Hears what is announced, unless it is deaf."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, bool]] = []
        self.deaf = False

    async def announce(self, change: Change) -> None:
        """Hear, or raise PeerError."""
        await anyio.lowlevel.checkpoint()
        if self.deaf:
            raise PeerError("the database is lost")
        self.heard.append((change.member, change.present))


async def test_a_coming_that_nobody_learnt_of_is_announced_by_the_next_beat():
    room = Room()
    attendance = Attendance(10, room.announce)
    room.deaf = True
    with pytest.raises(PeerError):
        await attendance.beat("lobby", "ann", "a")
    assert attendance.presence.here("lobby") == []
    room.deaf = False
    assert await attendance.beat("lobby", "ann", "a") == ["ann"]
    assert room.heard == [("ann", True)]


async def test_a_leaving_that_nobody_learnt_of_can_be_repeated():
    room = Room()
    attendance = Attendance(10, room.announce)
    await attendance.beat("lobby", "ann", "a")
    room.deaf = True
    with pytest.raises(PeerError):
        await attendance.leave("lobby", "ann", "a")
    room.deaf = False
    assert await attendance.leave("lobby", "ann", "a") == []
    assert room.heard == [("ann", True), ("ann", False)]


async def test_silence_that_nobody_learnt_of_is_told_later():
    room = Room()
    attendance = Attendance(10, room.announce)
    await attendance.beat("lobby", "ann", "a")
    room.deaf = True
    await attendance.expire(FAR_S)
    assert attendance.presence.here("lobby") == ["ann"]
    room.deaf = False
    await attendance.expire(FAR_S)
    await attendance.expire(FAR_S)
    assert room.heard == [("ann", True), ("ann", False)]


async def test_a_caller_that_is_cancelled_does_not_keep_the_room_from_learning():
    room = Room()
    attendance = Attendance(10, room.announce)
    async with anyio.create_task_group() as group:
        group.start_soon(attendance.beat, "lobby", "ann", "a")
        await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()
    assert attendance.presence.here("lobby") == [member for member, _ in room.heard]
