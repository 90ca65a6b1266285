"""Who may begin: a bounded number of orders at work, a bounded queue before them, no for the rest.

The same in every lane, before the lane's own machinery. Without a bound an overloaded service answers
everybody too late; with it most are served in time and the others know at once to come again.
"""

import asyncio
from collections import deque
from collections.abc import Mapping


class Admission:
    """Places for orders, first come, first served. Lives on one event loop; not thread-safe."""

    def __init__(self, *, max_in_flight: int, max_queue: int) -> None:
        self._free = max_in_flight
        self._in_flight = 0
        self._max_queue = max_queue
        self._queue: deque[asyncio.Future[None]] = deque()
        self._shed = 0

    async def enter(self) -> bool:
        """Take a place, waiting in line for one; False at once when the line is full.

        Whoever is told True must `leave`. Cancelled, the caller holds no place.
        """
        if self._free > 0:
            self._free -= 1
            self._in_flight += 1
            return True
        if len(self._queue) >= self._max_queue:
            self._shed += 1
            return False
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        self._in_flight += 1
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._queue.remove(turn)
                self._in_flight -= 1
            else:  # the place came together with the cancellation
                self.leave()
            raise
        return True

    def leave(self) -> None:
        """Give the place to the first in line."""
        self._in_flight -= 1
        for turn in self._queue:
            if not turn.done():
                self._queue.remove(turn)
                turn.set_result(None)
                return
        self._free += 1

    def gauges(self) -> Mapping[str, float]:
        """`in_flight`, orders inside, those in line included; `admission_queue`; `shed_total`."""
        return {
            "in_flight": self._in_flight,
            "admission_queue": len(self._queue),
            "shed_total": self._shed,
        }
