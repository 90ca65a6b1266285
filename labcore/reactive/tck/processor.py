"""Rules of processors: an operator between an upstream under control and a reader."""

# ruff: noqa: D103 - a check's name is its sentence

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from labcore.reactive.spec import UNBOUNDED, Publisher
from labcore.reactive.tck.check import Check, Reader, reading, settle
from labcore.reactive.testing import TestPublisher, Violation

Apply = Callable[["TestPublisher[Any]"], Publisher[Any]]


class UpstreamError(Exception):
    """What the kit's upstream fails with."""


def processor_rules(
    apply: Apply, *, passes_errors: bool = True, outlives: bool = False
) -> tuple[Check, ...]:
    """The checks for an operator.

        processor_rules(lambda upstream: upstream.flux().map(str))

    Args:
        apply: The operator, applied to the upstream.
        passes_errors: Whether an upstream error ends the stream; False for recovering operators.
        outlives: Whether the upstream is shared and goes on when its subscriber leaves (a cache).
    """
    reason = "" if passes_errors else "the operator recovers from upstream errors, as it should"
    goes_on = (
        "the upstream is shared and meant to go on without this subscriber" if outlives else ""
    )
    return (
        _check("4.01", cancel_reaches_the_upstream, apply, goes_on),
        _check("4.01", late_signals_of_the_upstream_go_no_further, apply),
        _check("4.02", an_upstream_error_ends_the_stream, apply, reason),
        _check("4.02", a_second_upstream_error_goes_no_further, apply),
    )


def _check(
    rule: str, body: Callable[[Apply], Awaitable[None]], apply: Apply, reason: str = ""
) -> Check:
    return Check(rule, body.__name__.replace("_", " "), partial(body, apply), reason)


async def cancel_reaches_the_upstream(apply: Apply) -> None:
    upstream: TestPublisher[Any] = TestPublisher.create_cold()
    async with reading(apply(upstream), Reader("4.01")) as reader:
        reader.request(1)
        await settle()
        reader.cancel()
        await settle()
        reader.must(
            not upstream.was_subscribed or upstream.subscribers == 0,
            "the upstream was not cancelled",
        )


async def late_signals_of_the_upstream_go_no_further(apply: Apply) -> None:
    upstream: TestPublisher[Any] = TestPublisher.create_cold_noncompliant(
        Violation.CLEANUP_ON_TERMINATE
    )
    async with reading(apply(upstream), Reader("4.01", expects_drops=True)) as reader:
        reader.request(UNBOUNDED)
        upstream.next(1).complete()
        await settle()
        before = len(reader.values)
        if reader.ended:
            upstream.next(2).complete()
            await settle()
            reader.must(len(reader.values) == before, "an element came after the end")


async def an_upstream_error_ends_the_stream(apply: Apply) -> None:
    upstream: TestPublisher[Any] = TestPublisher.create_cold()
    async with reading(apply(upstream), Reader("4.02")) as reader:
        reader.request(UNBOUNDED)
        upstream.error(UpstreamError("upstream failed"))
        await settle()
        reader.must(
            len(reader.errors) == 1 and isinstance(reader.errors[0], UpstreamError),
            "the upstream's error must arrive",
        )


async def a_second_upstream_error_goes_no_further(apply: Apply) -> None:
    upstream: TestPublisher[Any] = TestPublisher.create_cold_noncompliant(
        Violation.CLEANUP_ON_TERMINATE
    )
    async with reading(apply(upstream), Reader("4.02", expects_drops=True)) as reader:
        reader.request(UNBOUNDED)
        upstream.error(UpstreamError("first")).error(UpstreamError("second"))
        await settle()
        reader.must(len(reader.errors) <= 1, "two errors were signalled")
