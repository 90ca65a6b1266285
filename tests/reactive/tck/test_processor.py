"""Wrong operators are caught; a recovering one is excused from passing errors on."""
# ruff: noqa: D101, D102 - the planted parts are the protocols' methods

from typing import Any

import pytest

from labcore.reactive import Flux, Scope, Subscriber, Subscription
from labcore.reactive.tck import RuleBroken, processor_rules
from labcore.reactive.testing import TestPublisher


class Faulty:
    """Passes everything through, but for the fault it is made with."""

    def __init__(self, upstream: TestPublisher[Any], fault: str) -> None:
        self.upstream = upstream
        self.fault = fault

    def subscribe(self, subscriber: Subscriber[Any], *, scope: Scope) -> None:
        self.upstream.subscribe(Through(subscriber, self.fault), scope=scope)


class Through:
    def __init__(self, subscriber: Subscriber[Any], fault: str) -> None:
        self.subscriber = subscriber
        self.fault = fault
        self.on_next = subscriber.on_next
        self.on_complete = subscriber.on_complete

    def on_subscribe(self, subscription: Subscription) -> None:
        self.subscription = subscription
        self.subscriber.on_subscribe(self)

    def on_error(self, error: Exception) -> None:
        if self.fault == "hides errors":
            self.subscriber.on_complete()
        else:
            self.subscriber.on_error(error)

    def request(self, n: int) -> None:
        self.subscription.request(n)

    def cancel(self) -> None:
        if self.fault != "ignores cancel":
            self.subscription.cancel()


def broken(fault: str, *, passes_errors: bool = True) -> set[str]:
    found = set()
    for check in processor_rules(lambda up: Faulty(up, fault), passes_errors=passes_errors):
        try:
            check.run()
        except RuleBroken as exc:
            found.add(f"{exc.rule} by {check.name}")
    return found


@pytest.mark.parametrize(
    ("fault", "finding"),
    [
        ("ignores cancel", "4.01 by cancel reaches the upstream"),
        ("hides errors", "4.02 by an upstream error ends the stream"),
        ("passes on everything", "4.01 by late signals of the upstream go no further"),
        ("passes on everything", "4.02 by a second upstream error goes no further"),
    ],
)
def test_a_wrong_operator_is_caught(fault: str, finding: str):
    assert finding in broken(fault)


def test_an_operator_that_recovers_is_excused():
    found = broken("hides errors", passes_errors=False)
    assert "4.02 by an upstream error ends the stream" not in found


def test_a_right_operator_passes():
    for check in processor_rules(lambda upstream: upstream.flux().map(str)):
        check.run()


def test_an_operator_that_never_subscribes_has_nothing_to_cancel():
    for check in processor_rules(lambda _: Flux.empty(), passes_errors=False):
        check.run()
