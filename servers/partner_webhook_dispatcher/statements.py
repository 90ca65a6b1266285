"""The SQL of dispatching, word for word the same in every lane, and the rows it gives back.

Each step is one statement, so it is its own transaction. An event and its deliveries are stored together
(the outbox): what was accepted will be tried, whatever dies. A claim moves a delivery's due time past a
lease and leaves a token: who dies holding it gives it back by doing nothing, and who comes too late finds
another token. `SKIP LOCKED` lets dispatchers claim side by side without waiting for each other.

In order means: by `sequence`, which a partner's own row hands out, so that no later event can be seen
before an earlier one; only the first pending delivery of such a partner can be claimed.

Source: C. Richardson, Microservices Patterns, "Transactional outbox"; PostgreSQL documentation, SELECT,
"The Locking Clause".
"""

from collections.abc import Mapping, Sequence
from typing import Any, LiteralString

import psycopg

from labcore.kernel import EnvironmentFault
from labcore.lanes import Values
from labcore.protocols.webhook import FullJitter, Secret
from servers.partner_webhook_dispatcher.domain import (
    Accepted,
    Claimed,
    NewEvent,
    Outcome,
    PutOff,
    Verdict,
)

Row = Sequence[Any]
Parameters = Mapping[str, Any]

SCHEMA = """
CREATE TABLE partners (
    id text PRIMARY KEY,
    url text NOT NULL,
    types text[] NOT NULL,
    ordered boolean NOT NULL,
    rate_per_s double precision NOT NULL,
    places integer NOT NULL CHECK (places > 0),
    timeout_s double precision NOT NULL,
    retry_base_s double precision NOT NULL,
    retry_ceiling_s double precision NOT NULL,
    retry_attempts integer NOT NULL,
    state text NOT NULL DEFAULT 'enabled',
    failures integer NOT NULL DEFAULT 0,  -- in a row
    failing_since timestamptz,
    probe_at timestamptz,
    last_sequence bigint NOT NULL DEFAULT 0
) WITH (fillfactor = 50);  -- the last sequence changes with every event
CREATE TABLE partner_secrets (
    partner_id text NOT NULL REFERENCES partners,
    number integer NOT NULL,  -- the newest has the highest
    key bytea NOT NULL,
    valid_until timestamptz NOT NULL DEFAULT 'infinity',
    PRIMARY KEY (partner_id, number)
);
CREATE TABLE events (
    id text PRIMARY KEY,
    idempotency_key text UNIQUE,
    fingerprint text NOT NULL,
    type text NOT NULL,
    payload text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE deliveries (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id text NOT NULL,
    partner_id text NOT NULL,
    sequence bigint,  -- where order was asked for
    status text NOT NULL DEFAULT 'pending',
    due_at timestamptz NOT NULL DEFAULT now(),
    lease bigint,
    attempts integer NOT NULL DEFAULT 0,
    forgiven integer NOT NULL DEFAULT 0,  -- attempts before the last replay
    previous_s double precision NOT NULL DEFAULT 0,
    reason text,
    created_at timestamptz NOT NULL DEFAULT now(),
    settled_at timestamptz
) WITH (fillfactor = 70);
CREATE INDEX deliveries_due ON deliveries (partner_id, due_at)
    WHERE status = 'pending' AND sequence IS NULL;
CREATE INDEX deliveries_in_order ON deliveries (partner_id, sequence)
    WHERE status = 'pending' AND sequence IS NOT NULL;
CREATE INDEX deliveries_dead ON deliveries (partner_id, id) WHERE status = 'dead';
CREATE INDEX deliveries_of_event ON deliveries (event_id);
CREATE TABLE attempts (
    delivery_id bigint NOT NULL,
    attempt integer NOT NULL,
    dispatcher bigint NOT NULL,
    at timestamptz NOT NULL DEFAULT now(),
    status integer,
    error text,
    duration_ms double precision NOT NULL
);
CREATE INDEX attempts_of_delivery ON attempts (delivery_id);
"""

# Partners in order are locked by id, so that two events never wait for each other in a circle.
ACCEPT: LiteralString = """
WITH stored AS (
    INSERT INTO events (id, idempotency_key, fingerprint, type, payload)
    VALUES (%(id)s, %(key)s, %(fingerprint)s, %(type)s, %(payload)s)
    ON CONFLICT (idempotency_key) DO NOTHING
    RETURNING id
), wanting AS (
    SELECT partners.id, ordered FROM partners, stored
    WHERE state <> 'gone' AND (types = '{}' OR %(type)s = ANY (types))
), locked AS MATERIALIZED (
    SELECT id FROM partners WHERE id IN (SELECT id FROM wanting WHERE ordered)
    ORDER BY id FOR UPDATE
), numbered AS (
    UPDATE partners SET last_sequence = last_sequence + 1 FROM locked
    WHERE partners.id = locked.id
    RETURNING partners.id, last_sequence
), made AS (
    INSERT INTO deliveries (event_id, partner_id, sequence)
    SELECT stored.id, wanting.id, numbered.last_sequence
    FROM stored, wanting LEFT JOIN numbered ON numbered.id = wanting.id
    RETURNING 1
)
SELECT stored.id, (SELECT count(*) FROM made), %(fingerprint)s FROM stored
"""

FIND_BY_KEY: LiteralString = """
SELECT id, (SELECT count(*) FROM deliveries WHERE event_id = events.id), fingerprint
FROM events WHERE idempotency_key = %(key)s
"""

# Whoever waits in order is found without a lock, so that a claimed first one is not skipped over.
CLAIM: LiteralString = """
WITH wanted AS (
    SELECT partner_id, free
    FROM unnest(%(partners)s::text[], %(free)s::integer[]) AS named (partner_id, free)
    JOIN partners ON partners.id = partner_id
    WHERE state <> 'gone'  -- others may have learnt it a moment ago
), queued AS (
    SELECT due.id, due.due_at FROM wanted CROSS JOIN LATERAL (
        SELECT id, due_at FROM deliveries
        WHERE partner_id = wanted.partner_id AND status = 'pending' AND sequence IS NULL
            AND due_at <= now()
        ORDER BY due_at LIMIT wanted.free
        FOR UPDATE SKIP LOCKED
    ) AS due
), heads AS (
    SELECT head.id, head.due_at FROM wanted CROSS JOIN LATERAL (
        SELECT id, due_at FROM deliveries
        WHERE id = (
            SELECT id FROM deliveries
            WHERE partner_id = wanted.partner_id AND status = 'pending' AND sequence IS NOT NULL
            ORDER BY sequence LIMIT 1
        ) AND status = 'pending' AND due_at <= now()
        FOR UPDATE SKIP LOCKED
    ) AS head
), chosen AS (
    SELECT id FROM (SELECT * FROM queued UNION ALL SELECT * FROM heads) AS due
    ORDER BY due_at LIMIT %(limit)s
), taken AS (
    UPDATE deliveries SET lease = %(lease)s, due_at = now() + %(lease_s)s * interval '1 second'
    FROM chosen WHERE deliveries.id = chosen.id
    RETURNING deliveries.id, event_id, partner_id, attempts, forgiven, previous_s
)
SELECT taken.id, %(lease)s::bigint, event_id, partner_id, url, payload, attempts, forgiven, previous_s,
    timeout_s, retry_base_s, retry_ceiling_s, retry_attempts,
    ARRAY(
        SELECT key FROM partner_secrets
        WHERE partner_secrets.partner_id = partners.id AND valid_until > now()
        ORDER BY number DESC
    )
FROM taken JOIN events ON events.id = event_id JOIN partners ON partners.id = partner_id
"""

# A delivery counts whoever holds the lease by now; a failure only for the one that still holds it.
SETTLE: LiteralString = """
WITH logged AS (
    INSERT INTO attempts (delivery_id, attempt, dispatcher, status, error, duration_ms)
    VALUES (%(id)s, %(attempt)s, %(dispatcher)s, %(answer)s, %(error)s, %(duration_ms)s)
), recovered AS (
    UPDATE partners SET state = 'enabled', failures = 0, failing_since = NULL, probe_at = NULL
    WHERE id = %(partner_id)s AND %(status)s = 'delivered'
        AND failing_since IS NOT NULL AND state <> 'gone'
), failed AS (
    UPDATE partners SET failures = failures + 1,
        failing_since = coalesce(failing_since, now()),
        state = CASE
            WHEN state = 'gone' OR %(gone)s THEN 'gone'
            WHEN state = 'disabled' OR (failures + 1 >= %(disable_after)s
                AND now() - coalesce(failing_since, now()) >= %(disable_s)s * interval '1 second')
                THEN 'disabled'
            ELSE state END,
        probe_at = now() + %(probe_s)s * interval '1 second'
    WHERE id = %(partner_id)s AND %(blamed)s
)
UPDATE deliveries SET status = %(status)s, attempts = greatest(attempts, %(attempt)s), lease = NULL,
    due_at = now() + %(wait_s)s * interval '1 second', previous_s = %(wait_s)s, reason = %(reason)s,
    settled_at = CASE WHEN %(status)s = 'pending' THEN NULL ELSE now() END
WHERE id = %(id)s AND status = 'pending' AND (lease = %(lease)s OR %(status)s = 'delivered')
"""

PUT_OFF: LiteralString = """
UPDATE deliveries SET lease = NULL, due_at = now() + %(wait_s)s * interval '1 second'
WHERE id = %(id)s AND status = 'pending' AND lease = %(lease)s
"""

GIVE_BACK: LiteralString = """
UPDATE deliveries SET lease = NULL, due_at = now()
WHERE id = ANY (%(ids)s) AND status = 'pending' AND lease = ANY (%(leases)s)
"""


def accepting(new: NewEvent) -> Parameters:
    """What `ACCEPT` needs."""
    return {
        "id": new.id,
        "key": new.key,
        "fingerprint": new.fingerprint,
        "type": new.type,
        "payload": new.payload,
    }


def accepted_of(row: Row) -> Accepted:
    """A row of `ACCEPT` or `FIND_BY_KEY`."""
    event_id, deliveries, fingerprint = row
    return Accepted(event_id, deliveries, fingerprint)


def claimed_of(row: Row) -> Claimed:
    """A row of `CLAIM`."""
    (
        delivery_id, lease, event_id, partner_id, url, payload, attempts, forgiven, previous_s,
        timeout_s, base_s, ceiling_s, most_attempts, keys,
    ) = row  # fmt: skip
    return Claimed(
        id=delivery_id,
        lease=lease,
        event_id=event_id,
        partner_id=partner_id,
        url=url,
        payload=payload.encode(),
        attempt=attempts + 1,
        tries=attempts - forgiven + 1,
        previous_s=previous_s,
        timeout_s=timeout_s,
        retry=FullJitter(base_s, ceiling_s, most_attempts),
        secrets=tuple(Secret(bytes(key)) for key in keys),
    )


def settling(claimed: Claimed, outcome: Outcome, verdict: Verdict) -> dict[str, Any]:
    """What `SETTLE` needs of an attempt; the rules of health are added by `places.Desk`."""
    return {
        "id": claimed.id,
        "lease": claimed.lease,
        "partner_id": claimed.partner_id,
        "attempt": claimed.attempt,
        "answer": outcome.status,
        "error": outcome.error,
        "duration_ms": outcome.duration_ms,
        "status": verdict.status.value,
        "wait_s": verdict.wait_s,
        "reason": verdict.reason,
        "gone": verdict.gone,
        "blamed": verdict.gone or outcome.blames_endpoint,
    }


def putting_off(claimed: Claimed, later: PutOff) -> Parameters:
    """What `PUT_OFF` needs."""
    return {"id": claimed.id, "lease": claimed.lease, "wait_s": later.wait_s}


def giving_back(claimed: Sequence[Claimed]) -> Parameters:
    """What `GIVE_BACK` needs."""
    return {
        "ids": [each.id for each in claimed],
        "leases": sorted({each.lease for each in claimed}),
    }


def prepare(url: str, values: Values) -> None:  # noqa: ARG001 - a scenario's signature
    """Create the schema in an empty database. Raises: EnvironmentFault when the database refuses."""
    try:
        with psycopg.connect(url) as connection:
            connection.execute(SCHEMA)
    except psycopg.Error as exc:
        raise EnvironmentFault(f"cannot prepare the dispatcher's database: {exc}") from exc
