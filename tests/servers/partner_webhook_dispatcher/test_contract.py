import json
from datetime import UTC, datetime
from typing import Any

import pytest

from labcore.protocols.webhook import FullJitter, Secret
from servers.partner_webhook_dispatcher.contract import (
    Lab,
    ProblemError,
    accepted,
    read_event,
    read_number,
    read_overlap_s,
    read_partner,
    registered,
)
from servers.partner_webhook_dispatcher.domain import Accepted

AT = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
PARTNER: dict[str, Any] = {"id": "shop-1", "url": "https://example.com/hooks"}


def _bytes(document: Any) -> bytes:
    return json.dumps(document).encode()


def test_an_event_is_sent_as_type_timestamp_and_data():
    new = read_event("k", _bytes({"type": "order.paid", "data": {"n": 1}}), at=AT)
    assert json.loads(new.payload) == {
        "type": "order.paid",
        "timestamp": "2026-11-23T07:00:00+00:00",
        "data": {"n": 1},
    }
    assert new.id.startswith("msg_")


@pytest.mark.parametrize(
    ("key", "body", "field"),
    [
        ("two words", {"type": "a", "data": {}}, "Idempotency-Key"),
        (None, [], "#"),
        (None, {"type": "a b", "data": {}}, "#/type"),
        (None, {"type": "a..b", "data": {}}, "#/type"),
        (None, {"type": "a"}, "#/data"),
    ],
)
def test_the_first_wrong_field_of_an_event_is_named(key: str | None, body: Any, field: str):
    with pytest.raises(ProblemError) as refused:
        read_event(key, _bytes(body), at=AT)
    assert refused.value.answer.document["field"] == field
    assert refused.value.answer.status == 422


@pytest.mark.parametrize("body", [b"", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_refused(body: bytes):
    with pytest.raises(ProblemError):
        read_event(None, body, at=AT)


def test_the_same_key_for_another_event_is_refused():
    new = read_event("k", _bytes({"type": "a", "data": {}}), at=AT)
    assert accepted(Accepted("msg_0", 2, new.fingerprint), new).status == 202
    assert accepted(Accepted("msg_0", 2, "other"), new).status == 422


def test_a_registration_is_completed_from_the_defaults():
    lab = Lab(places=3, rate_per_s=5.0, timeout_s=2.0, retry=FullJitter(1.0, 2.0, 3))
    partner, secret_is_ours = read_partner(_bytes(PARTNER), lab)
    assert (partner.places, partner.rate_per_s, partner.timeout_s) == (3, 5.0, 2.0)
    assert (partner.types, partner.ordered, partner.retry) == ((), False, lab.retry)
    assert secret_is_ours
    assert registered(partner, secret_is_ours=True).document["secret"] == partner.secret.text()


def test_a_secret_of_the_partners_own_is_taken_and_not_told_back():
    secret = Secret.generate()
    partner, ours = read_partner(_bytes({**PARTNER, "secret": secret.text()}), Lab())
    assert partner.secret == secret
    assert "secret" not in registered(partner, secret_is_ours=ours).document


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "../x"),
        ("url", 7),
        ("types", ["ok", "not ok"]),
        ("ordered", 1),
        ("rate_per_s", -1),
        ("places", 0),
        ("timeout_ms", 1e9),
        ("retry", []),
        ("retry", {"base_s": 5, "ceiling_s": 1}),
        ("retry", {"attempts": True}),
        ("secret", "whsec_short"),
    ],
)
def test_a_wrong_field_of_a_registration_is_named_and_no_secret_repeated(field: str, value: Any):
    with pytest.raises(ProblemError) as refused:
        read_partner(_bytes({**PARTNER, field: value}), Lab())
    document = refused.value.answer.document
    assert document["field"].startswith(f"#/{field}")
    assert "whsec_short" not in json.dumps(document)


def test_only_the_labs_own_receiver_may_be_private():
    local = {**PARTNER, "url": "http://127.0.0.1:8123/partners/a"}
    lab = Lab(receivers=[("127.0.0.1", 8123)])
    assert read_partner(_bytes(local), lab)[0].url == local["url"]
    with pytest.raises(ProblemError):
        read_partner(_bytes({**local, "url": "http://127.0.0.1:8124/"}), lab)


def test_a_rotation_overlaps_a_day_unless_told_otherwise():
    assert read_overlap_s(b"") == 86_400
    assert read_overlap_s(_bytes({"overlap_s": 5})) == 5
    with pytest.raises(ProblemError):
        read_overlap_s(_bytes({"overlap_s": -1}))


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "9" * 30])
def test_what_is_no_number_of_a_delivery_is_refused(text: str):
    with pytest.raises(ProblemError):
        read_number(text, "id")
