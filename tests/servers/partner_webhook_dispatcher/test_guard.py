import asyncio

import pytest

from labcore.resilience import BulkheadFullError, CallNotPermittedError, RequestNotPermittedError
from servers.partner_webhook_dispatcher.domain import Outcome, Partner, State
from servers.partner_webhook_dispatcher.guard import Rules, places_of, policies_of

PARTNER = Partner("a", State.ENABLED, ordered=False, rate_per_s=0.0, places=1)
WELL, DOWN = Outcome(200, None, 1.0), Outcome(None, "no answer in time", 1.0)


async def test_an_endpoint_that_fails_is_cut_off_and_one_that_refuses_a_delivery_is_not():
    for outcome, cut_off in ((DOWN, True), (Outcome(400, None, 1.0), False)):
        policies = policies_of(PARTNER, Rules(breaker_window=4))

        async def attempt(outcome: Outcome = outcome) -> Outcome:
            return outcome

        for _ in range(4):
            await policies.call_async(attempt)
        now_s = asyncio.get_running_loop().time()
        assert (places_of(policies, now_s) == 0) is cut_off
        if cut_off:
            with pytest.raises(CallNotPermittedError):
                await policies.call_async(attempt)


async def test_a_full_bulkhead_and_a_used_up_rate_refuse_and_neither_opens_the_breaker():
    slow = policies_of(
        Partner("a", State.ENABLED, ordered=False, rate_per_s=0.5, places=1),
        Rules(breaker_window=1),
    )
    inside = asyncio.Event()
    leave = asyncio.Event()

    async def attempt() -> Outcome:
        inside.set()
        await leave.wait()
        return WELL

    first = asyncio.create_task(slow.call_async(attempt))
    await inside.wait()
    with pytest.raises(RequestNotPermittedError):
        await slow.call_async(attempt)
    leave.set()
    assert await first is WELL
    full = policies_of(PARTNER, Rules())
    leave.clear()
    inside.clear()
    second = asyncio.create_task(full.call_async(attempt))
    await inside.wait()
    with pytest.raises(BulkheadFullError):
        await full.call_async(attempt)
    leave.set()
    await second
    assert places_of(slow, asyncio.get_running_loop().time()) == float("inf")


def test_rules_may_leave_out_each_policy():
    policies = policies_of(PARTNER, Rules(bulkheads=False, breaker=False))
    assert policies.outermost_first == ()
    assert places_of(policies, 0.0) == float("inf")
