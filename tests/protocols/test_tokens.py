import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.protocols.tokens import Grant, KeySet, Revocations, Tickets

KEY = b"k" * 32
KEYS = KeySet({"one": KEY})
ANN = Grant("ann", ("room:lobby", "feed:*"), expires_s=100.0, jti="1")


def test_a_token_says_what_was_granted_until_it_ends():
    token = KEYS.mint(ANN)
    assert KEYS.read(token, now_s=99.9) == ANN
    assert KEYS.read(token, now_s=100.0) is None
    assert KeySet({"one": b"o" * 32}).read(token, now_s=0) is None


def test_a_standard_reader_finds_claims_and_key():
    token = KEYS.mint(ANN)
    assert jwt.get_unverified_header(token) == {"alg": "HS256", "typ": "JWT", "kid": "one"}
    claims = jwt.decode(token, KEY, algorithms=["HS256"], options={"verify_exp": False})
    assert claims == {"sub": "ann", "scope": ["room:lobby", "feed:*"], "exp": 100.0, "jti": "1"}


def test_after_a_rotation_old_tokens_are_read_and_new_ones_signed_by_the_new_key():
    old = KEYS.mint(ANN)
    turned = KEYS.rotated("two", b"n" * 32)
    assert turned.read(old, now_s=0) == ANN
    assert jwt.get_unverified_header(turned.mint(ANN))["kid"] == "two"
    assert turned.rotated("three", b"m" * 32).read(old, now_s=0) is None
    assert KEYS.rotated("two", b"n" * 32, keep=0).read(old, now_s=0) is None


@pytest.mark.parametrize(
    ("keys", "told"),
    [({}, "needs a key"), ({"weak": b"k" * 31}, "'weak' is shorter than 32 bytes")],
)
def test_a_key_set_without_strength_is_refused(keys: dict[str, bytes], told: str):
    with pytest.raises(UsageError, match=told):
        KeySet(keys)
    with pytest.raises(UsageError, match="'one' already"):
        KEYS.rotated("one", KEY)


CLAIMS = {"sub": "ann", "scope": ["room:lobby"], "exp": 100.0, "jti": "1"}
HEAD = {"kid": "one"}


@pytest.mark.parametrize(
    "forged",
    [
        jwt.encode(CLAIMS, b"x" * 32, "HS256", HEAD),
        jwt.encode(CLAIMS, KEY, "HS256"),
        jwt.encode(CLAIMS, KEY, "HS256", {"kid": "two"}),
        jwt.encode(CLAIMS, KEY * 2, "HS512", HEAD),
        jwt.encode(CLAIMS, KEY * 2, "HS384", HEAD),
        jwt.encode(CLAIMS, None, "none", HEAD),
        *(
            jwt.encode({k: v for k, v in CLAIMS.items() if k != left_out}, KEY, "HS256", HEAD)
            for left_out in CLAIMS
        ),
        jwt.encode({**CLAIMS, "scope": "room:*"}, KEY, "HS256", HEAD),
        jwt.encode({**CLAIMS, "scope": [1]}, KEY, "HS256", HEAD),
        jwt.encode({**CLAIMS, "jti": 1}, KEY, "HS256", HEAD),
        jwt.encode({**CLAIMS, "exp": "soon"}, KEY, "HS256", HEAD),
        jwt.encode({**CLAIMS, "exp": True}, KEY, "HS256", HEAD),
        jwt.encode({**CLAIMS, "exp": float("inf")}, KEY, "HS256", HEAD),
        jwt.encode({**CLAIMS, "exp": 0}, KEY, "HS256", HEAD),
        jwt.encode(CLAIMS, KEY, "HS256", HEAD)[:-1],
        jwt.encode(CLAIMS, KEY, "HS256", HEAD) + "A",
        jwt.encode(CLAIMS, KEY, "HS256", HEAD).replace(".", "..", 1),
    ],
)
def test_forged_and_spoilt_tokens_are_worth_nothing(forged: str):
    assert KEYS.read(forged, now_s=0) is None


@given(st.data())
def test_no_changed_token_is_read(data: st.DataObject):
    token = KEYS.mint(ANN)
    place = data.draw(st.integers(0, len(token) - 2))  # the last character has spare bits
    other = data.draw(st.characters().filter(lambda char: char != token[place]))
    assert KEYS.read(token[:place] + other + token[place + 1 :], now_s=0) is None


@pytest.mark.parametrize("token", ["", ".", "..", "a.b.c", "é.é.é", "x" * 10_000])
def test_what_is_no_token_is_not_read(token: str):
    assert KEYS.read(token, now_s=0) is None


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
    revoked.revoke(Grant("bob", (), 500.0, "2"), now_s=101)
    assert ANN not in revoked


def test_nothing_secret_is_shown():
    tickets = Tickets()
    ticket = tickets.issue(ANN, "/", now_s=0)
    assert "kkk" not in repr(KEYS)
    assert str(ticket) not in repr(tickets)
