"""Right subscribers pass; wrong ones are caught by their rule."""
# ruff: noqa: D102, ARG002 - the planted parts are the protocols' methods

from typing import Any

import pytest

from labcore.reactive import Subscription
from labcore.reactive.tck import RuleBroken, subscriber_rules


class Collecting:
    """A subscriber by the rules; `fault` names the one it breaks."""

    def __init__(self, fault: str = "") -> None:
        self.fault = fault
        self.subscription: Subscription | None = None

    def on_subscribe(self, subscription: Subscription) -> None:
        if self.subscription is not None and self.fault != "takes two subscriptions":
            subscription.cancel()
            return
        self.subscription = subscription
        if self.fault != "asks for nothing":
            subscription.request(1)

    def on_next(self, value: Any) -> None:
        assert self.subscription is not None
        if self.fault == "raises":
            raise RuntimeError(f"planted at {value}")
        self.subscription.request(1)

    def on_error(self, error: Exception) -> None:
        self.on_complete()

    def on_complete(self) -> None:
        assert self.subscription is not None
        if self.fault == "cancels at the end":
            self.subscription.cancel()


def broken(fault: str) -> set[str]:
    found = set()
    for check in subscriber_rules(lambda: Collecting(fault)):
        try:
            check.run()
        except (RuleBroken, RuntimeError):
            found.add(check.rule)
    return found


def test_a_right_subscriber_passes():
    assert broken("") == set()


@pytest.mark.parametrize(
    ("fault", "rule"),
    [
        ("asks for nothing", "2.01"),
        ("cancels at the end", "2.03"),
        ("takes two subscriptions", "2.05"),
        ("raises", "2.13"),
    ],
)
def test_a_wrong_subscriber_is_caught_by_its_rule(fault: str, rule: str):
    assert rule in broken(fault)


def test_elements_are_those_the_subscriber_understands():
    seen: list[str] = []

    class Reading(Collecting):
        def on_next(self, value: str) -> None:
            seen.append(value)
            super().on_next(value)

    for check in subscriber_rules(Reading, element=str):
        check.run()
    assert set(seen) == {"0", "1", "2"}
