"""Recordings: the signals and the demand that passed one point of a chain, with their times."""

from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import count
from typing import Any

from labcore.reactive.core import Down, Feed, Link, Source
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


def recorded(source: Source[Any], recording: Recording) -> Feed:
    """The feed of record."""

    def feed(down: Down[Any]) -> None:
        recording.subscriptions += 1
        number = recording.subscriptions
        now_s = down.scope.now_s

        def mark(kind: MarkKind, value: Any = None) -> None:
            recording.add(now_s(), kind, value, number)

        def start(subscription: Subscription) -> None:
            def request(n: int) -> None:
                mark(MarkKind.REQUEST, n)
                subscription.request(n)

            def cancel() -> None:
                mark(MarkKind.CANCEL)
                subscription.cancel()

            mark(MarkKind.SUBSCRIBE)
            down.start(Link(request, cancel))

        def offer(value: Any) -> bool:
            # Marked before it is passed on, so that what it causes below comes after it.
            position = len(recording.marks)
            mark(MarkKind.NEXT, value)
            used = down.offer(value)
            if not used and position < len(recording.marks):
                seen = recording.marks[position]
                recording.marks[position] = replace(seen, kind=MarkKind.DROP)
            return used

        def fail(error: Exception) -> None:
            mark(MarkKind.ERROR, error)
            down.fail(error)

        def complete() -> None:
            mark(MarkKind.COMPLETE)
            down.complete()

        source.feed(Down(start, offer, fail, complete, down.scope, down.context))

    return feed
