"""Carriers: the loop that runs here, or one of the library's own on an OS thread, for scripts."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import uvloop


def running_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that runs on this OS thread, if one does."""
    return asyncio._get_running_loop()  # noqa: SLF001 - in its `__all__`; asking otherwise costs an exception


class Carrier:
    """Begins when made and ends with `stop`."""

    def __init__(self, name: str) -> None:
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._inbox: deque[tuple[Callable[..., object], tuple[Any, ...]]] = deque()
        self._woken = False
        self._ending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, fn: Callable[..., object], *args: Any) -> None:
        """Run `fn` on the carrier soon. From any thread; a burst of calls wakes the loop once."""
        self._inbox.append((fn, args))
        if not self._woken:
            self._woken = True
            self.loop.call_soon_threadsafe(self._drain)

    def stop(self) -> None:
        """End the loop after its present turn; what still waits on it is abandoned. Once only."""
        if self._ending.acquire(blocking=False):
            self.loop.call_soon_threadsafe(self.loop.stop)

    def join(self) -> None:
        """Wait for the end of the loop's thread."""
        self._thread.join()

    def _drain(self) -> None:
        # Lowered before looking: a call that comes later wakes the loop again. No more than is there
        # now, so that a script that never stops calling does not keep the timers from ringing.
        self._woken = False
        for _ in range(len(self._inbox)):
            fn, args = self._inbox.popleft()
            fn(*args)

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()
