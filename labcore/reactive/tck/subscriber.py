"""Rules of subscribers, driven by a `TestPublisher` and by subscriptions that keep a diary."""

# ruff: noqa: D103 - a check's name is its sentence

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from labcore.reactive.scope import Scope
from labcore.reactive.spec import Subscriber
from labcore.reactive.tck.check import Check, RuleBroken, settle
from labcore.reactive.testing import TestPublisher

Make = Callable[[], Subscriber[Any]]
Element = Callable[[int], Any]


def subscriber_rules(make: Make, *, element: Element = lambda number: number) -> tuple[Check, ...]:
    """The checks for a subscriber.

    Args:
        make: A fresh subscriber, at each call.
        element: The elements it understands, by number.
    """
    bodies: tuple[tuple[str, Callable[[Make, Element], Awaitable[None]]], ...] = (
        ("2.01", demand_is_signalled),
        ("2.03", completion_touches_no_subscription),
        ("2.03", an_error_touches_no_subscription),
        ("2.04", nothing_is_requested_after_an_end),
        ("2.05", a_second_subscription_is_cancelled),
        ("2.09", completion_comes_without_demand),
        ("2.10", an_error_comes_without_demand),
        ("2.13", handlers_return_normally),
    )
    return tuple(
        Check(rule, body.__name__.replace("_", " "), partial(body, make, element))
        for rule, body in bodies
    )


class _Diary:
    """A subscription that writes down what is done to it."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def request(self, n: int) -> None:
        self.entries.append(f"request({n})")

    def cancel(self) -> None:
        self.entries.append("cancel")


async def demand_is_signalled(make: Make, element: Element) -> None:
    publisher: TestPublisher[Any] = TestPublisher.create_cold()
    async with Scope() as scope:
        publisher.subscribe(make(), scope=scope)
        await settle()
        _must("2.01", publisher.was_requested, "the subscriber never asked for an element")
        publisher.emit(element(0))


async def completion_touches_no_subscription(make: Make, _: Element) -> None:
    subscriber, diary = _subscribed(make)
    before = list(diary.entries)
    subscriber.on_complete()
    _must("2.03", diary.entries == before, f"on_complete led to {diary.entries}")


async def an_error_touches_no_subscription(make: Make, _: Element) -> None:
    subscriber, diary = _subscribed(make)
    before = list(diary.entries)
    subscriber.on_error(ValueError("planted"))
    _must("2.03", diary.entries == before, f"on_error led to {diary.entries}")


async def nothing_is_requested_after_an_end(make: Make, element: Element) -> None:
    subscriber, diary = _subscribed(make)
    subscriber.on_next(element(0))
    subscriber.on_complete()
    before = list(diary.entries)
    await settle()
    _must("2.04", diary.entries == before, f"after the end came {diary.entries}")


async def a_second_subscription_is_cancelled(make: Make, _: Element) -> None:
    subscriber, first = _subscribed(make)
    second = _Diary()
    subscriber.on_subscribe(second)
    await settle()
    _must("2.05", second.entries == ["cancel"], f"the second subscription saw {second.entries}")
    _must("2.05", "cancel" not in first.entries, "the first subscription was cancelled")
    subscriber.on_complete()


async def completion_comes_without_demand(make: Make, _: Element) -> None:
    await _ends(make, lambda publisher: publisher.complete())


async def an_error_comes_without_demand(make: Make, _: Element) -> None:
    await _ends(make, lambda publisher: publisher.error(ValueError("planted")))


async def handlers_return_normally(make: Make, element: Element) -> None:
    await _ends(make, lambda publisher: publisher.emit(*map(element, range(3))))


async def _ends(make: Make, send: Callable[[TestPublisher[Any]], object]) -> None:
    publisher: TestPublisher[Any] = TestPublisher.create_cold()
    send(publisher)
    async with Scope() as scope:
        publisher.subscribe(make(), scope=scope)
        await settle()


def _subscribed(make: Make) -> tuple[Subscriber[Any], _Diary]:
    subscriber, diary = make(), _Diary()
    subscriber.on_subscribe(diary)
    return subscriber, diary


def _must(rule: str, holds: bool, finding: str) -> None:
    if not holds:
        raise RuleBroken(rule, finding)
