import json

from servers.chat_service import SCENARIO
from servers.chat_service.contract import read_message
from servers.chat_service.workload import ChatWorkload, audience

WORKLOAD = ChatWorkload()


def test_the_same_seed_makes_the_same_requests():
    first = WORKLOAD.requests(seed=1, count=60, parameters={"rooms": 3})
    assert first[:20] == WORKLOAD.requests(seed=1, count=20, parameters={"rooms": 3})
    assert first != WORKLOAD.requests(seed=2, count=60, parameters={"rooms": 3})


def test_every_request_is_a_valid_message_of_its_own_to_one_of_the_rooms():
    requests = WORKLOAD.requests(seed=1, count=200, parameters={"rooms": 3})
    seen = set()
    for request in requests:
        new = read_message(json.loads(request.body), room="r", member="m", published_ns=0)
        seen.add(new.client_id)
    assert len(seen) == 200
    assert {request.path for request in requests} == {f"/rooms/room-{n}/messages" for n in range(3)}


def test_nobody_listens_unless_told():
    assert audience("http://x", SCENARIO.values()) is None
    heard = audience("http://x", SCENARIO.values({"subscribers": 3, "audience_socket": True}))
    assert heard is not None
    assert (heard.subscribers, heard.kind) == (3, "websocket")
    assert "lab." not in repr(heard)


def test_statuses_have_their_words():
    assert [WORKLOAD.outcome(status) for status in (200, 201, 401, 500)] == [
        "ok",
        "ok",
        "unauthenticated",
        "failed",
    ]
