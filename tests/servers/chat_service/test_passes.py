import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from servers.chat_service.passes import Pass, Revocations, Signer, Tickets

SIGNER = Signer(b"k" * 32)
ANN = Pass("ann", ("room:lobby", "feed:*"), expires_s=100.0, jti="1")


def test_a_token_says_what_was_granted_until_it_ends():
    token = SIGNER.mint(ANN)
    assert SIGNER.read(token, now_s=99.9) == ANN
    assert SIGNER.read(token, now_s=100.0) is None
    assert Signer(b"o" * 32).read(token, now_s=0) is None


def test_a_standard_reader_finds_the_claims():
    head, claims, _ = SIGNER.mint(ANN).split(".")
    import base64

    assert json.loads(base64.urlsafe_b64decode(head + "==")) == {"alg": "HS256", "typ": "JWT"}
    assert json.loads(base64.urlsafe_b64decode(claims + "=="))["sub"] == "ann"


@given(st.data())
def test_no_changed_token_is_read(data: st.DataObject):
    token = SIGNER.mint(ANN)
    place = data.draw(st.integers(0, len(token) - 2))  # the last character has spare bits
    other = data.draw(st.characters().filter(lambda char: char != token[place]))
    assert SIGNER.read(token[:place] + other + token[place + 1 :], now_s=0) is None


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "x" * 10_000])
def test_what_is_no_token_is_not_read(token: str):
    assert SIGNER.read(token, now_s=0) is None


def test_a_scope_reaches_its_name_or_all_of_its_kind():
    assert ANN.allows("room", "lobby")
    assert ANN.allows("feed", "bob")
    assert not ANN.allows("room", "attic")


def test_a_ticket_is_good_once_for_its_path_and_time():
    tickets = Tickets(lifetime_s=30)
    path = "/rooms/lobby/events"
    first, second, third = (tickets.issue(ANN, path, now_s=0) or "" for _ in range(3))
    assert tickets.redeem(first, path, now_s=29) == ANN
    assert tickets.redeem(first, path, now_s=29) is None
    assert tickets.redeem(second, "/rooms/attic/events", now_s=1) is None
    assert tickets.redeem(second, path, now_s=1) is None
    assert tickets.redeem(third, path, now_s=30) is None


def test_a_ticket_does_not_outlive_its_token():
    tickets = Tickets(lifetime_s=1_000)
    ticket = tickets.issue(ANN, "/", now_s=0)
    assert ticket is not None
    assert tickets.redeem(ticket, "/", now_s=100) is None


def test_a_revoked_token_is_remembered_until_it_would_have_ended():
    revoked = Revocations()
    revoked.revoke(ANN, now_s=0)
    assert ANN in revoked
    revoked.revoke(Pass("bob", (), 500.0, "2"), now_s=101)
    assert ANN not in revoked


def test_nothing_secret_is_shown():
    tickets = Tickets()
    ticket = tickets.issue(ANN, "/", now_s=0)
    assert "kkk" not in repr(SIGNER)
    assert str(ticket) not in repr(tickets)
