from dataclasses import replace
from typing import Any

import pytest

from labcore.protocols.webhook import FullJitter
from labcore.resilience import State as BreakerState
from servers.partner_webhook_dispatcher.desk import Desk
from servers.partner_webhook_dispatcher.domain import (
    Claimed,
    Outcome,
    Partner,
    PutOff,
    State,
    judge,
)
from servers.partner_webhook_dispatcher.guard import Rules

PARTNER = Partner("a", State.ENABLED, ordered=False, rate_per_s=0.0, places=4)


def _desk(*partners: Partner, concurrency: int = 10, **rules: Any) -> Desk:
    desk = Desk(1, Rules(**rules), concurrency=concurrency, lease_s=5.0)
    desk.know(partners, 0.0)
    return desk


def _free(desk: Desk, now_s: float = 0.0) -> dict[str, int]:
    claiming = desk.claiming(now_s)
    return (
        {} if claiming is None else dict(zip(claiming["partners"], claiming["free"], strict=True))
    )


def _claimed(number: int, partner: str = "a") -> Claimed:
    return Claimed(
        id=number,
        lease=1,
        event_id=f"msg_{number}",
        partner_id=partner,
        url="http://x/",
        payload=b"{}",
        attempt=1,
        tries=1,
        previous_s=0.0,
        timeout_s=1.0,
        retry=FullJitter(),
        secrets=(),
    )


def test_a_partner_gets_its_places_and_all_together_the_bound():
    desk = _desk(PARTNER, replace(PARTNER, id="b"), concurrency=6)
    assert _free(desk) == {"a": 4, "b": 4}
    desk.take([_claimed(number) for number in range(4)])
    claiming = desk.claiming(0.0)
    assert claiming is not None
    assert (_free(desk), claiming["limit"]) == ({"b": 2}, 2)
    desk.drop(_claimed(0))
    assert _free(desk) == {"a": 1, "b": 3}


def test_without_bulkheads_one_partner_may_take_everything():
    desk = _desk(PARTNER, bulkheads=False)
    desk.take([_claimed(number) for number in range(9)])
    assert _free(desk) == {"a": 1}
    desk.take([_claimed(9)])
    assert desk.claiming(0.0) is None


def test_where_order_is_asked_for_one_is_in_hand():
    desk = _desk(replace(PARTNER, ordered=True))
    assert _free(desk) == {"a": 1}
    desk.take([_claimed(1)])
    assert _free(desk) == {}


def test_who_is_gone_gets_nothing_and_who_is_disabled_one_probe_when_it_is_due():
    gone = replace(PARTNER, id="gone", state=State.GONE)
    disabled = replace(PARTNER, id="disabled", state=State.DISABLED, probe_in_s=3.0)
    desk = _desk(gone, disabled)
    assert _free(desk, 2.9) == {}
    assert _free(desk, 3.0) == {"disabled": 1}


def test_a_put_off_or_an_asked_for_patience_holds_the_whole_partner():
    desk = _desk(PARTNER, replace(PARTNER, id="b"))
    desk.put_off(_claimed(1), PutOff(2.0), now_s=1.0)
    assert _free(desk, 2.9) == {"b": 4}
    busy = Outcome(429, None, 1.0, retry_after_s=5.0)
    claimed = _claimed(2, "b")
    desk.settled(claimed, busy, judge(claimed, busy, draw=0), now_s=1.0)
    assert _free(desk, 3.0) == {"a": 4}
    assert _free(desk, 6.0) == {"a": 4, "b": 4}


def test_an_open_breaker_claims_nothing_and_a_half_open_one_its_trial_calls():
    desk = _desk(PARTNER, breaker_wait_s=2.0, breaker_trial_calls=2)
    breaker = desk.policies("a").circuit_breaker
    assert breaker is not None
    breaker.transition_to(BreakerState.OPEN, now_s=0.0)
    assert desk.gauges()["breakers_open"] == 1
    assert _free(desk, 1.9) == {}
    assert _free(desk, 2.0) == {"a": 2}


def test_knowing_the_same_partners_again_keeps_what_their_breakers_know():
    desk = _desk(PARTNER)
    policies = desk.policies("a")
    desk.take([_claimed(1)])
    desk.know([replace(PARTNER, state=State.DISABLED)], 0.0)
    assert desk.policies("a") is policies
    desk.know([replace(PARTNER, places=2)], 0.0)
    assert desk.policies("a") is not policies
    assert _free(desk) == {"a": 1}


def test_a_closed_desk_claims_nothing():
    desk = _desk(PARTNER)
    desk.close()
    assert desk.claiming(0.0) is None
    assert not desk.is_open


def test_a_ring_wakes_who_waits_and_is_remembered_when_nobody_does():
    desk, woken = _desk(PARTNER), []
    assert desk.arm(lambda: woken.append(1))
    desk.ring()
    assert woken == [1]
    desk.ring()
    assert not desk.arm(lambda: woken.append(2))
    assert desk.arm(lambda: woken.append(3))


def test_attempts_are_counted_by_what_became_of_them():
    desk = _desk(PARTNER)
    for number, status in enumerate((200, 500, 410)):
        claimed, outcome = _claimed(number), Outcome(status, None, 1.0)
        desk.settled(claimed, outcome, judge(claimed, outcome, draw=0), now_s=0.0)
    seen = desk.gauges()
    counted = [seen[name] for name in ("delivered_total", "retried_total", "dead_total")]
    assert (counted, seen["attempts_total"]) == ([1, 1, 1], 3)


@pytest.mark.parametrize("in_hand", [0, 3])
def test_what_is_in_hand_is_known_until_it_is_dropped(in_hand: int):
    desk = _desk(PARTNER)
    desk.take([_claimed(number) for number in range(in_hand)])
    assert len(desk.in_hand()) == desk.gauges()["deliveries_in_hand"] == in_hand
