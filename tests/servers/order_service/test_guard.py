import time
from dataclasses import replace

import pytest

from labcore.kernel import RefusedError, UsageError
from labcore.lanes import Value
from labcore.resilience import CallNotPermittedError, RetryConfig, State
from servers.order_service import SCENARIO
from servers.order_service.guard import NO_VERDICT, Guard, guard_of
from servers.order_service.payments import PaymentUnknownError, TransientPaymentError, policy_of

QUICK: dict[str, Value] = {"backoff_min_ms": 0.0, "backoff_max_ms": 0.0}
CALLS_TO_OPEN = 40


def guard(**changes: Value) -> Guard:
    values = SCENARIO.values({**QUICK, **changes})
    return guard_of(values, policy_of(values))


class Adapter:
    """Fails as told, and counts how often it was asked."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error
        self.asked = 0

    async def pay(self) -> str:
        """Answer or fail."""
        self.asked += 1
        if self.error is not None:
            raise self.error
        return "paid"


async def refused(guard: Guard, adapter: Adapter) -> Exception:
    with pytest.raises(NO_VERDICT) as caught:
        await guard.paying.call_async(adapter.pay)
    return caught.value


async def test_what_is_transient_is_tried_again_and_its_last_error_is_the_answer():
    adapter = Adapter(TransientPaymentError("again"))
    assert await refused(guard(), adapter) is adapter.error
    assert adapter.asked == 3


async def test_an_answer_outside_the_contract_is_not_tried_again_but_counts_against_the_adapter():
    adapter, chosen = Adapter(PaymentUnknownError("409")), guard()
    for _ in range(CALLS_TO_OPEN):
        await refused(chosen, adapter)
    assert adapter.asked == CALLS_TO_OPEN
    assert isinstance(await refused(chosen, adapter), CallNotPermittedError)


async def test_an_open_breaker_asks_nobody_and_is_not_knocked_on_again():
    adapter, chosen = Adapter(TransientPaymentError("down")), guard(retries=0)
    for _ in range(CALLS_TO_OPEN):
        await refused(chosen, adapter)
    assert isinstance(await refused(chosen, adapter), CallNotPermittedError)
    assert adapter.asked == CALLS_TO_OPEN
    assert chosen.paying.gauges()["breaker_state"] == State.OPEN.value


async def test_while_the_breaker_is_open_no_void_is_sent():
    adapter, chosen = Adapter(TransientPaymentError("down")), guard(retries=0)
    assert chosen.may_void(time.monotonic())
    for _ in range(CALLS_TO_OPEN):
        await refused(chosen, adapter)
    assert not chosen.may_void(time.monotonic())
    assert chosen.may_void(time.monotonic() + 2.1)  # half-open by time alone
    assert guard(breaker=False).may_void(0.0)


async def test_our_own_refusals_say_nothing_of_the_adapter():
    chosen = guard(retries=0)
    for _ in range(2 * CALLS_TO_OPEN):
        await refused(chosen, Adapter(RefusedError("no place here")))
    assert await chosen.paying.call_async(Adapter().pay) == "paid"


async def test_without_a_breaker_everybody_is_asked():
    adapter, chosen = Adapter(TransientPaymentError("down")), guard(breaker=False, retries=0)
    for _ in range(2 * CALLS_TO_OPEN):
        await refused(chosen, adapter)
    assert adapter.asked == 2 * CALLS_TO_OPEN
    assert "breaker_state" not in chosen.paying.gauges()


async def test_a_budget_bounds_the_retries_of_all_orders_together():
    adapter, chosen = (
        Adapter(TransientPaymentError("down")),
        guard(breaker=False, retry_budget_share=0.0),
    )
    for _ in range(200):
        await refused(chosen, adapter)
    assert adapter.asked < 200 + 110  # the full bucket, and the trickle of a second or two


async def test_an_adapter_that_asks_for_too_much_patience_is_not_tried_again():
    adapter = Adapter(TransientPaymentError("429", retry_after_s=5.0))
    await refused(guard(), adapter)
    assert adapter.asked == 1


def test_the_order_of_the_policies_is_resilience4js():
    chosen = guard(payment_bulkhead=3, payment_rate_per_s=100)
    kinds = [type(policy).__name__ for policy in chosen.paying.outermost_first]
    assert kinds == ["Retry", "CircuitBreaker", "RateLimiter", "Bulkhead"]


def test_the_waits_are_those_of_the_parameters():
    values = SCENARIO.values({"retries": 5, "jitter_share": 0.0})
    retry = guard_of(values, policy_of(values)).paying.retry
    assert retry is not None
    assert isinstance(retry.config, RetryConfig)
    backoff = replace(retry.config, random=lambda: 0.5).backoff()
    waits_s = [backoff.wait_s(done, before_s=0.0) for done in range(6)]
    assert waits_s == pytest.approx([0.05, 0.1, 0.2, 0.4, 0.8, 1.0])


def test_a_minimum_above_the_window_still_opens():
    """Resilience4j's rule: a count window caps its minimum."""
    assert guard(breaker_window=10, breaker_minimum_calls=50).paying.circuit_breaker is not None


def test_numbers_that_contradict_each_other_are_refused():
    with pytest.raises(UsageError, match="backoff_min_ms=60 must not exceed"):
        guard(backoff_min_ms=60, backoff_max_ms=50)
