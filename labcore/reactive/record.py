"""Recordings: the signals and the demand that passed one point of a chain, with their times."""

from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count
from typing import Any

from labcore.reactive.core import IDLE, Down, Feed, Source, Step
from labcore.reactive.spec import Subscription


class MarkKind(Enum):
    """What passed."""

    SUBSCRIBE = "subscribe"
    REQUEST = "request"
    NEXT = "next"
    DROP = "drop"
    ERROR = "error"
    COMPLETE = "complete"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Mark:
    """One signal or one act of demand; `value` is the element, the error, or the `n` of a request.

    A `drop` is a value that a filter right below refused: it passed, and used up no demand.
    """

    at_s: float
    kind: MarkKind
    value: Any = None
    subscription: int = 0
    order: int = 0
    """Counts the marks of all recordings, so that those of one moment can be put in their order."""


_order = count()


@dataclass(slots=True)
class Recording:
    """What was recorded, oldest first, at most `limit` marks; `missed` counts those after that.

    Times are seconds since the first mark, on the loop's clock.
    """

    name: str = ""
    limit: int = 10_000
    marks: list[Mark] = field(default_factory=list)
    missed: int = 0
    subscriptions: int = 0
    start_s: float | None = None

    def add(self, at_s: float, kind: MarkKind, value: Any, subscription: int) -> None:
        """One mark more."""
        if self.start_s is None:
            self.start_s = at_s
        if len(self.marks) >= self.limit:
            self.missed += 1
        else:
            moment = at_s - self.start_s
            self.marks.append(Mark(moment, kind, value, subscription, next(_order)))


class Recorder(Step[Any]):
    """Marks what passes.

    Over, it knows the recording no more: the recording keeps an error, whose traceback leads to the
    stages that the error came through, and from them to what is below, which is here.
    """

    __slots__ = ("number", "recording")

    def __init__(self, down: Down[Any], recording: Recording) -> None:
        super().__init__(down)
        recording.subscriptions += 1
        self.number = recording.subscriptions
        self.recording: Recording | None = recording

    def mark(self, kind: MarkKind, value: Any = None) -> None:
        """One mark more."""
        if self.recording is not None:
            self.recording.add(self.scope.now_s(), kind, value, self.number)

    def start(self, subscription: Subscription) -> None:
        """Stands between, to see what is asked for."""
        self.mark(MarkKind.SUBSCRIBE)
        self.up = subscription
        self.down.start(self)

    def request(self, n: int) -> None:
        """Demand from below."""
        self.mark(MarkKind.REQUEST, n)
        self.up.request(n)

    def cancel(self) -> None:
        """The subscriber has gone."""
        self.mark(MarkKind.CANCEL)
        self.recording = None
        up, self.up = self.up, IDLE
        up.cancel()

    def offer(self, value: Any) -> bool:
        """Marked before it is passed on, so that what it causes below comes after it."""
        recording = self.recording
        if recording is None:
            return self.down.offer(value)
        position = len(recording.marks)
        self.mark(MarkKind.NEXT, value)
        used = self.down.offer(value)
        if not used and position < len(recording.marks):
            seen = recording.marks[position]
            recording.marks[position] = replace(seen, kind=MarkKind.DROP)
        return used

    def fail(self, error: Exception) -> None:
        """The end by failure."""
        self.mark(MarkKind.ERROR, error)
        self.recording = None
        super().fail(error)

    def complete(self) -> None:
        """The end by success."""
        self.mark(MarkKind.COMPLETE)
        self.recording = None
        super().complete()


def recorded(source: Source[Any], recording: Recording) -> Feed:
    """The feed of record."""

    def feed(down: "Down[Any]") -> None:
        source.feed(Recorder(down, recording))

    return feed
