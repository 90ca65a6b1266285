import json

from labcore.stores.event_log import Event
from servers.chat_service.contract import GOING_AWAY, TOKEN_ENDED
from servers.chat_service.domain import Slow
from servers.chat_service.rooms import Look, Room, Session, Step


def events(first: int, last: int) -> list[Event]:
    return [
        Event(number, "message", "", "lobby", {"n": number}, 0.0)
        for number in range(first, last + 1)
    ]


def session(room: Room, after_id: int, slow: Slow = Slow.DISCONNECT) -> Session:
    listening = Session(room, after_id=after_id, slow=slow, most_behind=5, heartbeat_s=1)
    room.sessions.add(listening)
    return listening


def ids(look: Look) -> list[int]:
    return [entry.id for entry in look.entries]


def test_what_is_near_comes_from_memory_and_what_is_far_from_the_log():
    room = Room("lobby", last_id=10, most=3)
    near, far = session(room, 11), session(room, 4)
    room.extend(events(11, 14))
    assert ids(near.look()) == [12, 13, 14]
    assert near.look().step is Step.WAIT
    assert far.look().step is Step.READ
    assert ids(far.read(events(5, 12))) == [*range(5, 13)]
    assert ids(far.look()) == [13, 14]


def test_one_that_returns_from_far_is_not_slow():
    room = Room("lobby", last_id=1_000, most=3)
    far = session(room, 0)
    assert far.look().step is Step.READ
    assert far.reason is None


def test_what_the_log_has_lost_is_told():
    room = Room("lobby", last_id=10, most=3)
    listening = session(room, 2)
    look = listening.read(events(6, 10))
    assert json.loads(look.entries[0].text) == {"type": "gap", "from": 3, "to": 5}
    assert b"id: 5\n" in look.entries[0].sse
    assert ids(look) == [5, 6, 7, 8, 9, 10]


def test_a_log_that_lost_everything_is_told_and_not_read_for_ever():
    room = Room("lobby", last_id=10, most=3)
    listening = session(room, 2)
    assert ids(listening.read([])) == [10]
    assert listening.look().step is Step.WAIT


def test_a_slow_one_is_disconnected_or_skips():
    room = Room("lobby", last_id=0, most=100)
    ends, skips = session(room, 0), session(room, 0, Slow.DROP)
    for each in (ends, skips):
        assert each.look().step is Step.WAIT
    room.extend(events(1, 5))
    room.extend(events(6, 6))
    assert ends.look().step is Step.END
    assert ends.behind
    assert json.loads(skips.look().entries[0].text) == {"type": "gap", "from": 1, "to": 6}
    room.extend(events(7, 7))
    assert ids(skips.look()) == [7]


def test_the_first_reason_counts_and_wakes():
    room, woken = Room("lobby", last_id=0, most=3), []
    listening = session(room, 0)
    listening.wake = lambda: woken.append("lane")
    listening.on_end = lambda: woken.append("outlet")
    listening.end(TOKEN_ENDED)
    listening.end(GOING_AWAY)
    assert listening.reason == TOKEN_ENDED
    assert woken == ["lane", "outlet"]
    assert listening.look().step is Step.END
