"""Windows: streams of so many values, or of what comes within a time."""

from typing import TYPE_CHECKING, Any, TypeVar

from labcore.reactive import (
    publishers as lib,
)  # a cycle on purpose: operators make what they extend
from labcore.reactive.core import Down, Feed, Source
from labcore.reactive.errors import check_positive
from labcore.reactive.operators.batch import Grouping
from labcore.reactive.operators.unicast import Unicast
from labcore.reactive.scope import Timer
from labcore.reactive.spec import Subscription

if TYPE_CHECKING:
    from labcore.reactive.publishers import Flux

T = TypeVar("T")


class Windows(Grouping):
    """One open group at a time: a value opens it, its size or its time shuts it."""

    __slots__ = ("count", "key", "max_wait_s", "size", "timer", "window")

    def __init__(self, down: Down[Any], size: int, max_wait_s: float | None) -> None:
        super().__init__(down)
        self.size = size
        self.max_wait_s = max_wait_s
        self.window: Unicast | None = None
        self.key: object = None
        self.count = 0
        self.timer: Timer | None = None

    def begin(self, subscription: Subscription) -> None:
        """One window's worth may be under way."""
        self.start(subscription, self.size)

    def offer(self, value: Any) -> bool:
        """A value for the open window; without one it opens the next."""
        window = self.window
        if window is None:
            if not self.live:
                self.outlet.down.scope.discard(value)
                return False
            window = self.unlock()
        if window.live:
            window.push(value)
        else:  # its reader has left: the value belongs to nobody, and its place is free again
            self.outlet.down.scope.discard(value)
            self.ask(1)
        self.count += 1
        if self.count == self.size:
            self.shut()
        return True

    def unlock(self) -> Unicast:
        """The next window; its clock starts now."""
        self.key, self.count = object(), 0
        if self.max_wait_s is not None:
            self.timer = self.outlet.down.scope.later(self.max_wait_s, self.expire)
        self.window = window = self.open(self.key, lambda flux: flux)
        return window

    def expire(self) -> None:
        """Time is up."""
        self.timer = None
        self.shut()

    def shut(self) -> None:
        """The open window ends."""
        self.stop()
        window, self.window = self.window, None
        self.groups.pop(self.key, None)
        if window is not None:
            window.finish()
        self.close_if_left()

    def stop(self) -> None:
        """No timer."""
        timer, self.timer = self.timer, None
        if timer is not None:
            timer.cancel()

    def finish(self, error: Exception | None = None) -> None:
        """The source has ended: the open window ends, then the stream of windows."""
        self.stop()
        self.window = None
        super().finish(error)

    def close_if_left(self) -> None:
        """Nobody reads any more: the clock has no purpose either."""
        super().close_if_left()
        if self.done:
            self.stop()


def windowing(source: Source[Any], size: int, max_wait_s: float | None) -> Feed:
    """The feed of window and window_timeout."""

    def feed(down: Down[Any]) -> None:
        hub = Windows(down, size, max_wait_s)
        source.feed(
            down.above(start=hub.begin, offer=hub.offer, fail=hub.finish, complete=hub.finish)
        )

    return feed


class FluxWindows(Source[T]):
    """Streams of streams."""

    __slots__ = ()

    def window(self, size: int) -> "Flux[Flux[T]]":
        """Streams of `size` values each; each has one reader.

            --1--2--3--|
              window(2)
            --(--1--2|)(--3|)

        >>> Flux.range(1, 3).window(2).flat_map(lambda w: w.collect_list()).collect_list().block()
        [[1, 2], [3]]

        Reactor: Flux.window
        """
        check_positive("size", size)
        return lib.Flux(windowing(self, size, None))

    def window_timeout(self, size: int, max_wait_s: float) -> "Flux[Flux[T]]":
        """Streams of `size` values, or of what comes within `max_wait_s` seconds of the first.

            --1--2-----------3--|
              window_timeout(9, 5)
            --(--1--2--|)----(3|)

        A window begins with its first value, so none is empty; each has one reader. At most `size`
        values are under way: a window nobody reads holds the source back and nothing overflows.

        >>> windows = Flux.range(1, 3).window_timeout(2, 1)
        >>> windows.flat_map(lambda w: w.collect_list()).collect_list().block()
        [[1, 2], [3]]

        Difference: Reactor opens the next window when the last one's time is up, and may so give
        empty ones.

        Reactor: Flux.windowTimeout with fairBackpressure
        """
        check_positive("size", size)
        check_positive("max_wait_s", max_wait_s)
        return lib.Flux(windowing(self, size, max_wait_s))
