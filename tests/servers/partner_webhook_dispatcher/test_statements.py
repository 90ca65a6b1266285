from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from labcore.protocols.webhook import Secret
from servers.partner_webhook_dispatcher import statements
from servers.partner_webhook_dispatcher.domain import Claimed, NewEvent, Outcome, PutOff, judge

Connection = psycopg.Connection[tuple[Any, ...]]


@pytest.fixture
def dispatchers(dispatcher_url: str) -> Iterator[tuple[Connection, Connection]]:
    """Two connections of two dispatchers, and two partners; the second wants order."""
    with (
        psycopg.connect(dispatcher_url, autocommit=True) as one,
        psycopg.connect(dispatcher_url, autocommit=True) as two,
    ):
        for name, ordered in (("free", False), ("ordered", True)):
            one.execute(
                "INSERT INTO partners (id, url, types, ordered, rate_per_s, places, timeout_s,"
                " retry_base_s, retry_ceiling_s, retry_attempts)"
                " VALUES (%s, 'http://x/', %s, %s, 0, 8, 1, 0, 0, 5)",
                [name, [name], ordered],
            )
            key = Secret.generate().key
            one.execute("INSERT INTO partner_secrets VALUES (%s, 1, %s)", [name, key])
        yield one, two


def _publish(connection: Connection, name: str, *, key: str | None = None) -> str | None:
    new = NewEvent(f"msg_{key or name}", key, "print", name, "{}")
    row = connection.execute(statements.ACCEPT, statements.accepting(new)).fetchone()
    return None if row is None else statements.accepted_of(row).id


def _claim(
    connection: Connection, partner: str, *, free: int = 8, lease: int = 1, lease_s: float = 60.0
) -> list[Claimed]:
    values = {
        "partners": [partner],
        "free": [free],
        "limit": 8,
        "lease": lease,
        "lease_s": lease_s,
    }
    rows = connection.execute(statements.CLAIM, values).fetchall()
    return sorted((statements.claimed_of(row) for row in rows), key=lambda each: each.id)


def _settle(connection: Connection, claimed: Claimed, status: int) -> int:
    outcome = Outcome(status, None, 1.0)
    settling = statements.settling(claimed, outcome, judge(claimed, outcome, draw=0))
    rules = {"dispatcher": 1, "disable_after": 9, "disable_s": 60.0, "probe_s": 1.0}
    return connection.execute(statements.SETTLE, settling | rules).rowcount


def test_two_dispatchers_never_claim_the_same_delivery(dispatchers: tuple[Connection, Connection]):
    one, two = dispatchers
    for number in range(6):
        _publish(one, "free", key=f"k{number}")
    with one.transaction(), two.transaction():  # neither has committed when the other claims
        first = _claim(one, "free", free=4)
        second = _claim(two, "free", lease=2)
    assert len(first) == 4
    assert {each.id for each in first}.isdisjoint(each.id for each in second)
    assert len(first) + len(second) == 6


def test_only_the_first_pending_delivery_in_order_can_be_claimed_by_anybody(
    dispatchers: tuple[Connection, Connection],
):
    one, two = dispatchers
    for number in range(3):
        _publish(one, "ordered", key=f"k{number}")
    with one.transaction():
        (head,) = _claim(one, "ordered")
        assert _claim(two, "ordered", lease=2) == []
    assert _claim(two, "ordered", lease=2) == []
    _settle(one, head, 200)
    (following,) = _claim(two, "ordered", lease=2)
    assert following.event_id == "msg_k1"


def test_a_later_event_in_order_waits_for_the_earlier_ones_transaction(
    dispatchers: tuple[Connection, Connection],
):
    """Else it could be seen, and delivered, before the earlier one is there."""
    one, two = dispatchers
    two.execute("SET lock_timeout = '100ms'")
    with one.transaction():
        _publish(one, "ordered", key="earlier")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            _publish(two, "ordered", key="later")
        assert _publish(two, "free", key="other") == "msg_other"


def test_a_lease_that_ended_is_claimed_again_and_its_first_holder_can_only_succeed(
    dispatchers: tuple[Connection, Connection],
):
    one, two = dispatchers
    _publish(one, "free")
    (late,) = _claim(one, "free", lease_s=0.0)
    (again,) = _claim(two, "free", lease=2)
    assert again.event_id == late.event_id
    assert _settle(one, late, 500) == 0
    assert one.execute(statements.PUT_OFF, statements.putting_off(late, PutOff(9.0))).rowcount == 0
    assert _settle(one, late, 200) == 1
    assert _settle(two, again, 500) == 0


def test_what_is_given_back_can_be_claimed_at_once(dispatchers: tuple[Connection, Connection]):
    one, two = dispatchers
    _publish(one, "free")
    claimed = _claim(one, "free")
    assert _claim(two, "free") == []
    one.execute(statements.GIVE_BACK, statements.giving_back(claimed))
    assert len(_claim(two, "free", lease=2)) == 1


def test_a_key_stores_once(dispatchers: tuple[Connection, Connection]):
    one, _ = dispatchers
    assert _publish(one, "free", key="k") == "msg_k"
    assert _publish(one, "free", key="k") is None
    row = one.execute(statements.FIND_BY_KEY, {"key": "k"}).fetchone()
    assert row is not None
    assert statements.accepted_of(row).deliveries == 1
