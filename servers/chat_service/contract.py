"""The contract of the chat service: shapes, limits, the status of every outcome.

    POST   /rooms/{room}/messages   {client_id, text}: 201 the first time, 200 and the same id after that
    GET    /rooms/{room}/messages   ?before= or ?after=, &limit=: history, oldest first
    POST   /rooms/{room}/acks       {up_to}: received and kept up to this id; never goes back
    GET    /rooms/{room}/presence   who is here
    POST   /rooms/{room}/presence   {tab}: this tab is alive; to be repeated
    DELETE /rooms/{room}/presence   ?tab=: this tab is closed
    GET    /rooms/{room}/events     server-sent events; Last-Event-ID or ?last_id=; ?slow=disconnect|drop
    GET    /rooms/{room}/socket     the same over WebSocket, in both directions
    POST   /tickets                 {path}: one use, for browsers, as ?ticket=
    POST   /tokens                  {subject, scope, ttl_s}: in a lab only, where `lab.<member>` is a token, too
    DELETE /tokens                  ends the token that is presented, and its streams

Events are JSON objects with a `type`: `message` (id, room, member, client_id, text, published_ns),
`presence` (id, room, member, present) and `gap` (from, to: ids that this stream will not bring). Ids are
those of the room's log: in order, without holes. A stream without a last id begins after what the member
has acknowledged, or, on a first visit, now.

A WebSocket's client first says `{"type": "resume", "last_id": "17" | null}` and then may send `message`,
`ack`, `beat` and `leave`; the answers are `accepted`, `acked`, `present` and `problem`. While nothing
happens the server says `{"type": "heartbeat"}`; over SSE, a comment.

Source: RFC 9457 (problem documents), RFC 6750 (bearer tokens), RFC 6455 section 7.4 (close codes).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from servers.chat_service.domain import Accepted, NewMessage, Page, Slow

MOST_BODY_BYTES = 64 * 1024
MOST_TEXT_CHARS = 4_000
MOST_PAGE = 200
MOST_ID = 2**63 - 1
MOST_TTL_S = 86_400.0
MOST_SCOPES = 64
RETRY_OVERLOADED_MS = 30_000

TOKEN_ENDED = 4001
GOING_AWAY = 1001
POLICY = 1008
TOO_BIG = 1009
TRY_LATER = 1013

ROOM = re.compile(r"[a-z0-9][a-z0-9-]{0,63}", re.ASCII)
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
SCOPE = re.compile(r"[a-z]{1,16}:(\*|[A-Za-z0-9._-]{1,64})", re.ASCII)
PATH = re.compile(r"/rooms/([a-z0-9][a-z0-9-]{0,63})/(events|socket)", re.ASCII)
_ID = re.compile(r"[0-9]{1,19}", re.ASCII)

OUTCOMES: Mapping[int, str] = {
    200: "ok",
    201: "ok",
    401: "unauthenticated",
    403: "forbidden",
    422: "invalid",
    503: "shed",
}
"""The contract's word for each status of `POST /rooms/{room}/messages`; any other is `failed`."""

ANSWERED = frozenset({"ok"})

_TITLES = {
    401: "A valid token is needed",
    403: "The token does not reach so far",
    404: "There is no such resource",
    405: "The resource does not know this method",
    408: "The request took too long to arrive",
    410: "The message is no longer kept",
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
        return compact(self.document).encode()


class ProblemError(Exception):
    """A request that ends here, with the answer to give. Not a fault of the service."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.document.get("detail", ""))
        self.answer = answer


def compact(document: Mapping[str, Any]) -> str:
    """JSON without blanks."""
    return json.dumps(document, separators=(",", ":"))


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


def invalid(where: str, detail: str) -> ProblemError:
    """The error that refuses a request for one field."""
    return ProblemError(problem(422, f"{where}: {detail}", field=where))


def unauthenticated(detail: str) -> ProblemError:
    """The error that asks for a token."""
    return ProblemError(problem(401, detail, headers={"WWW-Authenticate": "Bearer"}))


def forbidden(detail: str) -> ProblemError:
    """The error that says the token does not reach so far."""
    return ProblemError(problem(403, detail))


def unfinished() -> Answer:
    """The answer when a pool ran dry or the database was lost: the same client id is safe to repeat."""
    detail = "the service could not finish; send the same client_id again"
    return problem(503, detail, headers={"Retry-After": "1"})


def too_large() -> Answer:
    """The refusal of a body over the limit; the connection closes, since the rest is not read."""
    detail = f"the body may have at most {MOST_BODY_BYTES} bytes"
    return problem(413, detail, headers={"Connection": "close"}, limit_bytes=MOST_BODY_BYTES)


def too_slow(limit_s: float) -> Answer:
    """The refusal of a body that does not come; the connection closes."""
    detail = f"the body must arrive within {limit_s:g} s"
    return problem(408, detail, headers={"Connection": "close"})


def read_object(body: bytes | str) -> dict[str, Any]:
    """The JSON object that a body is. Raises: ProblemError (422)."""
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as exc:  # not UTF-8, not JSON, or nested beyond reason
        raise invalid("#", "must be one JSON object in UTF-8") from exc
    if not isinstance(document, dict):
        raise invalid("#", "must be an object")
    return document


def read_room(name: str) -> str:
    """A room's name. Raises: ProblemError (404)."""
    if not ROOM.fullmatch(name):
        raise ProblemError(problem(404, f"no room can be called {name[:80]!r}"))
    return name


def read_message(
    document: Mapping[str, Any], *, room: str, member: str, published_ns: int
) -> NewMessage:
    """A message to be sent. Raises: ProblemError (422) naming the first field that is wrong."""
    client_id = read_name(document, "client_id")
    text = document.get("text")
    if not isinstance(text, str) or not 1 <= len(text) <= MOST_TEXT_CHARS:
        raise invalid("#/text", f"must be text of 1 to {MOST_TEXT_CHARS} characters")
    if any(char == "\0" or "\ud800" <= char <= "\udfff" for char in text):
        raise invalid("#/text", "holds NUL or half a surrogate pair, which no store keeps")
    return NewMessage(room, member, client_id, text, published_ns)


def read_name(document: Mapping[str, Any], name: str) -> str:
    """A member of the document that is a short name. Raises: ProblemError (422)."""
    raw = document.get(name)
    if not isinstance(raw, str) or not NAME.fullmatch(raw):
        raise invalid(f"#/{name}", f"must be text of the form {NAME.pattern}")
    return raw


def read_up_to(document: Mapping[str, Any]) -> int:
    """The id of an acknowledgement. Raises: ProblemError (422)."""
    raw = document.get("up_to")
    if type(raw) is not int or not 1 <= raw <= MOST_ID:  # bool is an int, and not welcome
        raise invalid("#/up_to", f"must be a whole number from 1 to {MOST_ID}")
    return raw


def read_last_id(raw: object, where: str) -> int | None:
    """The id that a client saw last; None and the empty text are none. Raises: ProblemError (422)."""
    if raw is None or raw == "":
        return None
    if not isinstance(raw, str) or not _ID.fullmatch(raw) or int(raw) > MOST_ID:
        raise invalid(where, f"must be the text of a whole number up to {MOST_ID}")
    return int(raw)


def read_page(room: str, query: Mapping[str, str]) -> Page:
    """Which piece of history is asked for. Raises: ProblemError (422)."""
    before = read_last_id(query.get("before"), "before")
    after = read_last_id(query.get("after"), "after")
    if before is not None and after is not None:
        raise invalid("before", "cannot stand beside `after`")
    limit = read_last_id(query.get("limit", "50"), "limit")
    if limit is None or not 1 <= limit <= MOST_PAGE:
        raise invalid("limit", f"must be a whole number from 1 to {MOST_PAGE}")
    return Page(room, limit, before=before, after=after)


def read_slow(raw: str | None) -> Slow:
    """What is to become of a slow subscriber. Raises: ProblemError (422)."""
    try:
        return Slow(raw or Slow.DISCONNECT.value)
    except ValueError as exc:
        words = ", ".join(each.value for each in Slow)
        raise invalid("slow", f"must be one of {words}; messages are no state to conflate") from exc


def read_wish(document: Mapping[str, Any]) -> tuple[str, tuple[str, ...], float]:
    """Subject, scope and seconds of a token that is asked for. Raises: ProblemError (422)."""
    subject = read_name(document, "subject")
    scope = document.get("scope")
    if not isinstance(scope, list) or not 1 <= len(scope) <= MOST_SCOPES:
        raise invalid("#/scope", f"must be a list of 1 to {MOST_SCOPES} scopes")
    for index, each in enumerate(scope):
        if not isinstance(each, str) or not SCOPE.fullmatch(each):
            raise invalid(f"#/scope/{index}", f"must be text of the form {SCOPE.pattern}")
    ttl_s = document.get("ttl_s", 3_600.0)
    if type(ttl_s) not in {int, float} or not 0 < ttl_s <= MOST_TTL_S:
        raise invalid("#/ttl_s", f"must be seconds above 0 and up to {MOST_TTL_S:g}")
    return subject, tuple(scope), float(ttl_s)


def accepted(stored: Accepted | None, new: NewMessage) -> Answer:
    """The answer to a message, the first time and every time it comes again."""
    if stored is None:
        return problem(410, f"message {new.client_id!r} was accepted and is no longer kept")
    if stored.text != new.text:
        return invalid("#/client_id", "was used before for another text").answer
    document = {
        "id": stored.id,
        "room": new.room,
        "member": new.member,
        "client_id": new.client_id,
        "text": new.text,
    }
    return Answer(201 if stored.first else 200, document)


def acked(last_id: int | None, *, room: str, member: str) -> Answer:
    """The answer to an acknowledgement."""
    if last_id is None:
        return invalid("#/up_to", f"is an id that room {room!r} has not given yet").answer
    return Answer(200, {"room": room, "member": member, "up_to": last_id})


def present(room: str, members: Sequence[str]) -> Answer:
    """Who is here."""
    return Answer(200, {"room": room, "members": list(members)})
