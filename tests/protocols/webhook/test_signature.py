"""Our signatures before an independent judge, and everything that must not verify."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.protocols.webhook import Secret, SignatureError, sign, signed_headers, verify

NOW_S = 1_700_000_000
OLD, NEW, STRANGER = (Secret(bytes([number]) * 32) for number in (1, 2, 3))
BODY = b'{"type":"order.paid","data":{"id":"ord_1"}}'
Headers = dict[str, str]


def headers_of(*secrets: Secret, at_s: int = NOW_S, body: bytes = BODY) -> Headers:
    return signed_headers("msg_1", body, timestamp_s=at_s, secrets=secrets)


@pytest.mark.parametrize("secrets", [(OLD,), (NEW, OLD), (STRANGER, NEW, OLD)])
def test_the_independent_library_accepts_what_we_sign(secrets: tuple[Secret, ...]):
    judge = standardwebhooks.Webhook(OLD.text())
    at_s = int(datetime.now(UTC).timestamp())  # the judge reads the wall clock
    assert judge.verify(BODY.decode(), headers_of(*secrets, at_s=at_s)) == json.loads(BODY)


def test_we_accept_what_the_independent_library_signs():
    signature = standardwebhooks.Webhook(OLD.text()).sign(
        "msg_1", datetime.fromtimestamp(NOW_S, UTC), BODY.decode()
    )
    headers = headers_of(OLD) | {"webhook-signature": signature}
    assert verify(headers, BODY, secrets=[NEW, OLD], now_s=NOW_S).message_id == "msg_1"


@given(st.binary(max_size=300), st.integers(0, 10**11), st.sampled_from([OLD, NEW]))
def test_what_is_signed_verifies(body: bytes, at_s: int, secret: Secret):
    headers = signed_headers("msg_2", body, timestamp_s=at_s, secrets=[OLD, NEW])
    found = verify(headers, body, secrets=[secret], now_s=at_s)
    assert (found.message_id, found.timestamp_s, found.body) == ("msg_2", at_s, body)


def test_names_of_headers_have_no_case():
    headers = {name.title(): value for name, value in headers_of(OLD).items()}
    assert verify(headers, BODY, secrets=[OLD], now_s=NOW_S).body == BODY


@pytest.mark.parametrize("drift_s", [-300, -1, 0, 1, 300])
def test_clocks_may_differ_within_the_tolerance(drift_s: int):
    verify(headers_of(OLD, at_s=NOW_S + drift_s), BODY, secrets=[OLD], now_s=NOW_S)


def changed(**changes: str) -> Callable[[Headers], Headers]:
    names = {name.replace("_", "-"): value for name, value in changes.items()}
    return lambda headers: headers | names


def without(name: str) -> Callable[[Headers], Headers]:
    return lambda headers: {key: value for key, value in headers.items() if key != name}


def resigned(change: Callable[[str], str]) -> Callable[[Headers], Headers]:
    return lambda headers: headers | {"webhook-signature": change(headers["webhook-signature"])}


BAD_HEADERS: dict[str, Callable[[Headers], Headers]] = {
    "no id": without("webhook-id"),
    "no timestamp": without("webhook-timestamp"),
    "no signature": without("webhook-signature"),
    "an empty id": changed(webhook_id=""),
    "an empty signature": changed(webhook_signature=""),
    "another id": changed(webhook_id="msg_2"),
    "an id with a full stop": changed(webhook_id="msg_1.1"),
    "an id longer by a space": changed(webhook_id="msg_1 "),
    "a timestamp a second later": changed(webhook_timestamp=str(NOW_S + 1)),
    "a timestamp with a fraction": changed(webhook_timestamp=f"{NOW_S}.0"),
    "a timestamp with a sign": changed(webhook_timestamp=f"+{NOW_S}"),
    "a timestamp with a space": changed(webhook_timestamp=f" {NOW_S}"),
    "a timestamp of other digits": changed(webhook_timestamp="١٧٠٠٠٠٠٠٠٠"),
    "a timestamp of words": changed(webhook_timestamp="now"),
    "a negative timestamp": changed(webhook_timestamp=f"-{NOW_S}"),
    "a monstrous timestamp": changed(webhook_timestamp="9" * 400),
    "no version": resigned(lambda value: value.removeprefix("v1,")),
    "another version": resigned(lambda value: value.replace("v1,", "v2,")),
    "the asymmetric version": resigned(lambda value: value.replace("v1,", "v1a,")),
    "a version in upper case": resigned(str.upper),
    "a truncated signature": resigned(lambda value: value[:-4]),
    "a signature without its last letter": resigned(lambda value: value[:-1]),
    "a longer signature": resigned(lambda value: value + "A"),
    "a signature in hex": resigned(
        lambda value: "v1," + base64.b64decode(value.removeprefix("v1,")).hex()
    ),
    "a swapped letter": resigned(lambda value: value[:5] + value[5:].swapcase()),
    "a signature beyond ASCII": resigned(lambda value: value + "€"),
    "a comma between entries": resigned(lambda value: "v1,AAAA," + value.removeprefix("v1,")),
    "nothing but the version": changed(webhook_signature="v1,"),
    "too many entries": resigned(lambda value: " ".join(["v1,AAAA"] * 20 + [value])),
}


@pytest.mark.parametrize("wrong", BAD_HEADERS.values(), ids=BAD_HEADERS)
def test_wrong_headers_are_refused(wrong: Callable[[Headers], Headers]):
    with pytest.raises(SignatureError):
        verify(wrong(headers_of(OLD)), BODY, secrets=[OLD], now_s=NOW_S)


@pytest.mark.parametrize(
    "body", [b"", BODY + b" ", BODY[:-1], BODY.replace(b"ord_1", b"ord_2"), BODY.upper()]
)
def test_another_body_is_refused(body: bytes):
    with pytest.raises(SignatureError, match="no signature"):
        verify(headers_of(OLD), body, secrets=[OLD], now_s=NOW_S)


@pytest.mark.parametrize("at_s", [NOW_S - 301, NOW_S + 301])
def test_a_stale_delivery_is_refused_although_it_is_signed(at_s: int):
    with pytest.raises(SignatureError, match="more than 300"):
        verify(headers_of(OLD, at_s=at_s), BODY, secrets=[OLD], now_s=NOW_S)


def test_a_stranger_s_signature_is_refused():
    with pytest.raises(SignatureError, match="valid secret"):
        verify(headers_of(STRANGER), BODY, secrets=[OLD, NEW], now_s=NOW_S)


def test_a_rotated_out_secret_is_refused():
    with pytest.raises(SignatureError):
        verify(headers_of(OLD), BODY, secrets=[NEW], now_s=NOW_S)


def test_no_secret_shows_in_a_text():
    secret = Secret.generate()
    with pytest.raises(SignatureError) as caught:
        verify(headers_of(OLD), BODY, secrets=[secret], now_s=NOW_S)
    for text in (repr(secret), str(secret), str(caught.value), repr(caught.value)):
        assert secret.text().removeprefix("whsec_") not in text


def test_a_secret_survives_its_text():
    secret = Secret.generate()
    assert Secret.parse(secret.text()) == secret
    assert len(secret.key) == 32


@pytest.mark.parametrize("text", ["whsec_short", "whsec_!!!", "", "whsec_" + "A" * 400])
def test_a_bad_secret_is_refused_and_not_repeated(text: str):
    with pytest.raises(UsageError) as caught:
        Secret.parse(text)
    assert not text or text not in str(caught.value)


@pytest.mark.parametrize("message_id", ["", "a.b", "ä"])
def test_an_id_that_cannot_be_signed_is_refused(message_id: str):
    with pytest.raises(UsageError, match="message_id="):
        sign(message_id, BODY, timestamp_s=NOW_S, secrets=[OLD])


def test_nothing_is_signed_without_a_secret():
    with pytest.raises(UsageError, match="no secret"):
        sign("msg_1", BODY, timestamp_s=NOW_S, secrets=[])
