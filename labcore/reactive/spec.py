"""The Reactive Streams protocols under their own names, and the arithmetic of demand.

Source: Reactive Streams 1.0.4. One event loop replaces thread-safety: every method is called on the
loop that runs the scope, and `None` is a value like any other.
"""

import sys
from enum import Enum
from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from labcore.reactive.scope import Scope

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
T_contra = TypeVar("T_contra", contravariant=True)

UNBOUNDED = sys.maxsize  # demand saturates here and then is never counted down (rule 3.17)
SMALL_BUFFER = 256  # Reactor's sizes: outer prefetch, publish_on, replay, sinks
XS_BUFFER = 32  # and of inner sources: flat_map, merge, zip
TURN = 1024  # elements a synchronous run may take before the loop gets a turn


class SignalType(Enum):
    """How a subscription ended, for `do_finally`. Reactor: SignalType."""

    ON_COMPLETE = "on_complete"
    ON_ERROR = "on_error"
    CANCEL = "cancel"


class Overflow(Enum):
    """What to do with a value that nobody has asked for and no room is left for.

    Reactor: BufferOverflowStrategy, and FluxSink.OverflowStrategy for `create`.
    """

    BUFFER = "buffer"
    ERROR = "error"
    DROP_LATEST = "drop_latest"
    DROP_OLDEST = "drop_oldest"


class Subscription(Protocol):
    """What a subscriber holds: the right to ask for elements, or to stop."""

    def request(self, n: int, /) -> None:
        """Ask for `n` more elements (n > 0); `UNBOUNDED` asks for all."""
        ...

    def cancel(self) -> None:
        """Stop: nothing is signalled after this returns; calling it again does nothing."""
        ...


class Subscriber(Protocol[T_contra]):
    """Who receives: `on_subscribe (on_next)* (on_error | on_complete)?`."""

    def on_subscribe(self, subscription: Subscription, /) -> None:
        """First signal, once; nothing comes before `subscription.request`."""
        ...

    def on_next(self, value: T_contra, /) -> None:
        """One requested element."""
        ...

    def on_error(self, error: Exception, /) -> None:
        """The end, by failure; may come without demand."""
        ...

    def on_complete(self) -> None:
        """The end, by success; may come without demand."""
        ...


class Publisher(Protocol[T_co]):
    """A description of a stream; each subscription runs it anew unless it says otherwise."""

    def subscribe(self, subscriber: Subscriber[T_co], *, scope: "Scope") -> None:
        """Start a run for this subscriber, its tasks owned by `scope`."""
        ...


def add_demand(demand: int, more: int) -> int:
    """The sum, saturating at `UNBOUNDED` (rules 3.8 and 3.17)."""
    total = demand + more
    return min(UNBOUNDED, total)


def low_tide(prefetch: int) -> int:
    """How many taken elements are asked for again at once: 75 % of the prefetch.

    Source: reactor.core.publisher.Operators.unboundedOrLimit.
    """
    return prefetch - (prefetch >> 2)
