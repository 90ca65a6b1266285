"""What a function running inside a child process is handed.

The context decides how a child speaks to its parent (events up, commands down) and how it learns
that it must stop. How the process was started, and what happens when it does not obey, is the
business of `child` and `process`.
"""

import json
import os
import select
import threading
from collections.abc import Callable, Mapping
from typing import Any

OFFER_BYTES = 4096
CommandHandler = Callable[[str, dict[str, Any]], None]


class ChildContext:
    """The child's end of the line to its parent. Every method may be called from any thread."""

    def __init__(self, setting: Mapping[str, Any], *, events_fd: int) -> None:
        self.setting: Mapping[str, Any] = setting
        self.stopping = threading.Event()
        self.stop_reason = ""
        self._events_fd = events_fd
        self._room = select.poll()
        self._room.register(events_fd, select.POLLOUT)
        self._write_lock = threading.Lock()
        self._lock = threading.RLock()
        self._stop_callbacks: list[Callable[[], object]] = []
        self._handler: CommandHandler | None = None
        self._early: list[tuple[str, dict[str, Any]]] = []

    def ready(self, **payload: Any) -> None:
        """Tell the parent that the child can be used; `payload` is what its `wait_ready` returns."""
        self.emit("ready", payload)

    def emit(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Send one event up. Blocks while the parent does not read; stops the child if it is gone.

        Values must be JSON; NaN passes, because both ends are Python.
        """
        with self._write_lock:
            self._write(_line(kind, payload))

    def offer(self, kind: str, payload: Mapping[str, Any]) -> bool:
        """Send one small event up if that does not block; False if it was dropped.

        For an event loop: a parent that reads too slowly must not stall it.
        """
        line = _line(kind, payload)
        if not self._write_lock.acquire(blocking=False):
            return False
        try:
            # A pipe that polls as writable takes this much whole (PIPE_BUF on Linux).
            if len(line) > OFFER_BYTES or not self._room.poll(0):
                return False
            self._write(line)
        finally:
            self._write_lock.release()
        return True

    def on_command(self, handler: CommandHandler) -> None:
        """Call `handler(kind, payload)` for each command, also those that came before this call.

        It runs on the watchdog's thread, so it must be quick (hand over to a loop or a queue). An
        exception in it ends the child: a half-obeyed command would falsify a run.
        """
        with self._lock:
            self._handler = handler
            early, self._early = self._early, []
            for kind, payload in early:
                handler(kind, payload)

    def on_stop(self, callback: Callable[[], object]) -> None:
        """Call `callback` once when the stop is asked for; at once if it was asked already."""
        with self._lock:
            if not self.stopping.is_set():
                self._stop_callbacks.append(callback)
                return
        callback()

    def request_stop(self, reason: str) -> None:
        """Begin the orderly stop; further requests change nothing."""
        with self._lock:
            if self.stopping.is_set():
                return
            self.stop_reason = reason
            self.stopping.set()
            callbacks, self._stop_callbacks = self._stop_callbacks, []
        for callback in callbacks:
            callback()

    def _write(self, line: bytes) -> None:
        try:
            while line:
                line = line[os.write(self._events_fd, line) :]
        except BrokenPipeError:  # the same news as end-of-file on the commands: the parent is gone
            self.request_stop("the parent no longer reads events")

    def deliver(self, kind: str, payload: dict[str, Any]) -> None:
        """Hand a command to the handler, or keep it until there is one (the watchdog calls this)."""
        with self._lock:
            if self._handler is None:
                self._early.append((kind, payload))
                return
            handler = self._handler
        handler(kind, payload)


def _line(kind: str, payload: Mapping[str, Any]) -> bytes:
    return json.dumps({"kind": kind, "payload": dict(payload)}).encode() + b"\n"
