"""Publishers who wait for their event's end, and who tells them. Thread-safe.

What this dispatcher settles is told at once; what another one settles is found by looking now and then.
"""

import asyncio
import threading
from collections.abc import Callable

import anyio

LOOK_S = 0.25


class Awaited:
    """How many deliveries of the events that somebody waits for have ended here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ended: dict[str, int] = {}
        self._wakes: dict[str, Callable[[], object]] = {}

    def begin(self, event_id: str) -> None:
        """Count from now on; before the event is stored, so that no end is missed."""
        with self._lock:
            self._ended[event_id] = 0

    def ended(self, event_id: str) -> None:
        """One delivery of that event has been delivered or is dead, and the database knows."""
        with self._lock:
            if event_id not in self._ended:
                return
            self._ended[event_id] += 1
            wake = self._wakes.get(event_id)
        if wake is not None:
            wake()

    def count(self, event_id: str) -> int:
        """How many have ended here so far."""
        with self._lock:
            return self._ended.get(event_id, 0)

    def forget(self, event_id: str) -> None:
        """Nobody waits any more."""
        with self._lock:
            self._ended.pop(event_id, None)
            self._wakes.pop(event_id, None)

    async def wait(self, event_id: str) -> None:
        """Until one more ends here, or it is time to look whether another dispatcher ended one."""
        loop, bell = asyncio.get_running_loop(), asyncio.Event()
        before = self.count(event_id)
        with self._lock:
            if event_id in self._ended:
                self._wakes[event_id] = lambda: loop.call_soon_threadsafe(bell.set)
        if self.count(event_id) == before:
            with anyio.move_on_after(LOOK_S):
                await bell.wait()
