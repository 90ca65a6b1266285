"""The HTTP contract of the webhook dispatcher: shapes, limits, the status of every outcome.

    POST /events                   {type, data}, optional Idempotency-Key; 202: stored, and will be delivered;
                                   with `Prefer: wait=S`: 200 once all its deliveries have ended, 202 after S s
    GET  /events/{id}              its deliveries
    GET  /deliveries/{id}          a delivery and its attempts
    POST /deliveries/{id}/replay   a dead letter becomes pending again
    GET  /dead-letters             ?partner=&after=: a page, by id
    POST /partners                 {id, url, types, ordered, rate_per_s, places, timeout_ms, retry, secret}
    GET  /partners, /partners/{id} without secrets
    POST /partners/{id}/rotate     {overlap_s}: a new secret; both sign until the old one has ended
    POST /partners/{id}/enable     deliver again to what was disabled or gone
    POST /partners/{id}/replay     all its dead letters
    GET  /healthz                  alive

A partner receives `{type, timestamp, data}`, signed; the event's id is the `webhook-id` of every attempt.
Errors are problem documents; `field` names what was wrong, as a JSON pointer or the name of a header.

Source: Standard Webhooks 1.0.0; RFC 9457 (problem documents), RFC 6901 (pointers), the IETF draft on the
Idempotency-Key header; RFC 7240 (Prefer).
"""

import hashlib
import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from labcore.kernel import LabError, UsageError, new_id
from labcore.protocols.webhook import FullJitter, Secret, destination
from servers.partner_webhook_dispatcher.domain import Accepted, NewEvent, NewPartner

MOST_BODY_BYTES: Final = 64 * 1024
MOST_TYPES: Final = 100
MOST_PLACES: Final = 1_000
RETRY_AFTER_S: Final = 1
MOST_WAIT_S: Final = 60.0
KEY_HEADER: Final = "Idempotency-Key"
BODY_FIELD: Final = "#"

_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,3})(?:$|[,;\s])", re.ASCII)
_KEY = re.compile(r"[\x21-\x7e]{1,128}", re.ASCII)
_TYPE = re.compile(r"[a-zA-Z0-9_]{1,64}(\.[a-zA-Z0-9_]{1,64}){0,7}", re.ASCII)
_PARTNER_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}", re.ASCII)

OUTCOMES: Mapping[int, str] = {
    200: "ok",
    202: "accepted",
    408: "slow_request",
    413: "oversized",
    422: "invalid",
    503: "unfinished",
}
"""The contract's word for each status of `POST /events`; any other status is `failed`."""

ANSWERED = frozenset({"ok", "accepted"})

_TITLES = {
    404: "There is no such resource",
    405: "The resource does not know this method",
    408: "The request took too long to arrive",
    409: "The resource is not in a state for this",
    413: "The request is too large",
    422: "The request is not valid",
    500: "The service failed",
    503: "The service has no capacity now",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply before it is bytes."""

    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def media_type(self) -> str:
        """A problem from 400 on, plain JSON below."""
        return "application/problem+json" if self.status >= 400 else "application/json"

    def body(self) -> bytes:
        """The document in UTF-8."""
        return json.dumps(self.document, separators=(",", ":")).encode()


class ProblemError(Exception):
    """A request that ends here, with the answer to give. Not a fault of the service."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.document.get("detail", ""))
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Lab:
    """What a registration is judged by: the defaults, and the receivers that may be private."""

    rate_per_s: float = 0.0
    places: int = 16
    timeout_s: float = 5.0
    retry: FullJitter = field(default_factory=FullJitter)
    receivers: Collection[tuple[str, int]] = ()


def problem(
    status: int, detail: str, *, headers: Mapping[str, str] | None = None, **members: Any
) -> Answer:
    """A problem document of that status; `members` extend it."""
    document = {
        "type": "about:blank",
        "title": _TITLES.get(status, "The request was refused"),
        "status": status,
        "detail": detail,
        **members,
    }
    return Answer(status, document, headers or {})


def unfinished() -> Answer:
    """The answer when a pool ran dry or the database was lost."""
    detail = "the service could not finish; send it again under the same key"
    return problem(503, detail, headers={"Retry-After": str(RETRY_AFTER_S)})


def too_large() -> Answer:
    """The refusal of a body over the limit; the connection closes, since the rest is not read."""
    detail = f"the body may have at most {MOST_BODY_BYTES} bytes"
    return problem(413, detail, headers={"Connection": "close"}, limit_bytes=MOST_BODY_BYTES)


def too_slow(limit_s: float) -> Answer:
    """The refusal of a body that does not come; the connection closes."""
    detail = f"the body must arrive within {limit_s:g} s"
    return problem(408, detail, headers={"Connection": "close"})


def missing(what: str, name: object) -> Answer:
    """The answer for what is not there."""
    return problem(404, f"there is no {what} {str(name)[:100]!r}")


def invalid(where: str, detail: str) -> ProblemError:
    """The error that refuses a request for one field."""
    return ProblemError(problem(422, f"{where}: {detail}", field=where))


def read_event(key: str | None, body: bytes, *, at: datetime) -> NewEvent:
    """The event in a request, published at that moment. Raises: ProblemError (422) naming the field."""
    if key is not None and not _KEY.fullmatch(key):
        raise invalid(KEY_HEADER, "must have 1 to 128 visible ASCII characters")
    document = read_object(body)
    kind = _text(document.get("type"), "#/type", _TYPE)
    data = document.get("data")
    if not isinstance(data, dict):
        raise invalid("#/data", "must be an object")
    canonical = json.dumps([kind, data], sort_keys=True)
    payload = {"type": kind, "timestamp": at.isoformat(), "data": data}
    return NewEvent(
        id=new_id("msg"),
        key=key,
        fingerprint=hashlib.sha256(canonical.encode()).hexdigest()[:32],
        type=kind,
        payload=json.dumps(payload, separators=(",", ":")),
    )


def wait_s(prefer: str | None) -> float:
    """How long a publisher would wait for the end; 0 for one who does not say. Source: RFC 7240, 4.3."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), MOST_WAIT_S) if found else 0.0


def accepted(event: Accepted, wanted: NewEvent, *, ended: int | None = None) -> Answer:
    """The answer to `POST /events`, the first time and every time the key comes again.

    `ended`: how many deliveries have ended, for a publisher who waited.
    """
    if event.fingerprint != wanted.fingerprint:
        return invalid(KEY_HEADER, "was used before for a different event").answer
    document = {"id": event.id, "deliveries": event.deliveries}
    headers = {"Location": f"/events/{event.id}"}
    if ended is None:
        return Answer(202, document, headers)
    headers["Preference-Applied"] = "wait"
    done = ended >= event.deliveries
    return Answer(200 if done else 202, {**document, "ended": ended}, headers)


def read_partner(body: bytes, lab: Lab) -> tuple[NewPartner, bool]:
    """The partner in a registration, and whether its secret was made here.

    Raises: ProblemError (422) naming the first field that is wrong, without repeating a secret.
    """
    document = read_object(body)
    name = _text(document.get("id"), "#/id", _PARTNER_ID)
    retry = document.get("retry", {})
    if not isinstance(retry, dict):
        raise invalid("#/retry", "must be an object")
    given = document.get("secret")
    partner = NewPartner(
        id=name,
        url=_url(document.get("url"), lab),
        types=_types(document.get("types", [])),
        ordered=_flag(document.get("ordered", False), "#/ordered"),
        rate_per_s=_number(document.get("rate_per_s", lab.rate_per_s), "#/rate_per_s", most=1e5),
        places=int(_number(document.get("places", lab.places), "#/places", 1, MOST_PLACES)),
        timeout_s=_number(
            document.get("timeout_ms", lab.timeout_s * 1e3), "#/timeout_ms", 1, lab.timeout_s * 1e3
        )
        / 1e3,
        retry=_retry(retry, lab.retry),
        secret=Secret.generate() if given is None else _secret(given),
    )
    return partner, given is None


def registered(partner: NewPartner, *, secret_is_ours: bool) -> Answer:
    """The answer to a registration; the one place where a new secret is told."""
    document = {"id": partner.id, "url": partner.url}
    if secret_is_ours:
        document["secret"] = partner.secret.text()
    return Answer(201, document, {"Location": f"/partners/{partner.id}"})


def rotated(secret: Secret, *, overlap_s: float) -> Answer:
    """The answer to a rotation: the new secret, and how long the old ones sign, too."""
    return Answer(200, {"secret": secret.text(), "overlap_s": overlap_s})


def read_overlap_s(body: bytes) -> float:
    """For how long old secrets sign beside the new one. Raises: ProblemError (422)."""
    document = read_object(body) if body else {}
    return _number(document.get("overlap_s", 86_400), "#/overlap_s", most=30 * 86_400)


def read_number(text: str, where: str) -> int:
    """A whole number of a path or query. Raises: ProblemError (422)."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise invalid(where, "must be a whole number from 0")
    return int(text)


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object that a body is. Raises: ProblemError (422)."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as exc:  # not UTF-8, not JSON, or nested beyond reason
        raise invalid(BODY_FIELD, "must be one JSON object in UTF-8") from exc
    if not isinstance(document, dict):
        raise invalid(BODY_FIELD, "must be an object")
    return document


def _url(raw: Any, lab: Lab) -> str:
    if not isinstance(raw, str) or len(raw) > 2_000:
        raise invalid("#/url", "must be a URL of at most 2000 characters")
    try:
        return destination(raw, exceptions=lab.receivers).url
    except LabError as exc:
        raise invalid("#/url", str(exc)) from exc


def _types(raw: Any) -> tuple[str, ...]:
    if not isinstance(raw, list) or len(raw) > MOST_TYPES:
        raise invalid("#/types", f"must be a list of at most {MOST_TYPES} event types")
    return tuple(_text(each, f"#/types/{index}", _TYPE) for index, each in enumerate(raw))


def _retry(raw: Mapping[str, Any], default: FullJitter) -> FullJitter:
    base_s = _number(raw.get("base_s", default.base_s), "#/retry/base_s", most=86_400)
    ceiling_s = _number(raw.get("ceiling_s", default.ceiling_s), "#/retry/ceiling_s", most=86_400)
    attempts = _number(raw.get("attempts", default.attempts), "#/retry/attempts", 1, 100)
    try:
        return FullJitter(base_s, ceiling_s, int(attempts))
    except UsageError as exc:
        raise invalid("#/retry", str(exc)) from exc


def _secret(raw: Any) -> Secret:
    try:
        return Secret.parse(raw if isinstance(raw, str) else "?")
    except UsageError as exc:
        raise invalid("#/secret", "must be whsec_ and the base64 of 24 to 64 bytes") from exc


def _flag(raw: Any, where: str) -> bool:
    if not isinstance(raw, bool):
        raise invalid(where, "must be true or false")
    return raw


def _number(raw: Any, where: str, least: float = 0, most: float = 1e9) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float) or not least <= raw <= most:
        raise invalid(where, f"must be a number from {least:g} to {most:g}")
    return float(raw)


def _text(raw: Any, where: str, pattern: re.Pattern[str]) -> str:
    if not isinstance(raw, str) or not pattern.fullmatch(raw):
        raise invalid(where, f"must be text of the form {pattern.pattern}")
    return raw
