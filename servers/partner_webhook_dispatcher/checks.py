"""The facts of the dispatcher's contract, judged from outside over HTTP: any lane, any language.

Each check takes a `Site` and raises AssertionError with what was expected and what came. The partners it
registers are its own; they live at the scenario's simulated receiver.
"""

import json
import secrets
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import httpx

from labcore.lanes import Check, NotApplicableError, Site
from labcore.protocols.webhook import Secret
from servers.partner_webhook_dispatcher.contract import KEY_HEADER
from servers.partner_webhook_dispatcher.seeding import RECEIVER

PATIENCE_S = 20.0
IN_ORDER = 15
KILLED = 12
SOON_S = 5.0
QUICK_RETRY: Mapping[str, float] = {"base_s": 0.02, "ceiling_s": 0.1, "attempts": 5}
FORBIDDEN = (
    "http://127.0.0.1:9/",
    "https://127.0.0.1/",
    "https://[::1]/",
    "https://10.0.0.1/",
    "https://169.254.169.254/latest/meta-data",
    "https://user:word@example.com/",
    "ftp://example.com/",
    "https://example.com:22/",
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody who publishes at a site, registers partners and may look into their ledger."""

    site: Site
    http: httpx.Client

    def register(self, name: str, **members: Any) -> httpx.Response:
        """A partner of that id and event type, at the receiver."""
        partner = {
            "id": name,
            "url": f"{self.site.peers[RECEIVER]}/partners/{name}",
            "types": [name],
            "retry": QUICK_RETRY,
            **members,
        }
        return self.http.post(f"{self.site.url}/partners", json=partner)

    def registered(self, name: str, **members: Any) -> dict[str, Any]:
        """The same, which must succeed; the answer."""
        reply = self.register(name, **members)
        expect(reply.status_code == 201, f"201 to a registration, got {reply.status_code}")
        return dict(reply.json())

    def behave(self, name: str, **behaviour: Any) -> None:
        """Let the partner at the receiver behave so from now on."""
        url = f"{self.site.peers[RECEIVER]}/partners/{name}"
        self.http.put(url, json=behaviour).raise_for_status()

    def publish(self, kind: str, *, key: str | None = None, **data: Any) -> str:
        """Publish an event; its id."""
        headers = {} if key is None else {KEY_HEADER: key}
        event = {"type": kind, "data": data}
        reply = self.http.post(f"{self.site.url}/events", json=event, headers=headers)
        expect(reply.status_code == 202, f"202 to an event, got {reply.status_code}")
        return str(reply.json()["id"])

    def deliveries(self, event_id: str) -> list[dict[str, Any]]:
        """Those of an event."""
        reply = self.http.get(f"{self.site.url}/events/{event_id}").raise_for_status()
        return list(reply.json()["deliveries"])

    def settled(self, event_id: str) -> dict[str, Any]:
        """The one delivery of an event, once it is no longer pending."""
        return until(
            lambda: self.deliveries(event_id)[0],
            lambda delivery: delivery["status"] != "pending",
            "a delivery ends",
        )

    def ledger(self, name: str) -> list[dict[str, Any]]:
        """What the partner at the receiver got."""
        url = f"{self.site.peers[RECEIVER]}/ledger?partner={name}"
        return [json.loads(line) for line in self.http.get(url).raise_for_status().iter_lines()]


def every_subscriber_gets_an_event_once_and_can_verify_it(site: Site) -> None:
    """An event goes to whoever subscribed to its type, once each, signed by the Standard Webhooks scheme."""
    with owner_at(site) as owner:
        kind, names = unique("kind"), [unique("sub") for _ in range(3)]
        for name in names:
            secret = owner.registered(name, types=[kind])["secret"]
            owner.behave(name, secret=secret)
        event = owner.publish(kind, amount=7)
        until(
            lambda: owner.deliveries(event),
            lambda found: all(each["status"] == "delivered" for each in found),
            "all are delivered",
        )
        for name in names:
            seen = [(each["id"], each["verified"]) for each in owner.ledger(name)]
            expect(seen == [(event, True)], f"one verified delivery of {event}, got {seen}")


def failed_attempts_are_repeated_under_the_same_id(site: Site) -> None:
    """A delivery that fails is tried again under the same webhook-id until it is taken."""
    with owner_at(site) as owner:
        name = unique("flaky")
        owner.registered(name)
        owner.behave(name, failures=2)
        event = owner.publish(name)
        delivery = owner.settled(event)
        expect(delivery["status"] == "delivered", f"delivered at last, got {delivery}")
        seen = [(each["id"], each["status"]) for each in owner.ledger(name)]
        wanted = [(event, 503), (event, 503), (event, 200)]
        expect(seen == wanted, f"attempts {wanted}, got {seen}")


def what_is_given_up_is_a_dead_letter_and_can_be_replayed(site: Site) -> None:
    """After the schedule's last attempt a delivery is kept with its reason; a replay delivers it."""
    with owner_at(site) as owner:
        name = unique("down")
        owner.registered(name)
        owner.behave(name, status=500)
        event = owner.publish(name)
        delivery = owner.settled(event)
        ended = (delivery["status"], delivery["attempts"], bool(delivery["reason"]))
        expect(ended == ("dead", 5, True), f"dead after 5 attempts with a reason, got {delivery}")
        reply = owner.http.get(f"{site.url}/dead-letters?partner={name}").json()["dead_letters"]
        expect([each["id"] for each in reply] == [delivery["id"]], f"it is listed, got {reply}")
        owner.behave(name)
        replayed = owner.http.post(f"{site.url}/deliveries/{delivery['id']}/replay")
        expect(replayed.status_code == 202, f"202 to a replay, got {replayed.status_code}")
        after = owner.settled(event)
        expect(after["status"] == "delivered", f"the replay is delivered, got {after}")


def order_is_kept_where_it_was_asked_for(site: Site) -> None:
    """A partner that asked for order gets its events as they were published, although attempts fail."""
    with owner_at(site) as owner:
        name = unique("inorder")
        owner.registered(name, ordered=True, retry={**QUICK_RETRY, "attempts": 50})
        owner.behave(name, failure_share=0.3)
        published = [owner.publish(name, number=number) for number in range(IN_ORDER)]
        owner.settled(published[-1])
        seen = list(dict.fromkeys(each["id"] for each in owner.ledger(name)))
        expect(seen == published, f"the order of publication, got {seen} for {published}")


def one_key_is_one_event(site: Site) -> None:
    """A repeated Idempotency-Key gives the first event again; another event under it is refused."""
    with owner_at(site) as owner:
        name, key = unique("keyed"), unique("key")
        owner.registered(name)
        ids = {owner.publish(name, key=key, amount=1) for _ in range(3)}
        expect(len(ids) == 1, f"one event for one key, got {ids}")
        owner.settled(next(iter(ids)))
        reply = owner.http.post(
            f"{site.url}/events",
            json={"type": name, "data": {"amount": 2}},
            headers={KEY_HEADER: key},
        )
        expect(reply.status_code == 422, f"422 to another event, got {reply.status_code}")
        expect(len(owner.ledger(name)) == 1, "one delivery")


def a_partner_that_hangs_delays_no_other(site: Site) -> None:
    """With bulkheads on, more events for a hanging partner than fit in hand leave the others in time."""
    if not site.parameters.get("bulkheads", False):
        raise NotApplicableError("the bulkheads are off")
    with owner_at(site) as owner:
        hanging, well = unique("hangs"), unique("well")
        owner.registered(hanging, timeout_ms=500, places=4)
        owner.registered(well)
        owner.behave(hanging, hang_share=1.0)
        for _ in range(40):
            owner.publish(hanging)
        began_s = time.monotonic()
        owner.settled(owner.publish(well))
        took_s = time.monotonic() - began_s
        expect(took_s < SOON_S, f"a delivery within {SOON_S:g} s, took {took_s:.1f}")


def secrets_are_told_once(site: Site) -> None:
    """Only registration and rotation tell a secret; while it rotates, both verify."""
    with owner_at(site) as owner:
        name = unique("quiet")
        old = owner.registered(name)["secret"]
        reply = owner.http.post(f"{site.url}/partners/{name}/rotate", json={"overlap_s": 60})
        new = reply.raise_for_status().json()["secret"]
        for secret in (old, new):
            owner.behave(name, secret=secret)
            delivery = owner.settled(owner.publish(name))
            expect(delivery["status"] == "delivered", f"both secrets verify, got {delivery}")
        told = [
            owner.http.get(f"{site.url}{path}").text
            for path in ("/partners", f"/partners/{name}", f"/dead-letters?partner={name}")
        ]
        for secret in (old, new):
            expect(Secret.parse(secret).text()[6:] not in "".join(told), "no secret is told again")


def places_that_deliveries_must_not_go_to_are_refused(site: Site) -> None:
    """Private, loopback and metadata addresses, strange schemes, ports and credentials are refused."""
    with owner_at(site) as owner:
        for url in FORBIDDEN:
            reply = owner.register(unique("bad"), url=url)
            named = reply.json().get("field")
            expect((reply.status_code, named) == (422, "#/url"), f"422 for {url}, got {named}")


def malformed_events_are_refused_by_name(site: Site) -> None:
    """What is no event is refused with 422 and the field that was wrong."""
    wrong: Sequence[tuple[Any, str]] = (
        ([], "#"),
        ({"data": {}}, "#/type"),
        ({"type": "with space", "data": {}}, "#/type"),
        ({"type": "a", "data": 1}, "#/data"),
    )
    with owner_at(site) as owner:
        for event, field in wrong:
            reply = owner.http.post(f"{site.url}/events", json=event)
            seen = (reply.status_code, reply.json().get("field"))
            expect(seen == (422, field), f"422 naming {field}, got {seen}")


def a_killed_dispatcher_loses_nothing(site: Site) -> None:
    """Killed with deliveries under way: after a restart each is delivered, under the same id."""
    if site.restart is None:
        raise NotApplicableError("this service is not ours to kill")
    with owner_at(site) as owner:
        name = unique("killed")
        owner.registered(name, places=KILLED)
        owner.behave(name, delay_ms=400)
        events = [owner.publish(name, number=number) for number in range(KILLED)]
        site = replace(site, url=site.restart())
    with owner_at(site) as owner:
        for event in events:
            delivery = owner.settled(event)
            expect(delivery["status"] == "delivered", f"delivered after all, got {delivery}")
        seen = {each["id"] for each in owner.ledger(name)}
        expect(seen == set(events), f"the partner got {sorted(events)}, got {sorted(seen)}")


@contextmanager
def owner_at(site: Site) -> Iterator[Owner]:
    """An owner at a site whose receiver we can reach."""
    if RECEIVER not in site.peers:
        raise NotApplicableError("the simulated receiver is not ours to reach")
    with httpx.Client(timeout=PATIENCE_S, trust_env=False) as http:
        yield Owner(site, http)


def until(look: Callable[[], T], good: Callable[[T], object], what: str) -> T:
    """What was seen once it is good. Raises: AssertionError when patience ends."""
    deadline_s = time.monotonic() + PATIENCE_S
    while not good(seen := look()):
        expect(time.monotonic() < deadline_s, f"{what} within {PATIENCE_S:g} s, got {seen}")
        time.sleep(0.02)
    return seen


def expect(holds: bool, what: str) -> None:
    """Raise: AssertionError saying what was expected, unless it holds."""
    if not holds:
        raise AssertionError(f"expected {what}")


def unique(word: str) -> str:
    """A name that nobody has used."""
    return f"{word}_{secrets.token_hex(6)}"


CHECKS: tuple[Check, ...] = (
    every_subscriber_gets_an_event_once_and_can_verify_it,
    failed_attempts_are_repeated_under_the_same_id,
    what_is_given_up_is_a_dead_letter_and_can_be_replayed,
    order_is_kept_where_it_was_asked_for,
    one_key_is_one_event,
    a_partner_that_hangs_delays_no_other,
    secrets_are_told_once,
    places_that_deliveries_must_not_go_to_are_refused,
    malformed_events_are_refused_by_name,
    a_killed_dispatcher_loses_nothing,
)
