"""The SQL of the chat, word for word the same in every lane, and the rows it gives back.

Each step is one statement, so it is its own transaction. A message's client id is claimed, its place in
the room taken and its event written together: who sends it again finds the claim, waits for the first to
commit, and then finds the event.
"""

import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Final, LiteralString

import psycopg

from labcore.kernel import EnvironmentFault
from labcore.lanes import Values
from labcore.stores import event_log
from servers.chat_service.domain import Accepted, Change, NewMessage, Opening, Page

Row = Sequence[Any]
Parameters = Mapping[str, Any]
MESSAGE: Final = "message"
PRESENCE: Final = "presence"

SCHEMA: LiteralString = """
CREATE TABLE sent (
    room text NOT NULL,
    key text NOT NULL,  -- member/client_id
    PRIMARY KEY (room, key)
);
CREATE TABLE acks (
    room text NOT NULL,
    member text NOT NULL,
    last_id bigint NOT NULL,
    PRIMARY KEY (room, member)
) WITH (fillfactor = 50);
CREATE TABLE signing (key bytea NOT NULL);  -- shared by the processes of one deployment
CREATE INDEX events_of_key ON events (stream, key);
"""

# The claim comes first: a message that was sent before must not take an id.
SEND: LiteralString = """
WITH claimed AS (
    INSERT INTO sent (room, key) VALUES (%(room)s, %(key)s)
    ON CONFLICT DO NOTHING RETURNING room
), next AS (
    INSERT INTO event_streams AS held (stream, last_id) SELECT room, 1 FROM claimed
    ON CONFLICT (stream) DO UPDATE SET last_id = held.last_id + 1
    RETURNING last_id
), written AS (
    INSERT INTO events (stream, id, kind, key, scope, body)
    SELECT %(room)s, last_id, 'message', %(key)s, %(room)s, %(body)s::jsonb FROM next
    RETURNING id
)
SELECT id, pg_notify('labcore_events', %(room)s) FROM written
"""

FIND_SENT: LiteralString = """
SELECT id, body ->> 'text' FROM events
WHERE stream = %(room)s AND key = %(key)s AND kind = 'message'
"""

# An id that was never given is not acknowledged; an older one changes nothing.
ACK: LiteralString = """
INSERT INTO acks AS held (room, member, last_id)
SELECT stream, %(member)s, %(up_to)s FROM event_streams
WHERE stream = %(room)s AND last_id >= %(up_to)s
ON CONFLICT (room, member) DO UPDATE SET last_id = greatest(held.last_id, excluded.last_id)
RETURNING last_id
"""

# The update that changes nothing makes the row of a concurrent first visit visible.
ENTER: LiteralString = """
WITH span AS (
    SELECT coalesce(max(first_id), 1) AS first_id, coalesce(max(last_id), 0) AS last_id
    FROM event_streams WHERE stream = %(room)s
), mine AS (
    INSERT INTO acks AS held (room, member, last_id)
    SELECT %(room)s, %(member)s, last_id FROM span
    ON CONFLICT (room, member) DO UPDATE SET last_id = held.last_id
    RETURNING last_id
)
SELECT mine.last_id, span.first_id, span.last_id FROM span, mine
"""

# `order` is the caller's: the newest before an id, or the oldest after one.
HISTORY_BEFORE: LiteralString = """
SELECT * FROM (
    SELECT id, kind, key, scope, body, extract(epoch FROM at)::float8 FROM events
    WHERE stream = %(room)s AND id < %(edge)s AND kind = 'message' ORDER BY id DESC LIMIT %(most)s
) AS found ORDER BY id
"""

HISTORY_AFTER: LiteralString = """
SELECT id, kind, key, scope, body, extract(epoch FROM at)::float8 FROM events
WHERE stream = %(room)s AND id > %(edge)s AND kind = 'message' ORDER BY id LIMIT %(most)s
"""

READ: LiteralString = event_log.READ
ANNOUNCE: LiteralString = event_log.APPEND

STILL_PRESENT: LiteralString = """
SELECT stream, key FROM (
    SELECT DISTINCT ON (stream, key) stream, key, body FROM events
    WHERE kind = 'presence' ORDER BY stream, key, id DESC
) AS latest WHERE (body ->> 'present')::boolean
"""

SIGNING_KEY: LiteralString = "SELECT key FROM signing"


def sending(new: NewMessage) -> Parameters:
    """The parameters of `SEND` and `FIND_SENT`."""
    body = {
        "member": new.member,
        "client_id": new.client_id,
        "text": new.text,
        "published_ns": new.published_ns,
    }
    return {"room": new.room, "key": new.key, "body": json.dumps(body)}


def first_sent(row: Row, new: NewMessage) -> Accepted:
    """A row of `SEND`."""
    return Accepted(int(row[0]), new.text, first=True)


def sent_before(row: Row | None) -> Accepted | None:
    """A row of `FIND_SENT`; None where retention has taken the message."""
    return None if row is None else Accepted(int(row[0]), row[1], first=False)


def opening(row: Row | None) -> Opening:
    """The row of `ENTER`."""
    assert row is not None
    return Opening(*row)


def announcing(change: Change) -> Parameters:
    """The parameters of `ANNOUNCE`."""
    body = {"member": change.member, "present": change.present}
    key = f"{change.member}/"  # no message has an empty client id
    event = event_log.NewEvent(PRESENCE, body, key=key, scope=change.room)
    return event_log.appending(change.room, [event])


def paging(page: Page) -> tuple[LiteralString, Parameters]:
    """Statement and parameters of a piece of history; without an edge, the newest."""
    if page.after is not None:
        return HISTORY_AFTER, {"room": page.room, "edge": page.after, "most": page.limit}
    edge = 2**63 - 1 if page.before is None else page.before
    return HISTORY_BEFORE, {"room": page.room, "edge": edge, "most": page.limit}


def prepare(url: str, values: Values) -> None:  # noqa: ARG001 - a scenario's signature
    """Create the schema in an empty database. Raises: EnvironmentFault when the database refuses."""
    try:
        with psycopg.connect(url) as connection:
            connection.execute(event_log.SCHEMA)
            connection.execute(SCHEMA)
            connection.execute("INSERT INTO signing VALUES (%s)", [secrets.token_bytes(32)])
    except psycopg.Error as exc:
        raise EnvironmentFault(f"cannot prepare the chat's database: {exc}") from exc
