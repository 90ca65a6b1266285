"""Python's own rules are caught when they are broken."""
# ruff: noqa: D102, ARG002 - the planted parts are the protocols' methods

from collections.abc import Callable
from typing import Any

import pytest

from labcore.reactive import Flux, Scope, Subscriber
from labcore.reactive.tck import RuleBroken, endless_rule, fusion_rule, stop_iteration_rule


class Stalling:
    """An endless source that never lets the loop turn."""

    def subscribe(self, subscriber: Subscriber[int], *, scope: Scope) -> None:
        live = True

        class Run:
            def request(self, n: int) -> None:
                for value in range(n):
                    if not live:
                        return
                    subscriber.on_next(value)

            def cancel(self) -> None:
                nonlocal live
                live = False

        subscriber.on_subscribe(Run())


class BuiltinMap:
    """Maps with the builtin, which takes StopIteration for the end."""

    def __init__(self, function: Callable[[int], Any]) -> None:
        self.function = function

    def subscribe(self, subscriber: Subscriber[Any], *, scope: Scope) -> None:
        Flux.from_iterable(list(map(self.function, range(3)))).subscribe(subscriber, scope=scope)


def test_a_source_that_stalls_the_loop_is_caught():
    with pytest.raises(RuleBroken, match="rule P4"):
        endless_rule(Stalling).run()


def test_a_silent_end_by_stop_iteration_is_caught():
    with pytest.raises(RuleBroken, match="rule P3"):
        stop_iteration_rule(BuiltinMap).run()


def test_a_difference_between_fused_and_unfused_is_caught():
    with pytest.raises(RuleBroken, match="rule P5"):
        fusion_rule(lambda: Flux.range(0, 3), lambda: Flux.range(0, 4)).run()
