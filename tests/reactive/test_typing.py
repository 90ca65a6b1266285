"""What users need not annotate: the types that mypy infers.

Each `assert_type` is checked by mypy, which looks at the tests as well; running the
snippets shows that the inferred types are those of the values.
"""

from typing import assert_type

import anyio.lowlevel

from labcore.reactive import Flux, Mono, RetrySignal


class Price:
    """A value of our own."""

    def __init__(self, pence: int) -> None:
        self.pence = pence


def price() -> Price:
    return Price(7)


async def price_later() -> Price:
    await anyio.lowlevel.checkpoint()
    return Price(7)


def test_from_callable_of_a_function_is_a_mono_of_its_result():
    mono = Mono.from_callable(price)
    assert_type(mono, Mono[Price])
    assert_type(mono.map(lambda one: one.pence), Mono[int])
    assert isinstance(mono.block(), Price)


def test_from_callable_of_a_coroutine_function_is_a_mono_of_what_it_gives():
    mono = Mono.from_callable(price_later)
    assert_type(mono, Mono[Price])
    assert isinstance(mono.block(), Price)


def test_from_callable_of_a_lambda_needs_no_annotation():
    plain = Mono.from_callable(lambda: price().pence)
    later = Mono.from_callable(lambda: price_later())  # noqa: PLW0108 - a lambda is the point
    assert_type(plain, Mono[int])
    assert_type(later, Mono[Price])
    assert plain.block() == 7
    assert later.block().pence == 7


async def test_awaiting_gives_the_value_s_type():
    one = await Mono.from_callable(price_later)
    assert_type(one, Price)
    assert one.pence == 7


def test_calls_in_a_chain_keep_the_types():
    prices = Flux.range(0, 3).flat_map(lambda _: price_later())
    assert_type(prices, Flux[Price])
    assert_type(prices.window_timeout(2, 1), Flux[Flux[Price]])
    assert_type(prices.retry_when(lambda failures: failures.map(describe)), Flux[Price])
    assert_type(prices.publish_on(Immediate()).collect_list(), Mono[list[Price]])
    used = Flux.using_when(Mono.just(price()), lambda one: Flux.just(one.pence), Mono.just)
    assert_type(used, Flux[int])
    assert [one.pence for one in prices.collect_list().block()] == [7, 7, 7]


def describe(signal: RetrySignal) -> str:
    return str(signal.failure)


class Immediate:
    """A scheduler nobody uses here."""

    def execute(self, task: object, /) -> object:
        """Run nothing."""
        return task
