"""What is not dispatched but kept: partners, their secrets, attempts, dead letters. The same for every lane.

Secrets leave it in one answer only, that of the registration or the rotation that made them.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any, LiteralString

import anyio
import psycopg

from labcore.kernel import LabError
from labcore.protocols.webhook import Secret
from labcore.virtual import AsyncDatabase
from servers.partner_webhook_dispatcher import statements
from servers.partner_webhook_dispatcher.desk import Desk
from servers.partner_webhook_dispatcher.domain import Claimed, NewPartner, Partner, State
from servers.partner_webhook_dispatcher.pace import REFRESH_S

_log = logging.getLogger(__name__)

_REGISTER: LiteralString = """
WITH made AS (
    INSERT INTO partners (id, url, types, ordered, rate_per_s, places, timeout_s,
        retry_base_s, retry_ceiling_s, retry_attempts)
    VALUES (%(id)s, %(url)s, %(types)s, %(ordered)s, %(rate_per_s)s, %(places)s, %(timeout_s)s,
        %(base_s)s, %(ceiling_s)s, %(attempts)s)
    ON CONFLICT (id) DO NOTHING
    RETURNING id
)
INSERT INTO partner_secrets (partner_id, number, key) SELECT id, 1, %(key)s FROM made
"""
_MOVE: LiteralString = "UPDATE partners SET url = %(url)s WHERE id = %(id)s"
_KNOWN: LiteralString = """
SELECT id, state, ordered, rate_per_s, places,
    coalesce(extract(epoch FROM probe_at - now()), 0)::double precision
FROM partners
"""
_PARTNER: LiteralString = """
SELECT id, url, types, ordered, rate_per_s, places, timeout_s, retry_base_s, retry_ceiling_s,
    retry_attempts, state, failures,
    (SELECT count(*) FROM partner_secrets WHERE partner_id = partners.id AND valid_until > now())
FROM partners WHERE id > %(after)s AND (%(id)s::text IS NULL OR id = %(id)s) ORDER BY id LIMIT 100
"""
_ROTATE: LiteralString = """
WITH ended AS (
    UPDATE partner_secrets
    SET valid_until = least(valid_until, now() + %(overlap_s)s * interval '1 second')
    WHERE partner_id = %(id)s
    RETURNING number
)
INSERT INTO partner_secrets (partner_id, number, key)
SELECT %(id)s, max(number) + 1, %(key)s FROM ended HAVING count(*) > 0
"""
_ENABLE: LiteralString = """
UPDATE partners SET state = 'enabled', failures = 0, failing_since = NULL, probe_at = NULL
WHERE id = %(id)s
"""
_EVENT: LiteralString = "SELECT id, type, payload FROM events WHERE id = %(id)s"
_DELIVERY_COLUMNS: LiteralString = (
    "id, event_id, partner_id, sequence, status, attempts, reason, due_at, settled_at"
)
_OF_EVENT = (
    f"SELECT {_DELIVERY_COLUMNS} FROM deliveries WHERE event_id = %(id)s ORDER BY partner_id"  # noqa: S608 - constants only
)
_DELIVERY = f"SELECT {_DELIVERY_COLUMNS} FROM deliveries WHERE id = %(id)s"  # noqa: S608 - constants only
_DEAD = f"""
SELECT {_DELIVERY_COLUMNS} FROM deliveries WHERE status = 'dead' AND id > %(after)s
    AND (%(partner)s::text IS NULL OR partner_id = %(partner)s) ORDER BY id LIMIT 100
"""  # noqa: S608 - constants only
_ATTEMPTS: LiteralString = """
SELECT attempt, at, status, error, duration_ms FROM attempts
WHERE delivery_id = %(id)s ORDER BY at, attempt LIMIT 1000
"""
_REPLAY: LiteralString = """
UPDATE deliveries SET status = 'pending', forgiven = attempts, previous_s = 0, lease = NULL,
    due_at = now(), reason = NULL, settled_at = NULL
WHERE status = 'dead' AND (%(id)s::bigint IS NULL OR id = %(id)s)
    AND (%(partner)s::text IS NULL OR partner_id = %(partner)s)
"""
# Nobody will claim what waits for an endpoint that is gone, or disabled beyond all patience.
_BURY: LiteralString = """
UPDATE deliveries SET status = 'dead', lease = NULL, settled_at = now(), reason = CASE
    WHEN state = 'gone' THEN 'the endpoint is gone (410)'
    ELSE 'the endpoint was disabled for too long' END
FROM partners
WHERE partners.id = partner_id AND status = 'pending' AND (state = 'gone' OR (state = 'disabled'
    AND deliveries.created_at < now() - %(give_up_s)s * interval '1 second'))
"""
_ENDED: LiteralString = (
    "SELECT count(*) FROM deliveries WHERE event_id = %(id)s AND status <> 'pending'"
)
_BACKLOG: LiteralString = """
SELECT count(*), coalesce(max(extract(epoch FROM now() - created_at)), 0)::double precision
FROM deliveries WHERE status = 'pending'
"""


class Office:
    """Keeps partners and letters. Runs on one event loop.

    Raises, in every method: PeerError or RefusedError when the database does not answer.
    """

    def __init__(self, database: AsyncDatabase, desk: Desk) -> None:
        self._database = database
        self._desk = desk

    async def register(self, new: NewPartner) -> bool:
        """Store a partner with its first secret; False when the id is taken."""
        made = await self._database.execute(
            _REGISTER,
            {
                "id": new.id,
                "url": new.url,
                "types": list(new.types),
                "ordered": new.ordered,
                "rate_per_s": new.rate_per_s,
                "places": new.places,
                "timeout_s": new.timeout_s,
                "base_s": new.retry.base_s,
                "ceiling_s": new.retry.ceiling_s,
                "attempts": new.retry.attempts,
                "key": new.secret.key,
            },
        )
        await self.refresh()
        return made > 0

    async def move(self, partner_id: str, url: str) -> None:
        """The endpoint has another address."""
        await self._database.execute(_MOVE, {"id": partner_id, "url": url})

    async def rotate(self, partner_id: str, *, overlap_s: float) -> Secret | None:
        """A new secret; deliveries are signed with the old ones, too, for so long. None: no partner."""
        secret = Secret.generate()
        values = {"id": partner_id, "overlap_s": overlap_s, "key": secret.key}
        return secret if await self._database.execute(_ROTATE, values) else None

    async def enable(self, partner_id: str) -> bool:
        """Deliver to it again, whatever it was; False when there is no such partner."""
        found = await self._database.execute(_ENABLE, {"id": partner_id})
        await self.refresh()
        return found > 0

    async def partners(self, partner_id: str | None = None, *, after: str = "") -> list[Any]:
        """Partners as documents, by id, a page at a time; without their secrets."""
        rows = await self._database.fetch_all(_PARTNER, {"id": partner_id, "after": after})
        return [dict(zip(_PARTNER_FIELDS, row, strict=True)) for row in rows]

    async def event(self, event_id: str) -> dict[str, Any] | None:
        """An event and its deliveries."""
        row = await self._database.fetch_one(_EVENT, {"id": event_id})
        if row is None:
            return None
        rows = await self._database.fetch_all(_OF_EVENT, {"id": event_id})
        return {"id": row[0], "type": row[1], "deliveries": [_delivery(each) for each in rows]}

    async def ended(self, event_id: str) -> int:
        """How many of an event's deliveries are delivered or dead, whoever ended them."""
        row = await self._database.fetch_one(_ENDED, {"id": event_id})
        assert row is not None, "an aggregate has a row"
        return int(row[0])

    async def delivery(self, delivery_id: int) -> dict[str, Any] | None:
        """A delivery and its attempts, oldest first."""
        row = await self._database.fetch_one(_DELIVERY, {"id": delivery_id})
        if row is None:
            return None
        rows = await self._database.fetch_all(_ATTEMPTS, {"id": delivery_id})
        attempts = [
            {
                "attempt": attempt,
                "at": at.isoformat(),
                "status": status,
                "error": error,
                "duration_ms": round(duration_ms, 3),
            }
            for attempt, at, status, error, duration_ms in rows
        ]
        return {**_delivery(row), "attempt_log": attempts}

    async def dead_letters(self, partner_id: str | None, *, after: int = 0) -> list[dict[str, Any]]:
        """Dead deliveries by id, a page at a time."""
        values = {"partner": partner_id, "after": after}
        return [_delivery(row) for row in await self._database.fetch_all(_DEAD, values)]

    async def replay(self, *, partner_id: str | None = None, delivery_id: int | None = None) -> int:
        """Make dead letters pending again, with a fresh schedule; how many."""
        values = {"partner": partner_id, "id": delivery_id}
        replayed = await self._database.execute(_REPLAY, values)
        self._desk.ring()
        return replayed

    async def give_back(self, claimed: Sequence[Claimed]) -> None:
        """Let others claim at once what this dispatcher will not finish."""
        await self._database.execute(statements.GIVE_BACK, statements.giving_back(claimed))

    async def refresh(self) -> None:
        """Tell the desk which partners there are."""
        rows = await self._database.fetch_all(_KNOWN)
        partners = [
            Partner(name, State(state), ordered, rate_per_s, places, probe_in_s)
            for name, state, ordered, rate_per_s, places, probe_in_s in rows
        ]
        self._desk.know(partners, time.monotonic())
        self._desk.ring()

    async def keep(self) -> None:
        """Renew the desk's knowledge and bury what nobody will claim, every second, until cancelled."""
        while True:
            await anyio.sleep(REFRESH_S)
            try:
                await self.refresh()
                await self._database.execute(_BURY, {"give_up_s": self._desk.rules.give_up_s})
                row = await self._database.fetch_one(_BACKLOG)
            except (LabError, psycopg.Error) as exc:
                _log.warning("partners are refreshed again later: %s", exc)
                continue
            assert row is not None, "an aggregate has a row"
            self._desk.backlog = {"backlog": row[0], "backlog_oldest_s": row[1]}


_PARTNER_FIELDS = (
    "id", "url", "types", "ordered", "rate_per_s", "places", "timeout_s", "retry_base_s",
    "retry_ceiling_s", "retry_attempts", "state", "failures", "valid_secrets",
)  # fmt: skip


def _delivery(row: Sequence[Any]) -> dict[str, Any]:
    delivery_id, event_id, partner_id, sequence, status, attempts, reason, due_at, settled_at = row
    return {
        "id": delivery_id,
        "event": event_id,
        "partner": partner_id,
        "sequence": sequence,
        "status": status,
        "attempts": attempts,
        "reason": reason,
        "due_at": due_at.isoformat(),
        "settled_at": None if settled_at is None else settled_at.isoformat(),
    }
