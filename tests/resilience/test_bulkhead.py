"""The bulkhead's machine: never more than its places, never more than its queue, first come first served."""

# ruff: noqa: D102 - a rule's name is its sentence

import math
import random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labcore.kernel import UsageError
from labcore.resilience import BulkheadConfig, BulkheadFullError
from labcore.resilience.bulkhead import BulkheadMachine, BulkheadPassage
from labcore.resilience.passage import Outcome, Wake

PLACES = 3
QUEUE = 4
WAIT_S = 10.0


def never() -> Wake:
    raise AssertionError("armed a second time")


class Bulkhead(RuleBasedStateMachine):
    """Calls come, wait, end, are cancelled; time passes."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.machine = BulkheadMachine(BulkheadConfig(PLACES, WAIT_S, QUEUE))
        self.inside: list[BulkheadPassage] = []
        self.waiting: list[tuple[BulkheadPassage, float]] = []  # in order, with their deadlines
        self.called: list[BulkheadPassage] = []

    def arming(self, passage: BulkheadPassage) -> Wake:
        return lambda: self.called.append(passage)

    def wake(self) -> None:
        """Whoever got a place goes in: the first of those who wait, and nobody else."""
        pending = self.machine.drain()
        for wake in pending[1] if pending else ():
            wake()
        while self.called:
            passage = self.called.pop(0)
            assert self.waiting.pop(0)[0] is passage
            assert passage.enter(self.now_s, never) == 0.0
            self.inside.append(passage)

    @rule(seconds=st.floats(0, 6))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds
        for passage, deadline_s in list(self.waiting):
            if self.now_s >= deadline_s:
                with pytest.raises(BulkheadFullError):
                    passage.enter(self.now_s, never)
                self.waiting.remove((passage, deadline_s))

    @rule()
    def a_call_comes(self) -> None:
        passage = self.machine.passage()
        full = len(self.inside) == PLACES
        if full and len(self.waiting) == QUEUE:
            with pytest.raises(BulkheadFullError):
                passage.enter(self.now_s, lambda: self.arming(passage))
            return
        wait_s = passage.enter(self.now_s, lambda: self.arming(passage))
        assert wait_s == (WAIT_S if full else 0.0)
        if full:
            self.waiting.append((passage, self.now_s + WAIT_S))
        else:
            self.inside.append(passage)

    @precondition(lambda self: self.inside)
    @rule(which=st.randoms(use_true_random=False), outcome=st.sampled_from(Outcome))
    def a_call_ends(self, which: random.Random, outcome: Outcome) -> None:
        passage = self.inside.pop(which.randrange(len(self.inside)))
        passage.end(self.now_s, outcome)
        passage.end(self.now_s, outcome)  # a second end frees no second place
        self.wake()

    @precondition(lambda self: self.waiting)
    @rule(which=st.randoms(use_true_random=False))
    def a_wait_is_cancelled(self, which: random.Random) -> None:
        passage, _ = self.waiting.pop(which.randrange(len(self.waiting)))
        passage.end(self.now_s, Outcome.CANCELLED)
        self.wake()

    @invariant()
    def it_counts_what_is_there(self) -> None:
        metrics = self.machine.metrics()
        assert metrics.in_use == len(self.inside) <= PLACES
        assert metrics.waiting == len(self.waiting) <= QUEUE
        assert metrics.in_use == PLACES or not metrics.waiting


test_a_bulkhead_keeps_its_laws = Bulkhead.TestCase


def test_a_call_cancelled_when_its_place_came_free_hands_it_on():
    machine = BulkheadMachine(BulkheadConfig(1, 10.0))
    first, second, third = (machine.passage() for _ in range(3))
    woken: list[str] = []
    first.enter(0.0, lambda: lambda: None)
    second.enter(0.0, lambda: lambda: woken.append("second"))
    third.enter(0.0, lambda: lambda: woken.append("third"))
    first.end(1.0, Outcome.SUCCESS)
    second.end(1.0, Outcome.CANCELLED)
    for wake in machine.woken:
        wake()
    assert woken == ["second", "third"]
    assert second.enter(1.0, lambda: lambda: None) == 0.0  # woken too late, it takes nothing
    assert third.enter(1.0, lambda: lambda: None) == 0.0
    third.end(2.0, Outcome.SUCCESS)
    assert machine.in_use == 0


@pytest.mark.parametrize(
    ("name", "value"),
    [("max_concurrent_calls", 0), ("max_wait_duration_s", -1), ("queue_capacity", math.nan)],
)
def test_a_value_out_of_range_is_named(name: str, value: float):
    with pytest.raises(UsageError, match=f"{name} is {value!r}; give"):
        BulkheadConfig(**{name: value})  # type: ignore[arg-type]  # one field at a time
