"""Pinning: a virtual thread that keeps its carrier from everybody else.

A virtual thread that computes for long, or waits in a call that does not park, stalls every other thread
on its carrier. The watch sees it in two ways: each mount that lasts longer than a threshold is counted
when it ends, which costs a fraction of a microsecond a mount and no thread; and with `stacks` a platform
thread looks meanwhile and notes where the culprit stands, for lessons and for finding it.

Source: the JDK Flight Recorder's event `jdk.VirtualThreadPinned` and its threshold of 20 ms; JEP 444.
"""

import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

from labcore.kernel import UsageError

if TYPE_CHECKING:
    from labcore.virtual.thread import VirtualThread

THRESHOLD_S: Final = 0.02
MOST_KEPT: Final = 1_000  # pins; the counts go on
LOOKS_A_THRESHOLD: Final = 4  # of the platform thread that notes stacks


@dataclass(frozen=True, slots=True)
class Pin:
    """One mount that lasted too long."""

    thread: str  # the virtual thread's name
    carrier: str  # name of the OS thread that carried it
    at_ns: int  # monotonic, when it was mounted
    lasted_s: float
    stack: tuple[
        traceback.FrameSummary, ...
    ]  # where it stood, innermost last; empty if nobody looked

    @property
    def culprit(self) -> str:
        """`file.py:12 function`, where it stood; empty if nobody looked."""
        if not self.stack:
            return ""
        inner = self.stack[-1]
        return f"{inner.filename.rpartition('/')[2]}:{inner.lineno} {inner.name}"

    def __str__(self) -> str:
        where = f" in {self.culprit}" if self.stack else ""
        return f"{self.thread} pinned {self.carrier} for {self.lasted_s * 1e3:.0f} ms{where}"


@dataclass(slots=True)
class _Mount:
    """A virtual thread on a carrier, and the mount that it interrupts."""

    thread: "VirtualThread"
    began_ns: int
    outer: "_Mount | None"
    stack: tuple[traceback.FrameSummary, ...] = ()


class _Watching:
    """Who watches, and what is mounted where. `on` is all that a mount asks when nobody does."""

    def __init__(self) -> None:
        self.on = False
        self._watches: tuple[PinWatch, ...] = ()
        self._mounts: dict[int, _Mount] = {}  # by OS thread
        self._lock = threading.Lock()

    def mounted(self, thread: "VirtualThread") -> Callable[[], None]:
        """A mount begins; what to call when it ends."""
        carrier = threading.get_ident()
        mount = _Mount(thread, time.monotonic_ns(), self._mounts.get(carrier))
        self._mounts[carrier] = mount

        def unmounted() -> None:
            lasted_s = (time.monotonic_ns() - mount.began_ns) / 1e9
            if mount.outer is None:
                del self._mounts[carrier]
            else:
                mount.outer.began_ns = time.monotonic_ns()  # it ran nothing of its own meanwhile
                self._mounts[carrier] = mount.outer
            for watch in self._watches:
                if lasted_s >= watch.threshold_s:
                    watch.pinned(mount.thread.name, mount.began_ns, lasted_s, mount.stack)

        return unmounted

    def look(self, threshold_s: float) -> None:
        """Note where every mount stands that has lasted that long."""
        frames = sys._current_frames()  # noqa: SLF001 - the documented way to another thread's stack
        now_ns = time.monotonic_ns()
        for carrier, mount in list(self._mounts.items()):
            frame = frames.get(carrier)
            if frame is not None and (now_ns - mount.began_ns) / 1e9 >= threshold_s:
                mount.stack = tuple(traceback.extract_stack(frame))

    def add(self, watch: "PinWatch") -> None:
        """One more watches."""
        with self._lock:
            self._watches = (*self._watches, watch)
            self.on = True

    def remove(self, watch: "PinWatch") -> None:
        """One less."""
        with self._lock:
            self._watches = tuple(each for each in self._watches if each is not watch)
            self.on = bool(self._watches)


WATCHING: Final = _Watching()


class PinWatch:
    """Counts pins of every carrier in the process while its block lasts.

    Args:
        threshold_s: a mount that lasts so long is a pin.
        stacks: note where the culprit stands; a platform thread then looks four times a threshold, which a
            server under measurement should not have to pay for.
        on_pin: called with each pin on the carrier it kept, so it must be quick.

    Raises: UsageError for a threshold that is not positive.
    """

    def __init__(
        self,
        *,
        threshold_s: float = THRESHOLD_S,
        stacks: bool = True,
        on_pin: Callable[[Pin], object] | None = None,
    ) -> None:
        if not threshold_s > 0:
            raise UsageError(f"threshold_s={threshold_s} must be above 0 seconds")
        self.threshold_s = threshold_s
        self._stacks = stacks
        self._on_pin = on_pin
        self._pins: deque[Pin] = deque(maxlen=MOST_KEPT)
        self._count = 0
        self._total_s = 0.0
        self._over = threading.Event()
        self._looker: threading.Thread | None = None

    @property
    def pins(self) -> tuple[Pin, ...]:
        """The last thousand, oldest first."""
        return tuple(self._pins)

    def gauges(self) -> Mapping[str, float]:
        """`pins_total`, and the milliseconds that carriers were kept, `pinned_ms_total`."""
        return {"pins_total": self._count, "pinned_ms_total": self._total_s * 1e3}

    def pinned(
        self,
        thread: str,
        at_ns: int,
        lasted_s: float,
        stack: tuple[traceback.FrameSummary, ...],
    ) -> None:
        """Take down one pin; called on the carrier it kept."""
        pin = Pin(thread, threading.current_thread().name, at_ns, lasted_s, stack)
        self._pins.append(pin)
        self._count += 1
        self._total_s += lasted_s
        if self._on_pin is not None:
            self._on_pin(pin)

    def __enter__(self) -> Self:
        WATCHING.add(self)
        if self._stacks:
            self._looker = threading.Thread(target=self._look, name="pin-watch", daemon=True)
            self._looker.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        WATCHING.remove(self)
        self._over.set()
        if self._looker is not None:
            self._looker.join()

    def _look(self) -> None:
        while not self._over.wait(self.threshold_s / LOOKS_A_THRESHOLD):
            WATCHING.look(self.threshold_s)


def both(*ends: Callable[[], None] | None) -> Callable[[], None] | None:
    """One call for all that have to be told of an unmount."""
    told: list[Any] = [end for end in ends if end is not None]
    if len(told) < 2:
        return told[0] if told else None

    def end() -> None:
        for each in told:
            each()

    return end
