"""The main program of every child: `python -m labcore.lanes.launch.child MODULE:FUNCTION`.

The first line on stdin is the envelope (setting, parent's pid, grace, cores); later lines are
commands; end-of-file means that the parent is gone. A hole remains in end-of-file alone, since a
process forked from the parent keeps the pipe open, so the parent's pid is also compared once a
second. Of the known techniques only this pair survives an interrupt, a restart, kill -9 and a crash
of the parent; prctl's death signal fires when the starting *thread* ends.

Events go up on what was stdout. File descriptor 1 is then pointed at stderr, the log, so that no
print of anybody can corrupt the line.
"""

import faulthandler
import json
import os
import select
import signal
import sys
import threading
import time
import traceback
from types import FrameType
from typing import Any

from labcore.kernel import LabError, UsageError
from labcore.lanes.launch.context import ChildContext
from labcore.lanes.launch.target import load_target

PARENT_POLL_S = 1.0  # the price of the fork hole, at most a second of afterlife
STOPPED_HARD = 70  # exit code (EX_SOFTWARE) when the grace ran out or a command handler failed
ENVELOPE_DEADLINE_S = 10.0
CHUNK_BYTES = 65536


class Watchdog:
    """One daemon thread that reads commands, notices the parent's death and enforces the grace."""

    def __init__(self, context: ChildContext, *, parent_pid: int, grace_s: float) -> None:
        self._context = context
        self._parent_pid = parent_pid
        self._grace_s = grace_s
        self._deadline_s: float | None = None
        self._wake_read, self._wake_write = os.pipe()

    def start(self, commands_fd: int, *, unread: bytes) -> None:
        """Take over the command line and the stop signals. Call from the main thread."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        threading.Thread(
            target=self._guarded, args=(commands_fd, unread), name="watchdog", daemon=True
        ).start()

    def wake(self) -> None:
        """Make the thread look again now: after a stop that began elsewhere."""
        os.write(self._wake_write, b"w")

    def _on_signal(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - their shape
        # Only a write: an Event set here could deadlock with the main thread waiting on it.
        os.write(self._wake_write, b"s")

    def _guarded(self, commands_fd: int, unread: bytes) -> None:
        try:
            self._run(commands_fd, unread)
        except BaseException:  # noqa: BLE001 - a child without its watchdog must not live on
            traceback.print_exc()
            self._leave("the watchdog or a command handler failed")

    def _run(self, commands_fd: int, unread: bytes) -> None:
        sources = [commands_fd, self._wake_read]
        buffer = self._deliver_lines(unread)
        while True:
            ready, _, _ = select.select(sources, [], [], self._patience_s())
            if self._wake_read in ready and b"s" in os.read(self._wake_read, CHUNK_BYTES):
                self._context.request_stop("asked by a signal")
            if commands_fd in ready:
                chunk = os.read(commands_fd, CHUNK_BYTES)
                if not chunk:
                    sources.remove(commands_fd)
                    self._context.request_stop("the parent closed the line")
                buffer = self._deliver_lines(buffer + chunk)
            if os.getppid() != self._parent_pid:
                self._context.request_stop("the parent is gone")
            self._enforce_grace()

    def _deliver_lines(self, data: bytes) -> bytes:
        *lines, rest = data.split(b"\n")
        for line in lines:
            command = json.loads(line)
            self._context.deliver(command["kind"], command["payload"])
        return rest

    def _patience_s(self) -> float:
        if self._deadline_s is None:
            return PARENT_POLL_S
        return min(PARENT_POLL_S, max(0.0, self._deadline_s - time.monotonic()))

    def _enforce_grace(self) -> None:
        if not self._context.stopping.is_set():
            return
        now_s = time.monotonic()
        if self._deadline_s is None:
            self._deadline_s = now_s + self._grace_s
        elif now_s >= self._deadline_s:
            self._leave(f"no orderly stop within {self._grace_s:g} s ({self._context.stop_reason})")

    def _leave(self, why: str) -> None:
        sys.stderr.write(f"child leaves hard: {why}\n")
        sys.stderr.flush()
        os._exit(STOPPED_HARD)


def read_envelope(fd: int) -> tuple[dict[str, Any], bytes]:
    """The first line as an object, and the bytes read beyond it. Raises: UsageError without one."""
    data = b""
    deadline_s = time.monotonic() + ENVELOPE_DEADLINE_S
    while b"\n" not in data:
        left_s = deadline_s - time.monotonic()
        chunk = (
            os.read(fd, CHUNK_BYTES) if select.select([fd], [], [], max(0.0, left_s))[0] else b""
        )
        if not chunk:
            raise UsageError("a child is started by labcore.lanes.Child, not by hand: no envelope")
        data += chunk
    line, _, rest = data.partition(b"\n")
    envelope: dict[str, Any] = json.loads(line)
    return envelope, rest


def take_over_standard_streams() -> tuple[int, int]:
    """Private copies of the command and event pipes; 0 reads nothing, 1 is the log from now on."""
    commands_fd, events_fd = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.close(nowhere)
    os.dup2(2, 1)
    sys.stdout = open(1, "w", buffering=1, closefd=False)  # noqa: SIM115 - lives on
    return commands_fd, events_fd


def main(target: str) -> int:
    """Run the target under the watchdog; the exit code of the process."""
    faulthandler.enable()
    commands_fd, events_fd = take_over_standard_streams()
    envelope, unread = read_envelope(commands_fd)
    if envelope["cpus"] is not None and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, envelope["cpus"])  # before any import sizes its thread pools
    context = ChildContext(envelope["setting"], events_fd=events_fd)
    watchdog = Watchdog(context, parent_pid=envelope["parent_pid"], grace_s=envelope["grace_s"])
    watchdog.start(commands_fd, unread=unread)
    context.on_stop(watchdog.wake)
    code = 0
    try:
        load_target(target)(context)
    except LabError as exc:  # crosses to the parent as itself, without a traceback
        context.emit("fault", {"error": type(exc).__name__, "message": str(exc)})
        code = exc.exit_code
    except BaseException:  # noqa: BLE001 - reported in the log, which the parent shows
        traceback.print_exc()
        code = 1
    context.request_stop("the function ended")  # from here the grace bounds stray threads too
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
