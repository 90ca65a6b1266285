"""The breaker's machine: laws that hold whatever happens, its table, its configuration."""

# ruff: noqa: D102 - a rule's name is its sentence

import random

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from labcore.kernel import UsageError
from labcore.resilience import (
    TRANSITIONS,
    CallNotPermittedError,
    CircuitBreakerConfig,
    State,
    Trigger,
)
from labcore.resilience.breaker import BreakerMachine, BreakerPassage
from labcore.resilience.passage import Outcome, Wake

PERMITTED = 3
SIZE = 5


def nothing() -> Wake:
    raise AssertionError("a breaker lets nobody wait")


class Breaker(RuleBasedStateMachine):
    """Calls come, end, are cancelled; time passes; a hand moves it."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self.machine = BreakerMachine(
            CircuitBreakerConfig(
                sliding_window_size=SIZE,
                minimum_number_of_calls=SIZE,
                permitted_number_of_calls_in_half_open_state=PERMITTED,
                wait_duration_in_open_state_s=10.0,
                max_wait_duration_in_half_open_state_s=30.0,
            )
        )
        self.running: list[tuple[int, BreakerPassage]] = []  # with the generation that admitted
        self.open_until_s = 0.0
        self.counted = 0  # outcomes since the state began
        self.generation = self.machine.generation

    def note(self) -> None:
        if self.machine.generation != self.generation:
            assert self.machine.generation > self.generation
            self.generation = self.machine.generation
            self.counted = 0

    @rule(seconds=st.floats(0, 20))
    def time_passes(self, seconds: float) -> None:
        self.now_s += seconds

    @rule()
    def a_call_comes(self) -> None:
        state = self.machine.look(self.now_s)
        passage = self.machine.passage()
        admits = {State.CLOSED, State.HALF_OPEN, State.DISABLED, State.METRICS_ONLY}
        try:
            passage.enter(self.now_s, nothing)
        except CallNotPermittedError:
            assert state in {State.OPEN, State.HALF_OPEN, State.FORCED_OPEN}
        else:
            assert self.machine.state in admits
            self.running.append((self.machine.generation, passage))
        self.note()

    @precondition(lambda self: self.running)
    @rule(which=st.randoms(use_true_random=False), outcome=st.sampled_from(Outcome))
    def a_call_ends(self, which: random.Random, outcome: Outcome) -> None:
        generation, passage = self.running.pop(which.randrange(len(self.running)))
        before = self.machine.metrics()
        if self.machine.look(self.now_s) is not before.state:
            before = self.machine.metrics()
        self.note()
        passage.end(self.now_s, outcome)
        after = self.machine.metrics()
        if generation != self.generation:
            assert after.buffered_calls == before.buffered_calls
            assert after.state is before.state
        elif outcome in {Outcome.SUCCESS, Outcome.FAILURE}:
            self.counted += 1
        self.note()
        passage.end(self.now_s, outcome)  # a second end is nothing
        assert self.machine.metrics() == after

    @rule(state=st.sampled_from(State))
    def a_hand_moves_it(self, state: State) -> None:
        self.machine.transition_to(state, self.now_s)
        self.note()
        assert self.machine.metrics().buffered_calls == 0

    @invariant()
    def trial_calls_never_exceed_their_number(self) -> None:
        if self.machine.state is State.HALF_OPEN:
            under_way = sum(generation == self.generation for generation, _ in self.running)
            assert under_way + self.counted <= PERMITTED

    @invariant()
    def the_window_never_exceeds_its_size(self) -> None:
        metrics = self.machine.metrics()
        assert metrics.failed_calls <= metrics.buffered_calls <= SIZE


test_a_breaker_keeps_its_laws = Breaker.TestCase


def test_every_move_of_the_table_starts_from_a_state_that_moves_by_itself():
    assert {state for state, _ in TRANSITIONS} == {State.CLOSED, State.OPEN, State.HALF_OPEN}
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)


def test_time_never_runs_back_inside_whoever_came_late_to_the_lock():
    machine = BreakerMachine(CircuitBreakerConfig(sliding_window_size=1))
    machine.heard = True
    late, early = machine.acquire(5.0), machine.acquire(4.0)
    machine.settle(early, 4.5, duration_s=0.0, failed=True)
    machine.release(late, 4.0)
    with pytest.raises(CallNotPermittedError) as refused:
        machine.acquire(4.0)
    assert refused.value.retry_after_s == 60.0
    assert {event.now_s for event in machine.told} == {5.0}


def test_a_metric_asked_for_before_any_call_is_undefined():
    metrics = BreakerMachine(CircuitBreakerConfig()).metrics()
    assert (metrics.failure_rate, metrics.slow_call_rate, metrics.buffered_calls) == (-1.0, -1.0, 0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("failure_rate_threshold", 0),
        ("failure_rate_threshold", 100.5),
        ("slow_call_rate_threshold", -1),
        ("slow_call_duration_threshold_s", 0),
        ("permitted_number_of_calls_in_half_open_state", 0),
        ("max_wait_duration_in_half_open_state_s", -1),
        ("sliding_window_size", 0),
        ("minimum_number_of_calls", 0),
        ("wait_duration_in_open_state_s", float("nan")),
    ],
)
def test_a_value_out_of_range_is_named(name: str, value: float):
    with pytest.raises(UsageError, match=f"{name} is {value!r}; give"):
        CircuitBreakerConfig(**{name: value})  # type: ignore[arg-type]  # one field at a time


def test_a_wait_of_no_length_is_named():
    config = CircuitBreakerConfig(wait_interval_in_open_state=lambda _: 0.0)
    with pytest.raises(UsageError, match=r"gave 0\.0 for attempt 3"):
        config.open_wait_s(3)
