"""More than one answer is right, and the laws know it; and each way of *works but* has its word."""

import pytest

from labcore.learn import Status, check, exercise

HEAD = """
import anyio
from labcore.reactive import *
from labcore.reactive.testing import StepVerifier
"""

RIGHT = {
    "flat_map": [
        """
def reserve_all(skus, reserve):
    async def one(sku):
        return await reserve(sku)
    return skus.flat_map(one, concurrency=3)
""",
    ],
    "zip": [
        """
def quote(price, discount):
    return Mono.zip(price, discount.switch_if_empty(Mono.just(0))).map(lambda row: row[0] - row[1])
""",
        """
def quote(price, discount):
    async def both():
        found = {}
        async def ask(name, mono):
            found[name] = await mono
        async with anyio.create_task_group() as group:
            group.start_soon(ask, "price", price)
            group.start_soon(ask, "discount", discount)
        return found["price"] - (found["discount"] or 0)
    def alone(error):
        return error.exceptions[0] if isinstance(error, ExceptionGroup) else error
    return Mono.from_callable(both).on_error_map(alone)
""",
    ],
    "timeout": [
        """
def authorise(call, limit_s):
    return call.timeout(limit_s).on_error_return("pending", only=StreamTimeoutError)
""",
        """
def authorise(call, limit_s):
    return Mono.first_with_signal(call, Mono.delay(limit_s).map(lambda _: "pending"))
""",
        """
def authorise(call, limit_s):
    async def asked():
        with anyio.move_on_after(limit_s):
            return await call
        return "pending"
    return Mono.from_callable(asked)
""",
    ],
    "retry": [
        """
def patiently(call):
    rule = Retry.backoff(3, 0.1, max_backoff_s=1, jitter=0.2)
    return call.retry_when(rule.with_filter(lambda error: type(error) is ConnectionError))
""",
        """
import random
from anyio import sleep
def patiently(call):
    async def again():
        for attempt in range(4):
            try:
                return await call
            except ConnectionError:
                if attempt == 3:
                    raise
            await sleep(0.1 * 2**attempt * random.uniform(1, 1.4))
    return Mono.from_callable(again)
""",
    ],
    "limit_rate": [
        "def export(orders, write):\n    return orders.limit_rate(4).concat_map(write)\n",
        "def export(orders, write):\n    return orders.limit_rate(8, low=8).concat_map(write)\n",
        "def export(orders, write):\n    return orders.limit_rate(6).flat_map(write, concurrency=1)\n",
    ],
    "latest": [
        """
def board(prices):
    return prices.on_backpressure_buffer(1, overflow=Overflow.DROP_OLDEST)
""",
    ],
    "verifier": [
        """
def verify(flow):
    script = StepVerifier.with_virtual_time(flow).expect_subscription().expect_no_event(0.99)
    script = script.then_await(0.02).expect_next("packed").expect_no_event(1.9)
    script.then_await(0.1).assert_next(is_sent).expect_complete().verify()

def is_sent(news):
    assert news == "sent"
""",
    ],
    "scope": [
        """
from labcore.virtual import StructuredTaskScope
def cheapest(executor, ask, carriers):
    found = []
    with StructuredTaskScope(executor, limit=10) as scope:
        for carrier in carriers:
            scope.fork(lambda one=carrier: found.append(ask(one)))
        scope.join()
    return sorted(found)[0]
""",
    ],
}
ANSWERS = [(name, source) for name, sources in RIGHT.items() for source in sources]
WORDS = {
    ("retry", "sleeping"): Status.BLOCKS,
    ("limit_rate", "buffered"): Status.IGNORES_DEMAND,
    ("timeout", "call_goes_on"): Status.SWALLOWS_CANCELLATION,
    ("scope", "orphans"): Status.SWALLOWS_CANCELLATION,
    ("zip", "blocking"): Status.DOES_NOT_RUN,
    ("flat_map", "unbounded"): Status.NOT_YET,
}


@pytest.mark.parametrize(("name", "source"), ANSWERS, ids=[name for name, _ in ANSWERS])
def test_another_right_answer_passes(name: str, source: str):
    result = check(name, HEAD + source)
    assert result.passed, str(result)


@pytest.mark.parametrize(("name", "wrong"), WORDS, ids="-".join)
def test_a_wrong_answer_gets_the_word_that_fits(name: str, wrong: str):
    source = next(one.source for one in exercise(name).wrong if one.name == wrong)
    assert check(name, source).status is WORDS[name, wrong]


def test_sleeping_in_a_thread_of_its_own_blocks_nobody():
    source = """
import time
def quote(price, discount):
    async def worked_out():
        await anyio.to_thread.run_sync(time.sleep, 0.001)
        return 0
    none = discount.switch_if_empty(Mono.from_callable(worked_out))
    return price.zip_with(none, lambda cents, off: cents - off)
"""
    assert check("zip", HEAD + source).passed
