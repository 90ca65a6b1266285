"""A carrier of the library's own: an event loop on an OS thread, for scripts that have no loop."""

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import uvloop


class Carrier:
    """Starts with the first use and ends with `close`."""

    def __init__(self, name: str) -> None:
        self.loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def call(self, fn: Callable[..., object], *args: Any) -> None:
        """Run `fn` on the carrier soon. From any thread."""
        self.loop.call_soon_threadsafe(fn, *args)

    def close(self) -> None:
        """End the loop and its thread. What still runs on it is abandoned: drain it first."""
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_forever()
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
        finally:
            self.loop.close()
