"""What cannot be judged from outside alone: an orderly end, lost history, slow readers, full houses."""

import asyncio
import socket as sockets
from contextlib import ExitStack
from threading import Thread
from urllib.parse import urlsplit

import pytest

from labcore.lanes import Deployment
from labcore.stores import AsyncDatabase, event_log
from servers.chat_service.contract import GOING_AWAY, TRY_LATER
from servers.chat_service.visitor import (
    KINDS,
    Member,
    SocketListener,
    Visitors,
    at_once,
    conversation,
    drained,
    happened,
    until,
)


def retained(url: str | None, room: str, keep: int) -> None:
    assert url is not None

    async def retain() -> None:
        async with AsyncDatabase(url, size=1) as database:
            await event_log.retain(database, room, keep=keep)

    asyncio.run(retain())


def deaf(member: Member, room: str) -> sockets.socket:
    """A connection that asks for a stream and reads nothing."""
    place = urlsplit(member.site.url)
    connection = sockets.socket()
    connection.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    connection.connect((place.hostname, place.port))
    head = (
        f"GET /rooms/{room}/events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {member.token}\r\n"
    )
    connection.sendall(head.encode() + b"\r\n")
    return connection


@pytest.mark.timeout(40)  # a reader is slow when buffers of megabytes are full
def test_a_house_tells_gaps_turns_away_drops_the_slow_and_closes_in_order(deployment: Deployment):
    """One test, for each needs the house to be empty, and the last stops the server."""
    site = deployment.site()
    with Visitors(site) as visitors, ExitStack() as stack:
        ann = visitors.member()
        _a_gap_is_told(site.database_url, ann)
        _who_reads_nothing_delays_nobody(visitors, ann)
        _a_full_house_asks_to_come_later(visitors, ann)
        _the_end_is_told(deployment, ann, stack)


def _a_gap_is_told(url: str | None, ann: Member) -> None:
    for _ in range(30):
        ann.said("archive")
    retained(url, "archive", keep=4)
    for kind in KINDS:
        with ann.listen("archive", kind, last_id=20) as listener:
            first, *rest = happened(listener, 5)
            assert first == {"type": "gap", "from": 21, "to": 26}
            assert [event["id"] for event in rest] == [27, 28, 29, 30]
    again = ann.send("archive", "x", client_id="new")
    assert again.status_code == 201


def _who_reads_nothing_delays_nobody(visitors: Visitors, ann: Member) -> None:
    before = visitors.stats()["disconnected_slow_total"]
    with deaf(ann, "loud"), ann.listen("loud", "sse") as listener:
        until(lambda: visitors.stats()["streams"] == 2, "two streams")
        text, heard = "\N{PARTY POPPER}" * 4_000, 0  # 48 kB as JSON
        while visitors.stats()["disconnected_slow_total"] == before:
            at_once(16, lambda _: ann.said("loud", text))
            happened(listener, 16)
            heard += 16
            assert heard < 1_600, "the deaf reader was never too slow"
        until(lambda: visitors.stats()["streams"] == 1, "the one that reads")
    until(lambda: visitors.stats()["streams"] == 0, "no stream")


def _a_full_house_asks_to_come_later(visitors: Visitors, ann: Member) -> None:
    with ExitStack() as stack:
        for _ in range(6):
            stack.enter_context(ann.listen("full", "sse"))
        until(lambda: visitors.stats()["streams"] == 6, "six streams")
        reply = ann.ask("GET", "/rooms/full/events")
        assert (reply.status_code, "retry: 30000\n" in reply.text) == (200, True)
        with pytest.raises(AssertionError, match=str(TRY_LATER)), conversation(ann, "full"):
            pass
    until(lambda: visitors.stats()["streams"] == 0, "no stream")


def _the_end_is_told(deployment: Deployment, ann: Member, stack: ExitStack) -> None:
    listening = [stack.enter_context(ann.listen("lobby", kind)) for kind in KINDS]
    ann.said("lobby")
    for listener in listening:
        happened(listener, 1)
    assert deployment.server is not None
    stopping = Thread(target=deployment.server.stop)
    stopping.start()
    for listener in listening:
        assert drained(listener) == []
    stopping.join()
    (socket,) = [each for each in listening if isinstance(each, SocketListener)]
    assert socket.closed == GOING_AWAY
