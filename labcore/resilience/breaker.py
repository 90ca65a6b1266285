"""The circuit breaker as a pure state machine: it takes the time and gives decisions.

Defaults and rules are Resilience4j's, with one flaw left out: there, a call admitted while closed that
ends while half-open is counted as a trial. Here each permit carries the *generation* of the state that
gave it, and an outcome of another generation counts nowhere.

Without a clock there is no timer either: what time brings about (half-open after the wait when
`automatic_transition…` is on, open again after the longest half-open) happens at the next look, and is
dated to the moment it was due.

Source: M. Nygard, Release It!, "Circuit Breaker"; Resilience4j, CircuitBreakerStateMachine.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum

from labcore.kernel import UsageError
from labcore.resilience.errors import CallNotPermittedError
from labcore.resilience.events import Event, EventKind
from labcore.resilience.passage import (
    SAME_MOMENT_S,
    Arm,
    Machine,
    Outcome,
    check_not_negative,
    check_percent,
    check_positive,
)
from labcore.resilience.windows import CountWindow, TimeWindow, Totals, Window

Matching = tuple[type[Exception], ...]


class State(Enum):
    """Where a breaker stands; the values are Resilience4j's, as in its metrics."""

    CLOSED = 0
    OPEN = 1
    HALF_OPEN = 2
    DISABLED = 3
    FORCED_OPEN = 4
    METRICS_ONLY = 5


class Trigger(Enum):
    """What moves a breaker by itself."""

    THRESHOLD_EXCEEDED = "failure or slow-call rate at or above its threshold"
    BELOW_THRESHOLDS = "both rates below their thresholds, with enough calls"
    WAIT_OVER = "first call after the wait (automatic: the wait is over)"
    HALF_OPEN_TOO_LONG = "trial calls took longer than the longest wait"


TRANSITIONS: Mapping[tuple[State, Trigger], State] = {
    (State.CLOSED, Trigger.THRESHOLD_EXCEEDED): State.OPEN,
    (State.OPEN, Trigger.WAIT_OVER): State.HALF_OPEN,
    (State.HALF_OPEN, Trigger.BELOW_THRESHOLDS): State.CLOSED,
    (State.HALF_OPEN, Trigger.THRESHOLD_EXCEEDED): State.OPEN,
    (State.HALF_OPEN, Trigger.HALF_OPEN_TOO_LONG): State.OPEN,
}
"""Every move without a hand on it; whatever is not here does not happen. Diagrams are drawn from it."""


class SlidingWindowType(Enum):
    """What the window of the closed state spans."""

    COUNT_BASED = "the last N calls"
    TIME_BASED = "the last N seconds"


@dataclass(frozen=True, slots=True)
class CircuitBreakerConfig:
    """Resilience4j's names and defaults. Rates are percent, `…_s` seconds.

    `record_exceptions` count as failures, `ignore_exceptions` not at all (the permit is given back), any
    other error as a success; the predicates say the same case by case. `record_result` names results that
    are failures. `wait_interval_in_open_state` maps the attempt (1, 2, …) to the wait in its place.

    Raises: UsageError for a value out of range.
    """

    failure_rate_threshold: float = 50.0
    slow_call_rate_threshold: float = 100.0
    slow_call_duration_threshold_s: float = 60.0
    permitted_number_of_calls_in_half_open_state: int = 10
    max_wait_duration_in_half_open_state_s: float = 0.0
    sliding_window_type: SlidingWindowType = SlidingWindowType.COUNT_BASED
    sliding_window_size: int = 100
    minimum_number_of_calls: int = 100
    wait_duration_in_open_state_s: float = 60.0
    wait_interval_in_open_state: Callable[[int], float] | None = None
    automatic_transition_from_open_to_half_open_enabled: bool = False
    record_exceptions: Matching = (Exception,)
    ignore_exceptions: Matching = ()
    record_exception: Callable[[Exception], bool] | None = None
    ignore_exception: Callable[[Exception], bool] | None = None
    record_result: Callable[[object], bool] | None = None
    initial_state: State = State.CLOSED

    def __post_init__(self) -> None:
        check_percent("failure_rate_threshold", self.failure_rate_threshold)
        check_percent("slow_call_rate_threshold", self.slow_call_rate_threshold)
        for name in (
            "slow_call_duration_threshold_s",
            "permitted_number_of_calls_in_half_open_state",
            "sliding_window_size",
            "minimum_number_of_calls",
            "wait_duration_in_open_state_s",
        ):
            check_positive(name, getattr(self, name))
        check_not_negative(
            "max_wait_duration_in_half_open_state_s", self.max_wait_duration_in_half_open_state_s
        )

    def judge(self, value: object, error: Exception | None) -> Outcome:
        """Whether that end of a call is a success, a failure, or says nothing about the other side."""
        if error is None:
            failed = self.record_result is not None and self.record_result(value)
        elif _says(self.ignore_exception, self.ignore_exceptions, error):
            return Outcome.IGNORED
        else:
            failed = _says(self.record_exception, self.record_exceptions, error)
        return Outcome.FAILURE if failed else Outcome.SUCCESS

    def open_wait_s(self, attempt: int) -> float:
        """How long the breaker stays open, the `attempt`-th time in a row."""
        if self.wait_interval_in_open_state is None:
            return self.wait_duration_in_open_state_s
        wait_s = self.wait_interval_in_open_state(attempt)
        if not wait_s > 0:
            raise UsageError(
                f"wait_interval_in_open_state gave {wait_s!r} for attempt {attempt}; "
                "let it give seconds > 0"
            )
        return wait_s


def _says(predicate: Callable[[Exception], bool] | None, kinds: Matching, error: Exception) -> bool:
    return isinstance(error, kinds) or (predicate is not None and predicate(error))


@dataclass(frozen=True, slots=True)
class CircuitBreakerMetrics:
    """What a breaker knows: rates in percent, -1 while undefined."""

    state: State
    failure_rate: float
    slow_call_rate: float
    buffered_calls: int
    failed_calls: int
    slow_calls: int
    not_permitted_calls: int
    stale_outcomes: int
    transitions: int


class BreakerMachine(Machine):
    """The rules. Not thread-safe: whoever shares it holds a lock around each call."""

    def __init__(self, config: CircuitBreakerConfig, *, name: str = "breaker") -> None:
        super().__init__(name)
        self.config = config
        self.generation = 0
        self.refused = self.stale = self.transitions = 0
        self._attempt = 0  # how often in a row it has opened
        self._latest_s = -math.inf
        self._begin(config.initial_state, 0.0)

    def passage(self) -> "BreakerPassage":
        """The way of one more call."""
        return BreakerPassage(self)

    def look(self, now_s: float) -> State:
        """The state now: what time alone brings about has happened."""
        now_s = self._advance(now_s)
        self._pass_time(now_s, automatic=True)
        return self.state

    def acquire(self, now_s: float) -> int:
        """A permit: the generation it belongs to.

        Raises: CallNotPermittedError when open, or half-open with every trial call given out.
        """
        now_s = self._advance(now_s)
        self._pass_time(now_s, automatic=False)
        if self.state is State.HALF_OPEN:
            if not self._trials_left:
                raise self._refusal(now_s, "half-open and its trial calls are under way", 0.0)
            self._trials_left -= 1
        elif self.state is State.OPEN:
            left_s = max(0.0, self._until_s - now_s)
            raise self._refusal(now_s, f"open for another {left_s:g} s", left_s)
        elif self.state is State.FORCED_OPEN:
            raise self._refusal(now_s, "forced open", None)
        self.tell(EventKind.CALL_PERMITTED, now_s)
        return self.generation

    def release(self, permit: int, now_s: float) -> None:
        """A call that counts neither way: its permit goes back."""
        now_s = self._advance(now_s)
        if permit == self.generation and self.state is State.HALF_OPEN:
            self._trials_left += 1

    def settle(self, permit: int, now_s: float, *, duration_s: float, failed: bool) -> None:
        """A call that counts: remember it, and move when a threshold says so."""
        now_s = self._advance(now_s)
        if permit != self.generation:
            self.stale += 1
            self.tell(EventKind.STALE_OUTCOME, now_s, duration_s=duration_s)
            return
        if self.state is State.DISABLED:
            return
        slow = duration_s > self.config.slow_call_duration_threshold_s
        self._window.record(now_s, failed=failed, slow=slow)
        if slow:
            self.tell(EventKind.SLOW_CALL, now_s, duration_s=duration_s)
        trigger = self._verdict(self._window.totals(now_s))
        if trigger is not None:
            self._fire(trigger, now_s)

    def transition_to(self, state: State, now_s: float) -> None:
        """By hand. Any state may follow any; the new one begins without memory of the old.

        Source: Resilience4j, CircuitBreaker.transitionTo…State and reset.
        """
        now_s = self._advance(now_s)
        self._attempt = 1 if state is State.OPEN else 0
        self._go(state, now_s)

    def metrics(self, now_s: float | None = None) -> CircuitBreakerMetrics:
        """What it knows at that moment; without one, as of the last call."""
        if now_s is None:
            now_s = self._latest_s
        else:
            self.look(now_s)
        totals = self._window.totals(max(now_s, self._latest_s)) if now_s > -math.inf else Totals()
        return CircuitBreakerMetrics(
            state=self.state,
            failure_rate=totals.failure_rate(self._minimum),
            slow_call_rate=totals.slow_call_rate(self._minimum),
            buffered_calls=totals.calls,
            failed_calls=totals.failed,
            slow_calls=totals.slow,
            not_permitted_calls=self.refused,
            stale_outcomes=self.stale,
            transitions=self.transitions,
        )

    def judge(self, value: object, error: Exception | None) -> Outcome:
        """As the configuration says of that result or error."""
        return self.config.judge(value, error)

    def tell(
        self,
        kind: EventKind,
        now_s: float,
        *,
        duration_s: float | None = None,
        wait_s: float | None = None,
        error: Exception | None = None,
        change: tuple[str, str] | None = None,
    ) -> None:
        """For the listeners, if there are any."""
        if self.heard:
            event = Event(
                kind,
                self.name,
                now_s,
                duration_s=duration_s,
                wait_s=wait_s,
                error=error,
                change=change,
            )
            self.told.append(event)

    def _advance(self, now_s: float) -> float:
        # Two threads read the clock and then wait for the lock: time must not run back in here.
        self._latest_s = max(self._latest_s, now_s)
        return self._latest_s

    def _pass_time(self, now_s: float, *, automatic: bool) -> None:
        self._end_half_open(now_s)
        due = self.state is State.OPEN and now_s >= self._until_s - SAME_MOMENT_S
        by_itself = self.config.automatic_transition_from_open_to_half_open_enabled
        if due and by_itself:
            self._fire(Trigger.WAIT_OVER, self._until_s)
            self._end_half_open(now_s)
        elif due and not automatic:
            self._fire(Trigger.WAIT_OVER, now_s)

    def _end_half_open(self, now_s: float) -> None:
        if self.state is State.HALF_OPEN and now_s >= self._until_s - SAME_MOMENT_S:
            self._fire(Trigger.HALF_OPEN_TOO_LONG, self._until_s)

    def _verdict(self, totals: Totals) -> Trigger | None:
        if totals.calls < self._minimum:
            return None
        exceeded = (
            totals.failure_rate(self._minimum) >= self.config.failure_rate_threshold
            or totals.slow_call_rate(self._minimum) >= self.config.slow_call_rate_threshold
        )
        return Trigger.THRESHOLD_EXCEEDED if exceeded else Trigger.BELOW_THRESHOLDS

    def _fire(self, trigger: Trigger, now_s: float) -> None:
        state = TRANSITIONS.get((self.state, trigger))
        if state is None:
            return
        if state is State.OPEN:
            self._attempt += 1
        elif state is State.CLOSED:
            self._attempt = 0
        self._go(state, now_s)

    def _go(self, state: State, now_s: float) -> None:
        change = (self.state.name, state.name)
        self.transitions += 1
        self._begin(state, now_s)
        self.tell(EventKind.STATE_TRANSITION, now_s, change=change)

    def _begin(self, state: State, now_s: float) -> None:
        config = self.config
        self.state = state
        self.generation += 1
        self._until_s = math.inf
        self._trials_left = 0
        if state is State.OPEN:
            self._attempt = max(1, self._attempt)
            self._until_s = now_s + config.open_wait_s(self._attempt)
        elif state is State.HALF_OPEN:
            self._trials_left = config.permitted_number_of_calls_in_half_open_state
            self._until_s = now_s + (config.max_wait_duration_in_half_open_state_s or math.inf)
        size = self._trials_left or config.sliding_window_size
        by_count = (
            state is State.HALF_OPEN or config.sliding_window_type is SlidingWindowType.COUNT_BASED
        )
        self._window: Window = CountWindow(size) if by_count else TimeWindow(size)
        minimum = config.minimum_number_of_calls
        self._minimum = min(minimum, size) if by_count else minimum

    def _refusal(self, now_s: float, why: str, left_s: float | None) -> CallNotPermittedError:
        self.refused += 1
        self.tell(EventKind.CALL_REFUSED, now_s, wait_s=left_s)
        return CallNotPermittedError(
            f"circuit breaker {self.name!r} is {why}", retry_after_s=left_s
        )


class BreakerPassage:
    """One call through the breaker."""

    __slots__ = ("_began_s", "_machine", "_permit")

    def __init__(self, machine: BreakerMachine) -> None:
        self._machine = machine
        self._permit: int | None = None
        self._began_s = 0.0

    def enter(self, now_s: float, arm: Arm) -> float:  # noqa: ARG002 - a breaker never lets wait
        """Take a permit. Raises: CallNotPermittedError."""
        self._permit = self._machine.acquire(now_s)
        self._began_s = now_s
        return 0.0

    def end(self, now_s: float, outcome: Outcome, error: Exception | None = None) -> None:
        """Count it, or give the permit back."""
        permit, self._permit = self._permit, None
        if permit is None:
            return
        machine = self._machine
        duration_s = max(0.0, now_s - self._began_s)
        if machine.heard:
            machine.tell(_KINDS[outcome], now_s, duration_s=duration_s, error=error)
        failed = outcome is Outcome.FAILURE
        if failed or outcome is Outcome.SUCCESS:
            machine.settle(permit, now_s, duration_s=duration_s, failed=failed)
        else:
            machine.release(permit, now_s)


_KINDS = {
    Outcome.SUCCESS: EventKind.SUCCESS,
    Outcome.FAILURE: EventKind.ERROR,
    Outcome.IGNORED: EventKind.IGNORED_ERROR,
    Outcome.CANCELLED: EventKind.CANCELLED,
}
