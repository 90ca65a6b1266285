"""Conformance of a chat, judged from outside: any lane, any language."""

from contextlib import ExitStack
from dataclasses import replace
from typing import Any

from labcore.lanes import Check, NotApplicableError, Site
from servers.chat_service.contract import MOST_PAGE, TOKEN_ENDED
from servers.chat_service.visitor import (
    KINDS,
    SocketListener,
    Visitors,
    at_once,
    conversation,
    drained,
    everybody,
    expect,
    handshake_status,
    happened,
    unique,
    until,
)

SOON_S = 2.0  # a heartbeat or an expiry that a check is willing to wait for


def a_room_has_one_order_for_everybody(site: Site) -> None:
    """Four talk at once; four listeners over both protocols, and the history, agree on every message."""
    room, count = unique("room"), 40
    with Visitors(site) as visitors, ExitStack() as stack:
        members = [visitors.member() for _ in range(4)]
        listeners = everybody(stack, members, room)
        ids = at_once(count, lambda number: members[number % 4].said(room, f"text {number}"))
        expect(sorted(ids) == list(range(1, count + 1)), f"ids 1 to {count}, got {sorted(ids)}")
        heard = [happened(listener, count) for listener in listeners]
        for each in heard:
            got = [event["id"] for event in each]
            expect(got == sorted(ids), f"every id once and in order, got {got}")
        expect(all(each == heard[0] for each in heard), "the same events for all")
        kept = members[0].history(room, limit=count)
        said = [(event["id"], event["member"], event["text"]) for event in heard[0]]
        found = [(message["id"], message["member"], message["text"]) for message in kept]
        expect(found == said, f"a history like the stream, got {found[:3]}")


def a_client_id_is_stored_once(site: Site) -> None:
    """The same message eight times at once, then over a WebSocket: one id, and one event."""
    room, name = unique("room"), unique("m")
    with Visitors(site) as visitors:
        ann, bob = visitors.member(), visitors.member()
        replies = at_once(8, lambda _: ann.send(room, "once", client_id=name))
        codes = sorted(reply.status_code for reply in replies)
        expect(codes == [200] * 7 + [201], f"one 201 and seven 200, got {codes}")
        ids = {reply.json()["id"] for reply in replies}
        expect(ids == {1}, f"one id, got {ids}")
        with conversation(ann, room) as socket:
            again = socket.ask(type="message", client_id=name, text="once")
            expect((again["id"], again["first"]) == (1, False), f"the same id, got {again}")
            other = socket.ask(type="message", client_id=name, text="twice")
            expect(other.get("status") == 422, f"422 for another text, got {other}")
        other = ann.send(room, "twice", client_id=name).json()
        expect(other.get("field") == "#/client_id", f"client_id is named, got {other}")
        theirs = bob.send(room, "mine", client_id=name)
        expect(theirs.status_code == 201, f"another member's id is its own, got {theirs.text}")
        expect(len(ann.history(room)) == 2, f"two messages, got {ann.history(room)}")


def a_listener_goes_on_after_its_last_id(site: Site) -> None:
    """Whoever comes back with an id gets all that followed, in order, once, and then what is new."""
    room = unique("room")
    with Visitors(site) as visitors:
        ann = visitors.member()
        ids = [ann.said(room, f"text {number}") for number in range(10)]
        for kind in KINDS:
            with ann.listen(room, kind, last_id=ids[3]) as listener:
                got = [event["id"] for event in happened(listener, len(ids) - 4)]
                expect(got == ids[4:], f"{kind}: {ids[4:]}, got {got}")
                ids.append(ann.said(room))
                (new,) = happened(listener, 1)
                expect(new["id"] == ids[-1], f"{kind}: {ids[-1]} next, got {new}")


def what_is_not_acknowledged_comes_again(site: Site) -> None:
    """A member that returns without an id gets what it did not acknowledge; a first visit begins now."""
    room = unique("room")
    with Visitors(site) as visitors:
        ann, bob = visitors.member(), visitors.member()
        before = ann.said(room, "before bob came")
        for kind in KINDS:
            with bob.listen(room, kind) as listener:
                ids = [ann.said(room, f"text {number}") for number in range(3)]
                got = [event["id"] for event in happened(listener, 3)]
                expect(got == ids, f"{kind}: {ids} and not {before}, got {got}")
            with bob.listen(room, kind) as listener:
                got = [event["id"] for event in happened(listener, 3)]
                expect(got == ids, f"{kind}: {ids} again, got {got}")
            reply = bob.ack(room, ids[1])
            expect(reply.json().get("up_to") == ids[1], f"up to {ids[1]}, got {reply.text}")
            with bob.listen(room, kind) as listener:
                (event,) = happened(listener, 1)
                expect(event["id"] == ids[2], f"{kind}: {ids[2]} alone, got {event}")
            bob.ack(room, ids[2])


def an_acknowledgement_never_goes_back(site: Site) -> None:
    """An older id changes nothing, one that was never given is refused; over either protocol."""
    room = unique("room")
    with Visitors(site) as visitors:
        ann = visitors.member()
        first, last = ann.said(room), ann.said(room)
        expect(ann.ack(room, last).json().get("up_to") == last, f"up to {last}")
        expect(ann.ack(room, first).json().get("up_to") == last, f"still {last}")
        expect(ann.ack(room, last + 1).status_code == 422, "422 for an id to come")
        with conversation(ann, room) as socket:
            expect(socket.ask(type="ack", up_to=first).get("up_to") == last, f"still {last}")
            expect(socket.ask(type="ack", up_to=last + 1).get("status") == 422, "422 there too")


def somebody_with_three_tabs_is_here_once(site: Site) -> None:
    """Coming and leaving are announced once, whatever the number of tabs and protocols."""
    room = unique("room")
    with Visitors(site) as visitors:
        ann, bob = visitors.member("ann"), visitors.member("bob")
        with ann.listen(room, "sse") as listener, conversation(bob, room) as socket:
            expect(ann.beat(room, "one") == ["ann"], "ann is here")
            bob.beat(room, "one")
            bob.beat(room, "two")
            here = socket.ask(type="beat", tab="three")
            expect(here["members"] == ["ann", "bob"], f"ann and bob, got {here}")
            expect(bob.leave(room, "one") == ["ann", "bob"], "two tabs are left")
            bob.leave(room, "one")
            expect(socket.ask(type="leave", tab="two")["members"] == ["ann", "bob"], "one is left")
            expect(bob.leave(room, "three") == ["ann"], "bob is gone")
            got = [(event["member"], event["present"]) for event in happened(listener, 3)]
            want = [("ann", True), ("bob", True), ("bob", False)]
            expect(got == want, f"{want}, got {got}")


def who_falls_silent_leaves_once(site: Site) -> None:
    """A member whose tabs beat no more is gone after `presence_s`, and the room is told once."""
    if _parameter(site, "presence_s") > SOON_S:
        raise NotApplicableError(f"presence_s is above {SOON_S:g}; a check does not wait so long")
    room = unique("room")
    with Visitors(site) as visitors:
        ann = visitors.member("ann")
        with ann.listen(room, "websocket") as listener:
            ann.beat(room, "one")
            ann.beat(room, "two")
            ann.said(room)
            got = [event.get("present", "said") for event in happened(listener, 3)]
            expect(got == [True, "said", False], f"came, spoke, left; got {got}")
        expect(visitors.member().ask("GET", f"/rooms/{room}/presence").json()["members"] == [], "")


def a_token_opens_its_own_rooms_only(site: Site) -> None:
    """Without a token 401, with another room's 403: for every request and both handshakes."""
    room = unique("room")
    paths = [("GET", "messages"), ("POST", "messages"), ("POST", "acks"), ("GET", "presence")]
    paths += [("POST", "presence"), ("DELETE", "presence"), ("GET", "events")]
    with Visitors(site) as visitors:
        stranger = visitors.member(scope="room:elsewhere")
        forger = replace(stranger, token=f"{stranger.token[:-2]}xx")
        for code, who in ((403, stranger), (401, forger)):
            for method, path in paths:
                reply = who.ask(method, f"/rooms/{room}/{path}")
                got = reply.status_code
                expect(got == code, f"{code} for {method} {path}, got {got}")
            got = handshake_status(who, f"/rooms/{room}/socket")
            expect(got == code, f"{code} for the handshake, got {got}")
        got = handshake_status(None, f"/rooms/{room}/socket", site=site)
        expect(got == 401, f"401 without a token, got {got}")
        own = visitors.member(scope=f"room:{room}")
        expect(own.send(room).status_code == 201, "201 in the token's own room")
        foreign = handshake_status(own, f"/rooms/{room}/socket", origin="http://evil.example")
        expect(foreign == 403, f"403 for a foreign page, got {foreign}")


def a_ticket_is_good_once_and_for_one_path(site: Site) -> None:
    """A ticket in the URL stands for the token, the first time, on the path it was made for."""
    room = unique("room")
    with Visitors(site) as visitors:
        ann = visitors.member()
        path = f"/rooms/{room}/socket"
        ticket = ann.ticket(path)
        got = [handshake_status(None, f"{path}?ticket={ticket}", site=site) for _ in range(2)]
        expect(got == [101, 401], f"once, got {got}")
        elsewhere = f"/rooms/{unique('room')}/socket?ticket={ann.ticket(path)}"
        got = [handshake_status(None, elsewhere, site=site)]
        expect(got == [401], f"401 on another path, got {got}")


def a_stream_ends_with_its_token(site: Site) -> None:
    """Expired or revoked, the token's streams end at once; the WebSocket says 4001."""
    room = unique("room")
    with Visitors(site) as visitors:
        short, long = visitors.member(ttl_s=1.0), visitors.member()
        for who, end in ((short, None), (long, "revoke")):
            with who.listen(room, "sse") as stream, who.listen(room, "websocket") as socket:
                if end:
                    reply = who.ask("DELETE", "/tokens")
                    expect(reply.status_code == 200, f"200, got {reply.text}")
                drained(stream)
                drained(socket)
                code = socket.closed if isinstance(socket, SocketListener) else None
                expect(code == TOKEN_ENDED, f"close code {TOKEN_ENDED}, got {code}")
            expect(who.send(room).status_code == 401, "401 with a token that has ended")


def history_comes_in_bounded_pages(site: Site) -> None:
    """Backwards and forwards by id, oldest first within a page, never more than asked for."""
    room = unique("room")
    with Visitors(site) as visitors:
        ann = visitors.member()
        ids = [ann.said(room, f"text {number}") for number in range(7)]
        newest = [message["id"] for message in ann.history(room, limit=3)]
        expect(newest == ids[4:], f"the newest three, got {newest}")
        before = [message["id"] for message in ann.history(room, limit=3, before=ids[4])]
        expect(before == ids[1:4], f"the three before, got {before}")
        after = [message["id"] for message in ann.history(room, limit=3, after=ids[1])]
        expect(after == ids[2:5], f"the three after, got {after}")
        path = f"/rooms/{room}/messages"
        for query in ({"limit": MOST_PAGE + 1}, {"limit": 0}, {"before": "x"}, {"after": -1}):
            got = ann.ask("GET", path, params=query).status_code
            expect(got == 422, f"422 for {query}, got {got}")


def what_is_wrong_is_named(site: Site) -> None:
    """Malformed requests get 422 with the field, in a problem document; nothing is stored."""
    room = unique("room")
    good: dict[str, Any] = {"client_id": "c", "text": "t"}
    wrong: list[tuple[str, Any]] = [("#", []), ("#", None), ("#/text", {"client_id": "c"})]
    wrong += [("#/text", {**good, "text": text}) for text in ("", 1, "x" * 5_000, "\0")]
    wrong += [("#/client_id", {**good, "client_id": name}) for name in ("", None, "a b", "a/b")]
    with Visitors(site) as visitors:
        ann = visitors.member()
        for name, document in wrong:
            reply = ann.ask("POST", f"/rooms/{room}/messages", json=document)
            got = reply.status_code, reply.json().get("field")
            expect(got == (422, name), f"422 and {name} for {str(document)[:60]}, got {got}")
        large = ann.ask("POST", f"/rooms/{room}/messages", content=b"x" * 100_000)
        expect(large.status_code == 413, f"413, got {large.status_code}")
        nowhere = ann.ask("GET", "/rooms/No%20Room/messages")
        expect(nowhere.status_code == 404, f"404, got {nowhere.status_code}")
        with conversation(ann, room) as socket:
            answer = socket.ask(type="message", client_id="c")
            expect(answer.get("field") == "#/text", f"the field over WebSocket, got {answer}")
        expect(ann.history(room) == [], "nothing is stored")


def an_idle_stream_shows_that_it_lives(site: Site) -> None:
    """After `heartbeat_s` without an event there is a sign of life, over either protocol."""
    if _parameter(site, "heartbeat_s") > SOON_S:
        raise NotApplicableError(f"heartbeat_s is above {SOON_S:g}; a check does not wait so long")
    room = unique("room")
    with Visitors(site) as visitors:
        for kind in KINDS:
            with visitors.member().listen(room, kind) as listener:
                for _ in range(2):
                    event = listener.next()
                    expect(event == {"type": "heartbeat"}, f"{kind}: a heartbeat, got {event}")


def who_has_left_is_let_go(site: Site) -> None:
    """Closed streams free their places and their threads."""
    room = unique("room")
    with Visitors(site) as visitors, ExitStack() as stack:
        members = [visitors.member() for _ in range(4)]
        until(lambda: visitors.stats()["streams"] == 0, "a house without listeners")
        everybody(stack, members, room)
        until(lambda: visitors.stats()["streams"] == 4, "four streams")
        stack.close()
        until(lambda: visitors.stats()["streams"] == 0, "no stream")


def what_was_accepted_survives_a_kill(site: Site) -> None:
    """After SIGKILL and a new start: messages, client ids, acknowledgements and tokens are as they were."""
    if site.restart is None:
        raise NotApplicableError("we did not start this service, so we do not kill it")
    room, name = unique("room"), unique("m")
    with Visitors(site) as visitors:
        ann, bob = visitors.member(), visitors.member()
        with bob.listen(room, "sse"):
            ids = [ann.said(room, f"text {number}") for number in range(4)]
        last = ann.send(room, "last", client_id=name).json()["id"]
        bob.ack(room, ids[1])
        moved = replace(site, url=site.restart())
        ann, bob = replace(ann, site=moved), replace(bob, site=moved)
        again = ann.send(room, "last", client_id=name)
        expect((again.status_code, again.json()["id"]) == (200, last), f"{last}, got {again.text}")
        with bob.listen(room, "websocket") as listener:
            got = [event["id"] for event in happened(listener, 3)]
            expect(got == [*ids[2:], last], f"{[*ids[2:], last]}, got {got}")


def _parameter(site: Site, name: str) -> float:
    return float(site.parameters.get(name, float("inf")))


CHECKS: tuple[Check, ...] = (
    a_room_has_one_order_for_everybody,
    a_client_id_is_stored_once,
    a_listener_goes_on_after_its_last_id,
    what_is_not_acknowledged_comes_again,
    an_acknowledgement_never_goes_back,
    somebody_with_three_tabs_is_here_once,
    who_falls_silent_leaves_once,
    a_token_opens_its_own_rooms_only,
    a_ticket_is_good_once_and_for_one_path,
    a_stream_ends_with_its_token,
    history_comes_in_bounded_pages,
    what_is_wrong_is_named,
    an_idle_stream_shows_that_it_lives,
    who_has_left_is_let_go,
    what_was_accepted_survives_a_kill,
)
