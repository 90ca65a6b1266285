"""tap: one listener object per subscription sees every signal of it."""

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from labcore.reactive.core import IDLE, Down, Source, Step, reject
from labcore.reactive.errors import blame
from labcore.reactive.hop import place_of, placed
from labcore.reactive.spec import SignalType, Subscription

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class SignalListener(Generic[T_contra]):
    """What `tap` tells of one subscription; derive from it and override what is of interest.

    A method that raises ends the stream with its error: `handle_listener_error` is told instead of
    `do_finally`. Reactor: DefaultSignalListener; its do_after_* are here `do_finally`.
    """

    def do_first(self) -> None:
        """Before the source is subscribed to."""

    def do_on_subscription(self) -> None:
        """The source has accepted, before its subscription goes down."""

    def do_on_request(self, n: int, /) -> None:
        """Demand from below, before it goes up."""

    def do_on_next(self, value: T_contra, /) -> None:
        """A value, before it is passed on."""

    def do_on_complete(self) -> None:
        """The end by success, before it is passed on."""

    def do_on_error(self, error: Exception, /) -> None:
        """The end by failure, before it is passed on."""

    def do_on_cancel(self) -> None:
        """The subscriber has cancelled, before the source is told."""

    def do_finally(self, kind: SignalType, /) -> None:
        """Once, after the end was passed on or the source cancelled."""

    def handle_listener_error(self, error: Exception, /) -> None:
        """A method of this listener raised; the last call it gets. It must not raise itself."""


class Tapping(Step[Any]):
    """The operator: every signal by way of the listener."""

    __slots__ = ("listener", "live")

    def __init__(self, down: Down[Any], listener: SignalListener[Any]) -> None:
        super().__init__(down)
        self.listener = listener if place_of(down) is None else elsewhere(listener, down)
        self.live = True

    def start(self, subscription: Subscription) -> None:
        """The source has accepted."""
        try:
            self.listener.do_on_subscription()
        except Exception as fault:  # noqa: BLE001 - the listener's error is the signal
            subscription.cancel()
            self.down.start(IDLE)
            self._break(fault, self.listener.do_on_subscription)
            return
        self.up = subscription
        self.down.start(self)

    def request(self, n: int) -> None:
        """Demand from below."""
        if not self.live:
            return
        try:
            self.listener.do_on_request(n)
        except Exception as fault:  # noqa: BLE001 - the listener's error is the signal
            self._break(fault, self.listener.do_on_request)
        else:
            self.up.request(n)

    def cancel(self) -> None:
        """The subscriber has gone: nobody but the hooks can be told of a fault."""
        if not self.live:
            return
        self.live = False
        try:
            self.listener.do_on_cancel()
        except Exception as fault:  # noqa: BLE001 - a cancelled stream tells nobody else
            self._drop(fault, self.listener.do_on_cancel)
            self._stop()
            return
        self._stop()
        self._last(SignalType.CANCEL)

    def offer(self, value: Any) -> bool:
        """One value."""
        if not self.live:
            self.scope.drop_value(value)
            return True
        try:
            self.listener.do_on_next(value)
        except Exception as fault:  # noqa: BLE001 - the listener's error is the signal
            self._break(fault, self.listener.do_on_next)
            return True
        return self.down.offer(value)

    def fail(self, error: Exception) -> None:
        """The end by failure."""
        if not self.live:
            self.scope.drop_error(error)
            return
        try:
            self.listener.do_on_error(error)
        except Exception as fault:  # noqa: BLE001 - it replaces the failure, which it names
            fault.__context__ = error
            self._break(fault, self.listener.do_on_error)
            return
        self.live, self.up = False, IDLE
        self.down.fail(error)
        self._last(SignalType.ON_ERROR)

    def complete(self) -> None:
        """The end by success."""
        if not self.live:
            return
        try:
            self.listener.do_on_complete()
        except Exception as fault:  # noqa: BLE001 - the listener's error is the signal
            self._break(fault, self.listener.do_on_complete)
            return
        self.live, self.up = False, IDLE
        self.down.complete()
        self._last(SignalType.ON_COMPLETE)

    def _stop(self) -> None:
        up, self.up = self.up, IDLE
        up.cancel()

    def _break(self, fault: Exception, method: Callable[..., object]) -> None:
        """End by the listener's own error."""
        if not self.live:
            self.scope.drop_error(fault)
            return
        self.live = False
        self._stop()
        self.listener.handle_listener_error(fault)
        self.down.fail(blame(fault, "tap", method))

    def _last(self, kind: SignalType) -> None:
        try:
            self.listener.do_finally(kind)
        except Exception as fault:  # noqa: BLE001 - the stream is over: nobody else can be told
            self._drop(fault, self.listener.do_finally)

    def _drop(self, fault: Exception, method: Callable[..., object]) -> None:
        self.listener.handle_listener_error(fault)
        self.scope.drop_error(blame(fault, "tap", method))


def elsewhere(listener: SignalListener[Any], down: Down[Any]) -> SignalListener[Any]:
    """The listener, its methods called where the hop says."""
    moved: SignalListener[Any] = SignalListener()
    for name in dir(SignalListener):
        if name.startswith(("do_", "handle_")):
            setattr(moved, name, placed(getattr(listener, name), down))
    return moved


class SharedTap(Source[T]):
    """Listening, on Flux and Mono."""

    __slots__ = ()

    def tap(self, make: Callable[[], SignalListener[T]]) -> Self:
        """Every signal also to a listener that `make()` gives for each subscription.

            request(2) --1--2--|
              tap(Counter)         on_request(2), on_next(1), on_next(2), on_complete, finally
            --1--2--|

        One object instead of eight do_on_… operators: it can keep state of its own between the
        signals of a subscription, such as a count or the time of the first value.

        >>> class Counter(SignalListener[int]):
        ...     seen = 0
        ...     def do_on_next(self, value): self.seen += 1
        ...     def do_finally(self, kind): print(kind.value, self.seen)
        >>> Flux.just(1, 2).tap(Counter).collect_list().block()
        on_complete 2
        [1, 2]

        Reactor: Flux.tap, Mono.tap
        """

        def feed(down: Down[Any]) -> None:
            try:
                listener = placed(make, down)()
            except Exception as fault:  # noqa: BLE001 - a user's factory: its error is the signal
                reject(down, blame(fault, "tap", make))
                return
            try:
                listener.do_first()
            except Exception as fault:  # noqa: BLE001 - the listener's error is the signal
                listener.handle_listener_error(fault)
                reject(down, blame(fault, "tap", listener.do_first))
                return
            self.feed(Tapping(down, listener))

        return self.like(feed)
