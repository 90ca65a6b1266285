"""Outlet: a queue between values that come and demand that comes, for operators that cannot push on.

All queueing operators drain here, so there is one place where demand is counted, re-entrance is
refused (a request from inside an offer never recurses, rule 3.3) and the loop gets its turns.
"""

from collections import deque
from collections.abc import Callable
from typing import Any

from labcore.reactive.core import Down
from labcore.reactive.spec import TURN, UNBOUNDED, add_demand


class Outlet:
    """The subscription an operator hands down, and the queue behind it.

    `taken(k)` is called after `k` values were delivered, to ask for more above; `closed()` when
    the subscriber cancels; `asked(n)` on each request, before draining.
    """

    __slots__ = (
        "asked",
        "busy",
        "closed",
        "demand",
        "down",
        "ended",
        "error",
        "live",
        "queue",
        "taken",
    )

    def __init__(
        self,
        down: Down[Any],
        *,
        taken: Callable[[int], None] | None = None,
        closed: Callable[[], None] | None = None,
        asked: Callable[[int], None] | None = None,
    ) -> None:
        self.down = down
        self.taken = taken
        self.closed = closed
        self.asked = asked
        self.queue: deque[Any] = deque()
        self.demand = 0
        self.busy = False
        self.live = True
        self.ended = False
        self.error: Exception | None = None

    def request(self, n: int) -> None:
        """Demand from below."""
        if not self.live:
            return
        self.demand = add_demand(self.demand, n)
        if self.asked is not None:
            self.asked(n)
        if not self.busy:
            self.drain()

    def cancel(self) -> None:
        """Stop, and throw away what is queued."""
        if self.live:
            closed = self.closed
            self.end()
            self.clear()
            if closed is not None:
                closed()

    def push(self, value: Any) -> bool:
        """Deliver at once when there is demand and nothing waits; queue otherwise."""
        if not self.live or self.ended:
            self.down.scope.drop_value(value)
            return True
        if not self.demand or self.busy or self.queue:
            self.queue.append(value)
            if self.demand and not self.busy:
                self.drain()
            return True
        self.busy = True
        if self.down.offer(value) and self.demand < UNBOUNDED:
            self.demand -= 1
        if self.taken is not None:
            self.taken(1)
        self.busy = False
        if self.queue or self.ended:
            self.drain()
        return True

    def finish(self, error: Exception | None = None) -> None:
        """The end, after what is queued."""
        if not self.live or self.ended:
            if error is not None:
                self.down.scope.drop_error(error)
            return
        self.ended, self.error = True, error
        if not self.busy:
            self.drain()

    def complete(self) -> None:
        """The end by success, after what is queued."""
        self.finish()

    def fail(self, error: Exception) -> None:
        """The end by failure, now: what is queued is thrown away."""
        if not self.live:
            self.down.scope.drop_error(error)
            return
        self.end()
        self.clear()
        self.down.fail(error)

    def end(self) -> None:
        """Over: what it called belongs to the operator, which knows this outlet."""
        self.live = False
        self.taken = self.closed = self.asked = None

    def clear(self) -> None:
        """Throw away what is queued."""
        waiting, self.queue = self.queue, deque()
        discarded = self.down.scope.hooks.discarded
        if discarded is not None:
            for value in waiting:
                discarded(value)

    def drain(self) -> None:
        """Deliver as much as demand allows, a turn of the loop at a time."""
        self.busy = True
        while self.live:
            sent = self._send()
            if sent and self.taken is not None and self.live:
                self.taken(sent)
            if sent == TURN and self.queue and self.demand:
                self.down.scope.soon(self.drain)
                return
            if not (self.queue and self.demand):
                break
        self.busy = False
        if self.live and self.ended and not self.queue:
            error, self.error = self.error, None
            self.end()
            if error is None:
                self.down.complete()
            else:
                self.down.fail(error)

    def _send(self) -> int:
        offer, sent = self.down.offer, 0
        while self.queue and self.demand and sent < TURN:
            value = self.queue.popleft()
            sent += 1
            if offer(value) and self.demand < UNBOUNDED:
                self.demand -= 1
            if not self.live:
                break
        return sent
