"""Rules of publishers and subscriptions, as checks against any publisher.

Every check reads with a `Reader`, which watches rules 1.01, 1.07, 1.08 and 1.09 at each signal, on a
virtual clock, so that a time-based source is checked as fast as any other.
"""

# ruff: noqa: D103 - a check's name is its sentence

import asyncio
import gc
import sys
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import anyio

from labcore.reactive.scope import Scope
from labcore.reactive.spec import UNBOUNDED, Publisher
from labcore.reactive.tck.check import Check, Reader, reading, settle

Make = Callable[[int], Publisher[Any]]


@dataclass(frozen=True, slots=True)
class Subject:
    """The publisher under test: how to make one of `n` elements, and a failing one."""

    make: Make
    failed: Callable[[], Publisher[Any]] | None
    max_elements: int
    outlives: bool

    @asynccontextmanager
    async def read(self, rule: str, n: int) -> AsyncIterator[Reader]:
        """A reader subscribed to a fresh publisher of `n` elements."""
        async with reading(self.make(n), Reader(rule)) as reader:
            yield reader


Body = Callable[[Subject, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Entry:
    rule: str
    elements: int
    needs_failed: bool
    body: Body


_ENTRIES: list[_Entry] = []


def publisher_rules(
    make: Make,
    *,
    failed: Callable[[], Publisher[Any]] | None = None,
    max_elements: int = sys.maxsize,
    outlives: bool = False,
) -> tuple[Check, ...]:
    """The checks for a publisher, in the order of the rules.

        @pytest.mark.parametrize("check", publisher_rules(lambda n: Flux.range(0, n)), ids=str)
        def test_range_keeps_the_rules(check):
            check.run()

    Args:
        make: A publisher that signals exactly `n` elements, then completes. Called inside the loop.
        failed: A publisher that fails at once, without an element; None: those checks do not apply.
        max_elements: The most that `make` can give (1 for a `Mono`); checks of more do not apply.
        outlives: Whether the publisher shares a source that goes on without subscribers (a cache).
    """
    subject = Subject(make, failed, max_elements, outlives)
    return tuple(_check(entry, subject) for entry in sorted(_ENTRIES, key=lambda one: one.rule))


def _check(entry: _Entry, subject: Subject) -> Check:
    reason = ""
    if entry.elements > subject.max_elements:
        reason = (
            f"needs {entry.elements} elements; the publisher has at most {subject.max_elements}"
        )
    elif entry.needs_failed and subject.failed is None:
        reason = "needs a publisher that fails, and none was given"
    elif entry.rule == "P1" and subject.outlives:
        reason = "the source is shared and meant to go on without this subscriber"
    name = entry.body.__name__.replace("_", " ")
    return Check(entry.rule, name, partial(entry.body, subject, entry.rule), reason)


def _rule(number: str, *, elements: int = 1, needs_failed: bool = False) -> Callable[[Body], Body]:
    def register(body: Body) -> Body:
        _ENTRIES.append(_Entry(number, elements, needs_failed, body))
        return body

    return register


@_rule("1.01", elements=5)
async def demand_is_never_exceeded(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 5) as reader:
        reader.must_have(0)
        for total in (1, 2, 4):
            reader.request(total - reader.requested)
            await settle()
            reader.must_have(total)


@_rule("1.02", elements=3)
async def fewer_than_requested_is_an_end(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 3) as reader:
        reader.request(100)
        await settle()
        reader.must_have(3)
        reader.must(reader.completions == 1, "expected a completion")


@_rule("1.03", elements=5)
async def signals_do_not_overlap(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 5) as reader:
        reader.when_next = lambda _: reader.request(2)
        reader.request(1)
        await settle()
        reader.must(
            reader.deepest == 1, f"on_next was called inside on_next, {reader.deepest} deep"
        )
        reader.must_have(5)


@_rule("1.04", needs_failed=True)
async def a_failure_is_signalled_as_an_error(subject: Subject, rule: str) -> None:
    assert subject.failed is not None
    async with reading(subject.failed(), Reader(rule)) as reader:
        reader.request(1)
        await settle()
        reader.must(len(reader.errors) == 1 and not reader.completions, "expected one error")


@_rule("1.05")
async def success_is_signalled_once(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 1) as reader:
        reader.request(1)
        await settle()
        reader.request(1)
        await settle()
        reader.must(reader.completions == 1 and not reader.errors, "expected one completion")


@_rule("1.05", elements=0)
async def an_empty_stream_completes(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 0) as reader:
        reader.request(1)
        await settle()
        reader.must_have(0)
        reader.must(reader.completions == 1, "expected a completion")


@_rule("1.06")
async def an_end_counts_as_cancelled(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 1) as reader:
        reader.request(2)
        await settle()
        reader.must(reader.ended, "expected an end")
        reader.request(5)
        reader.subscriptions[0].cancel()
        reader.request(5)
        await settle()
        reader.must_have(1)


@_rule("1.07", elements=3)
async def nothing_follows_completion(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 3) as reader:
        reader.request(UNBOUNDED)
        await settle()
        reader.request(3)
        await settle()
        reader.must_have(3)
        reader.must(reader.completions == 1, "expected one completion")


@_rule("1.07", needs_failed=True)
async def nothing_follows_an_error(subject: Subject, rule: str) -> None:
    assert subject.failed is not None
    async with reading(subject.failed(), Reader(rule)) as reader:
        reader.request(UNBOUNDED)
        await settle()
        reader.request(3)
        await settle()
        reader.must(len(reader.errors) == 1 and not reader.completions, "expected one error alone")


@_rule("1.08", elements=5)
async def nothing_follows_cancel_inside_on_next(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 5) as reader:
        reader.when_next = lambda _: reader.cancel()
        reader.request(5)
        await settle()
        reader.must_have(1)
        reader.must(not reader.ended, "an end was signalled after cancel")


@_rule("1.08", elements=5)
async def nothing_follows_cancel_between_signals(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 5) as reader:
        reader.request(2)
        await settle()
        reader.cancel()
        await settle()
        reader.must_have(2)
        reader.must(not reader.ended, "an end was signalled after cancel")


@_rule("1.08")
async def nothing_follows_cancel_before_any_demand(subject: Subject, rule: str) -> None:
    reader = Reader(rule)
    reader.when_subscribed = reader.cancel
    async with reading(subject.make(1), reader):
        reader.must_have(0)
        reader.must(not reader.ended, "an end was signalled after cancel")


@_rule("1.09")
async def on_subscribe_comes_first_and_once(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 1) as reader:
        reader.must(
            len(reader.subscriptions) == 1, f"{len(reader.subscriptions)} on_subscribe calls"
        )
        reader.request(2)
        await settle()
        reader.must(
            len(reader.subscriptions) == 1, f"{len(reader.subscriptions)} on_subscribe calls"
        )


@_rule("1.09", needs_failed=True)
async def on_subscribe_comes_before_an_error(subject: Subject, rule: str) -> None:
    assert subject.failed is not None
    async with reading(subject.failed(), Reader(rule)) as reader:
        reader.must(len(reader.subscriptions) == 1, "expected one on_subscribe")
        reader.request(1)


@_rule("1.10")
async def subscriptions_are_distinct(subject: Subject, rule: str) -> None:
    first, second = Reader(rule), Reader(rule)
    publisher = subject.make(1)
    async with reading(publisher, first), reading(publisher, second):
        one, two = first.subscriptions[0], second.subscriptions[0]
        first.must(one is not two, "two subscribers got one subscription")


@_rule("1.11", elements=3)
async def several_subscribers_are_each_served_by_the_rules(subject: Subject, rule: str) -> None:
    first, second = Reader(rule), Reader(rule)
    publisher = subject.make(3)
    async with reading(publisher, first), reading(publisher, second):
        first.request(4)  # one more than there are: some sources learn of their end only then
        second.request(4)
        await settle()
        first.must(first.ended and second.ended, "a subscriber was not served to the end")


@_rule("3.02", elements=3)
async def request_works_inside_on_subscribe_and_on_next(subject: Subject, rule: str) -> None:
    reader = Reader(rule)
    reader.when_subscribed = lambda: reader.request(1)
    reader.when_next = lambda _: reader.request(1)
    async with reading(subject.make(3), reader):
        reader.must_have(3)


@_rule("3.03", elements=2000)
async def requests_inside_on_next_do_not_recurse(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 2000) as reader:
        reader.when_next = lambda _: reader.request(1)
        reader.request(1)
        for _ in range(50):  # a source with a delay per element needs minutes
            await settle()
        reader.must(reader.deepest == 1, f"on_next was {reader.deepest} deep")
        reader.must_have(2000)


@_rule("3.05", elements=3)
async def cancel_may_be_called_again(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 3) as reader:
        reader.request(1)
        await settle()
        for _ in range(3):
            reader.cancel()
        await settle()
        reader.must_have(1)


@_rule("3.06", elements=3)
async def request_after_cancel_does_nothing(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 3) as reader:
        reader.request(1)
        await settle()
        reader.cancel()
        reader.request(2)
        reader.subscriptions[0].request(0)
        await settle()
        reader.must_have(1)
        reader.must(not reader.ended, "a request after cancel was answered")


@_rule("3.07")
async def cancel_after_cancel_does_nothing(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 1) as reader:
        reader.cancel()
        reader.cancel()
        await settle()
        reader.must_have(0)
        reader.must(not reader.ended, "a second cancel was answered")


@_rule("3.08", elements=6)
async def requests_add_up(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 6) as reader:
        for n in (1, 2, 2):
            reader.request(n)
        await settle()
        reader.must_have(5)


async def _refused(subject: Subject, rule: str, n: int) -> None:
    async with subject.read(rule, 1) as reader:
        reader.request(n)
        await settle()
        reader.must(
            len(reader.errors) == 1 and isinstance(reader.errors[0], ValueError),
            f"request({n}) must be signalled as a ValueError",
        )


@_rule("3.09")
async def request_of_zero_is_an_error(subject: Subject, rule: str) -> None:
    await _refused(subject, rule, 0)


@_rule("3.09")
async def request_of_a_negative_number_is_an_error(subject: Subject, rule: str) -> None:
    await _refused(subject, rule, -1)


@_rule("3.12", elements=5000)
async def cancel_stops_a_long_stream(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 5000) as reader:
        reader.when_next = lambda _: reader.cancel() if len(reader.values) == 10 else None
        reader.request(UNBOUNDED)
        await settle()
        reader.must_have(10)


@_rule("3.13", elements=2)
async def cancel_lets_go_of_the_subscriber(subject: Subject, rule: str) -> None:
    reader = Reader(rule)
    async with Scope() as scope:
        publisher = subject.make(2)
        publisher.subscribe(reader, scope=scope)
        reader.request(1)
        await settle()
        subscription = reader.subscriptions.pop()
        subscription.cancel()
        await settle()
        gone = weakref.ref(reader)
        del reader
        Reader(rule).must(_is_gone(gone), "the subscription still refers to its subscriber")
        del subscription, publisher


@_rule("3.15")
async def cancel_returns_normally(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 1) as reader:
        returned: object = reader.subscriptions[0].cancel()  # type: ignore[func-returns-value]  # that is the claim
        reader.must(returned is None, f"cancel returned {returned!r}; nothing is to be awaited")


@_rule("3.16")
async def request_returns_normally(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 1) as reader:
        reader.requested = 1
        returned: object = reader.subscriptions[0].request(1)  # type: ignore[func-returns-value]  # that is the claim
        reader.must(returned is None, f"request returned {returned!r}; nothing is to be awaited")


@_rule("3.17", elements=3)
async def demand_saturates(subject: Subject, rule: str) -> None:
    async with subject.read(rule, 3) as reader:
        reader.request(UNBOUNDED)
        reader.request(UNBOUNDED)
        reader.request(1)
        await settle()
        reader.must_have(3)
        reader.must(reader.completions == 1 and not reader.errors, "expected a completion")


@_rule("P1", elements=3)
async def the_scope_waits_for_every_task(subject: Subject, rule: str) -> None:
    reader = Reader(rule)
    before = asyncio.all_tasks()
    async with Scope() as scope:
        subject.make(3).subscribe(reader, scope=scope)
        reader.request(1)
        await settle()
        reader.cancel()
    left = asyncio.all_tasks() - before
    reader.must(not left, f"tasks outlived their scope: {left}")
    reader.must_be_intact()


@_rule("P2", elements=3)
async def cancellation_is_not_a_signal(subject: Subject, rule: str) -> None:
    reader = Reader(rule)
    with anyio.CancelScope() as outside:
        async with Scope() as scope:
            subject.make(3).subscribe(reader, scope=scope)
            reader.request(1)
            await settle()
            outside.cancel()
            await anyio.sleep_forever()
    reader.must(outside.cancelled_caught, "the cancellation was swallowed")
    reader.must(not reader.errors, "the cancellation was signalled")
    reader.must_be_intact()


@_rule("P6", elements=3)
async def nothing_is_left_after_the_end(subject: Subject, rule: str) -> None:
    before = asyncio.all_tasks()
    reader = Reader(rule)
    async with Scope() as scope:
        publisher = subject.make(3)
        publisher.subscribe(reader, scope=scope)
        reader.request(UNBOUNDED)
        await settle()
        reader.must(reader.ended, "expected an end")
        left = asyncio.all_tasks() - before
        reader.must(not left, f"tasks outlived their stream: {left}")
        subscription = reader.subscriptions.pop()
        gone = weakref.ref(reader)
        del reader
        Reader(rule).must(_is_gone(gone), "the ended stream still refers to its subscriber")
        del subscription, publisher


def _is_gone(reference: "weakref.ref[Reader]") -> bool:
    if reference() is not None:
        gc.collect()  # a cycle may hold it until then
    return reference() is None
