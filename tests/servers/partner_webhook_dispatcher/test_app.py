import json
import random
import threading
import time
from collections import Counter
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from servers.partner_webhook_dispatcher import SCENARIO, contract

LANES = [lane.name for lane in SCENARIO.lanes]


def test_a_stranger_verifies_what_is_delivered_and_every_attempt_is_on_record(
    start: Any, endpoint: Any
):
    dispatcher = start()
    secret = dispatcher.register("judge", f"{endpoint.url}/judge", types=["judged"])["secret"]
    dispatcher.register("down", f"{endpoint.url}/down", types=["judged"], retry={"attempts": 3})
    endpoint.answer = lambda received: (503 if received.path == "/down" else 204, {})
    order = {"type": "judged", "data": {"amount": 1}}
    ended = dispatcher.http.post("/events", json=order, headers={"Prefer": "wait=9"}).json()
    assert ended["ended"] == ended["deliveries"] == 2
    down, judge = dispatcher.deliveries(event := ended["id"])
    assert (judge["status"], judge["attempts"]) == ("delivered", 1)
    assert (down["status"], down["attempts"]) == ("dead", 3)
    assert down["reason"] == "gave up after 3 attempts; the last: status 503"
    assert {received.id for received in endpoint.received} == {event}
    (sent,) = [each for each in endpoint.received if each.path == "/judge"]
    assert Webhook(secret).verify(sent.body, dict(sent.headers))["data"] == {"amount": 1}
    log = dispatcher.http.get(f"/deliveries/{down['id']}").json()["attempt_log"]
    assert [(each["attempt"], each["status"]) for each in log] == [(1, 503), (2, 503), (3, 503)]


def test_a_key_seen_before_is_the_same_event_and_a_different_one_under_it_is_refused(
    start: Any, endpoint: Any
):
    http = start().http
    order = {"type": "order.paid.g000", "data": {"order": 1}}
    first, again, other = (
        http.post("/events", json=body, headers={"Idempotency-Key": "once"})
        for body in (order, order, {**order, "data": {"order": 2}})
    )
    assert first.json() == again.json()
    assert first.json()["deliveries"] == 1
    assert (other.status_code, other.json()["field"]) == (422, "Idempotency-Key")
    endpoint.wait(1)


def test_a_publisher_who_waits_is_answered_when_all_has_ended_or_his_patience_has(
    start: Any, endpoint: Any
):
    http = start(partners=2, fanout=2, retry_base_ms=9_000.0, retry_ceiling_ms=9_000.0).http
    event, prefer = {"type": "order.paid.g000", "data": {}}, {"Prefer": "respond-async, wait=10"}
    done = http.post("/events", json=event, headers=prefer)
    assert (done.status_code, done.json()["ended"]) == (200, 2)
    endpoint.answer = lambda _: (500, {})
    early = http.post("/events", json=event, headers={"Prefer": "wait=1"})
    assert (early.status_code, early.json()["ended"]) == (202, 0)


def test_while_a_secret_rotates_both_sign_and_then_only_the_new_one(start: Any, endpoint: Any):
    dispatcher = start()
    url = f"{endpoint.url}/judge"
    old = dispatcher.register("judge", url, types=["judged"])["secret"]
    rotate = "/partners/judge/rotate"
    new = dispatcher.http.post(rotate, json={"overlap_s": 600}).json()["secret"]
    dispatcher.settled(dispatcher.publish("judged"))
    newest = dispatcher.http.post(rotate, json={"overlap_s": 0}).json()["secret"]
    dispatcher.settled(dispatcher.publish("judged"))
    rotating, after = endpoint.wait(2)
    Webhook(old).verify(rotating.body, dict(rotating.headers))
    Webhook(new).verify(rotating.body, dict(rotating.headers))
    Webhook(newest).verify(after.body, dict(after.headers))
    for ended in (old, new):
        with pytest.raises(WebhookVerificationError):
            Webhook(ended).verify(after.body, dict(after.headers))


def test_a_410_ends_the_endpoint_and_buries_what_waits_for_it(start: Any, endpoint: Any):
    dispatcher = start()
    dispatcher.register("left", f"{endpoint.url}/left", types=["a"], ordered=True)
    held = threading.Event()
    endpoint.answer = lambda _: (410 if held.wait(10) else 500, {})
    first, second = dispatcher.publish("a"), dispatcher.publish("a")
    held.set()
    for event in (first, second):
        assert [each["reason"] for each in dispatcher.settled(event)] == [
            "the endpoint is gone (410)"
        ]
    assert dispatcher.http.get("/partners/left").json()["state"] == "gone"
    assert dispatcher.deliveries(dispatcher.publish("a")) == []
    assert len(endpoint.received) == 1
    dispatcher.http.post("/partners/left/enable").raise_for_status()
    endpoint.answer = lambda _: (200, {})
    assert dispatcher.http.post("/partners/left/replay").json() == {"replayed": 2}
    assert dispatcher.settled(second)[0]["status"] == "delivered"


def test_an_endpoint_that_only_fails_is_disabled_and_a_probe_that_succeeds_enables_it(
    start: Any, endpoint: Any
):
    dispatcher = start(disable_after_failures=3, disable_after_s=0, probe_s=0.3, attempts=100)

    def state() -> Any:
        return dispatcher.http.get("/partners/partner-000").json()["state"]

    endpoint.answer = lambda _: (500, {})
    event = dispatcher.publish()
    dispatcher.until(state, lambda seen: seen == "disabled")
    endpoint.answer = lambda _: (200, {})
    assert dispatcher.settled(event)[0]["status"] == "delivered"
    assert state() == "enabled"


def test_what_waits_too_long_for_a_disabled_endpoint_is_a_dead_letter(start: Any, endpoint: Any):
    dispatcher = start(
        disable_after_failures=1, disable_after_s=0, probe_s=600, give_up_s=0, attempts=100
    )
    endpoint.answer = lambda _: (500, {})
    (delivery,) = dispatcher.settled(dispatcher.publish())
    assert delivery["reason"] == "the endpoint was disabled for too long"
    letters = dispatcher.http.get("/dead-letters?partner=partner-000").json()["dead_letters"]
    assert [each["id"] for each in letters] == [delivery["id"]]


def test_a_dead_letter_replayed_alone_is_delivered_and_a_delivered_one_is_not_replayed(
    start: Any, endpoint: Any
):
    dispatcher = start(attempts=1)
    endpoint.answer = lambda _: (400, {})
    (dead,) = dispatcher.settled(event := dispatcher.publish())
    endpoint.answer = lambda _: (200, {})
    replay = f"/deliveries/{dead['id']}/replay"
    assert dispatcher.http.post(replay).status_code == 202
    assert dispatcher.settled(event)[0]["status"] == "delivered"
    assert dispatcher.http.post(replay).status_code == 409
    first, second = endpoint.wait(2)
    assert first.id == second.id == event


def test_retry_after_is_honoured_and_holds_the_partners_other_deliveries_too(
    start: Any, endpoint: Any
):
    dispatcher = start()
    refused_s: list[float] = []

    def answer(_: object) -> tuple[int, dict[str, str]]:
        refused_s.append(time.monotonic())
        return (429, {"Retry-After": "1"}) if len(refused_s) == 1 else (200, {})

    endpoint.answer = answer
    first = dispatcher.publish()
    endpoint.wait(1)
    dispatcher.until(lambda: dispatcher.deliveries(first), lambda found: found[0]["attempts"] == 1)
    second = dispatcher.publish()
    dispatcher.settled(first)
    dispatcher.settled(second)
    assert min(refused_s[1:]) - refused_s[0] >= 0.9


def test_order_is_kept_where_asked_although_attempts_fail(start: Any, endpoint: Any):
    dispatcher = start("virtual", ordered_partners=1, attempts=100)
    fates = random.Random(4)
    endpoint.answer = lambda _: (500 if fates.random() < 0.4 else 200, {})
    published = [dispatcher.publish(number=number) for number in range(30)]
    for event in published:
        dispatcher.settled(event)
    assert list(dict.fromkeys(each.id for each in endpoint.received)) == published


def test_the_claims_of_a_killed_dispatcher_return_and_another_delivers_them(
    start: Any, endpoint: Any
):
    """Killed with attempts under way: each is sent again under the same id, by whoever is left."""
    held = threading.Event()
    endpoint.answer = lambda _: (200 if held.wait(10) else 500, {})
    first = start()
    events = [first.publish(number=number) for number in range(8)]
    endpoint.wait(8)
    first.child.kill()
    held.set()
    second = start()
    for event in events:
        assert second.settled(event)[0]["status"] == "delivered"
    assert Counter(each.id for each in endpoint.received) == dict.fromkeys(events, 2)


@pytest.mark.parametrize("lane", LANES)
def test_an_orderly_stop_finishes_what_is_in_hand(lane: str, start: Any, endpoint: Any):
    begun = threading.Event()
    endpoint.answer = lambda _: (200 if begun.wait(10) else 500, {})
    first = start(lane)
    events = [first.publish(number=number) for number in range(4)]
    endpoint.wait(4)
    threading.Timer(0.2, begun.set).start()
    first.child.stop()
    second = start(lane)
    for event in events:
        assert second.settled(event)[0]["attempts"] == 1
    assert len(endpoint.received) == 4


@pytest.mark.parametrize("lane", ["reactive", "virtual"])
def test_an_orderly_stop_gives_back_what_it_cannot_finish(lane: str, start: Any, endpoint: Any):
    begun = threading.Event()
    endpoint.answer = lambda _: (200 if begun.wait(15) else 500, {})
    first = start(lane, timeout_ms=10_000.0, lease_s=60.0)
    event = first.publish()
    endpoint.wait(1)
    first.child.stop()
    begun.set()
    assert start(lease_s=60.0).settled(event)[0]["status"] == "delivered"


def test_secrets_are_told_once_and_nowhere_else(start: Any, endpoint: Any):
    dispatcher = start(attempts=1)
    endpoint.answer = lambda _: (500, {})
    secret = dispatcher.register("quiet", f"{endpoint.url}/quiet", types=["a"])["secret"]
    event = dispatcher.publish("a")
    (delivery,) = dispatcher.settled(event)
    seen = [
        dispatcher.http.get(path).text
        for path in (
            "/partners",
            "/partners/quiet",
            f"/events/{event}",
            f"/deliveries/{delivery['id']}",
            "/dead-letters",
            "/stats",
        )
    ]
    again = dispatcher.http.post(
        "/partners", json={"id": "quiet", "url": f"{endpoint.url}/quiet", "secret": secret}
    )
    assert again.status_code == 409
    bare = secret.removeprefix("whsec_")
    for text in (*seen, again.text, dispatcher.child.log_tail(10_000)):
        assert bare not in text


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://127.0.0.1:9/", "scheme"),
        ("https://127.0.0.1/", "loopback"),
        ("https://169.254.169.254/latest", "metadata"),
        ("https://user:word@example.com/", "credentials"),
        ("https://example.com:22/", "port 22"),
    ],
)
def test_endpoints_that_deliveries_must_not_go_to_are_refused(url: str, why: str):
    body = json.dumps({"id": "bad", "url": url}).encode()
    with pytest.raises(contract.ProblemError, match=why):
        contract.read_partner(body, contract.Lab())
