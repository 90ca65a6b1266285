"""Policies: several patterns around one call, in Resilience4j's order.

    Fallback( Retry( CircuitBreaker( RateLimiter( TimeLimiter( Bulkhead( call ))))))

What follows from it: every attempt is counted by the breaker; a breaker's refusal reaches the retry, which
does not retry it; waiting for the rate counts as time of the call for the breaker and not for the time
limit; waiting for a place in the bulkhead counts for both.

Source: Resilience4j, the default order of its aspects.
"""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Protocol, TypeVar

from labcore.resilience.events import Listener
from labcore.resilience.fallback import Fallback
from labcore.resilience.gates import Bulkhead, CircuitBreaker, RateLimiter
from labcore.resilience.retrying import Retry
from labcore.resilience.stream import Operator, guarded
from labcore.resilience.time_limiter import TimeLimiter
from labcore.resilience.waiting import Blocking

T = TypeVar("T")


class Policy(Protocol):
    """The three faces every pattern has, and `Policies` too."""

    async def call_async(self, fn: Callable[[], Awaitable[T]]) -> T:
        """For tasks."""
        ...

    def call(self, fn: Callable[[], T], world: Blocking) -> T:
        """For platform and virtual threads."""
        ...

    def operator(self) -> Operator:
        """For streams."""
        ...

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Tell of every decision."""
        ...

    def gauges(self) -> Mapping[str, float]:
        """Figures for a sampler."""
        ...


class Policies:
    """The patterns given, around each call, outermost first as above. Thread-safe as they are.

    One object for one peer: its breaker, places, rate and budget are that peer's.
    """

    def __init__(
        self,
        *,
        fallback: Fallback | None = None,
        retry: Retry | None = None,
        circuit_breaker: CircuitBreaker | None = None,
        rate_limiter: RateLimiter | None = None,
        time_limiter: TimeLimiter | None = None,
        bulkhead: Bulkhead | None = None,
    ) -> None:
        self.fallback = fallback
        self.retry = retry
        self.circuit_breaker = circuit_breaker
        self.rate_limiter = rate_limiter
        self.time_limiter = time_limiter
        self.bulkhead = bulkhead
        order = (fallback, retry, circuit_breaker, rate_limiter, time_limiter, bulkhead)
        self.outermost_first: tuple[Policy, ...] = tuple(one for one in order if one is not None)

    async def call_async(self, fn: Callable[[], Awaitable[T]]) -> T:
        """Await `fn()` within all of them. Raises: RefusedError when one says no; else what `fn` raises."""
        call = fn
        for policy in reversed(self.outermost_first):
            call = partial(policy.call_async, call)
        return await call()

    def call(self, fn: Callable[[], T], world: Blocking) -> T:
        """Run `fn()` within all of them, on this platform or virtual thread of that world.

        Raises: RefusedError when one says no; else what `fn` raises.
        """
        call = fn
        for policy in reversed(self.outermost_first):
            call = partial(policy.call, call, world)
        return call()

    def operator(self) -> Operator:
        """A function from stream to stream; each subscription of what it gives is one call."""
        inner = (self.circuit_breaker, self.rate_limiter, self.time_limiter, self.bulkhead)
        layers = tuple(layer for layer in inner if layer is not None)
        attempts = guarded(layers, self.retry)
        fallback = None if self.fallback is None else self.fallback.operator()

        def within(source: Any) -> Any:
            return attempts(source) if fallback is None else fallback(attempts(source))

        return within

    def on_event(self, listener: Listener) -> Callable[[], None]:
        """Tell that listener of every decision of each of them; what is returned ends it."""
        removals = [policy.on_event(listener) for policy in self.outermost_first]

        def remove() -> None:
            for one in removals:
                one()

        return remove

    def gauges(self) -> Mapping[str, float]:
        """Every figure of each of them, and `refused_total`: calls that a policy said no to."""
        figures = {
            name: figure
            for policy in self.outermost_first
            for name, figure in policy.gauges().items()
        }
        refused = sum(figure for name, figure in figures.items() if name in _REFUSALS)
        return {**figures, "refused_total": refused}


_REFUSALS = frozenset({"breaker_refused_total", "bulkhead_refused_total", "limiter_refused_total"})
