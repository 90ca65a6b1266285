"""The parent's end of a child process: start, readiness, events, commands, stop.

It blocks and needs no event loop, so a notebook cell, a script and a test use it alike. It decides
the wire (JSON lines: settings and commands down stdin, so that no secret stands in a command line;
events up stdout; stderr into a log) and the order of a stop (SIGTERM, grace, SIGKILL). What the
child does when its parent dies instead is decided in `child`.
"""

import contextlib
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from labcore import kernel
from labcore.kernel import LabError, PeerError, UsageError, new_id

EventHandler = Callable[[str, dict[str, Any]], None]
LOG_TAIL_LINES = 30
LOG_TAIL_BYTES = 32768
GRACE_S = 5.0

_logger = logging.getLogger(__name__)


class Child:
    """A supervised process that runs `target`, a `module:function` taking a `ChildContext`.

    Thread-safe. `on_event` is called for every event except `ready` and `fault`, on a thread of the
    child's own, so it must be quick. Without `log_dir` the log has no name and vanishes with the
    object; with it, the log stays as `log_dir/<name>-<id>.log`. `cpus` pins the process where the
    platform can (Linux) and is ignored elsewhere.

    The child is in its own session: an interrupt meant for the parent does not reach it.

    Raises: UsageError when the setting is not JSON.
    """

    def __init__(
        self,
        target: str,
        setting: Mapping[str, Any],
        *,
        name: str,
        on_event: EventHandler | None = None,
        cpus: frozenset[int] | None = None,
        log_dir: Path | None = None,
    ) -> None:
        self.name = name
        self._target = target
        self._on_event = on_event
        self._log_dir = log_dir
        self._cpus = None if cpus is None else sorted(cpus)
        try:
            self._setting = json.loads(json.dumps(dict(setting)))
        except (TypeError, ValueError) as exc:
            raise UsageError(f"the setting of child {name!r} is not JSON: {exc}") from exc
        self._process: subprocess.Popen[bytes] | None = None
        self._log: IO[bytes] | None = None
        self._reader: threading.Thread | None = None
        self._changed = threading.Condition()
        self._write_lock = threading.Lock()
        self._ready: dict[str, Any] | None = None
        self._fault: LabError | None = None
        self._ended = False
        self._last_words: list[str] = []

    def start(self, *, grace_s: float = GRACE_S) -> None:
        """Start the process; returns before it is ready.

        `grace_s` bounds the orderly stop that the child gives itself when the parent vanishes.

        Raises: UsageError when it was started already.
        """
        if self._process is not None:
            raise UsageError(f"child {self.name!r} was started already; make a new Child")
        self._log = self._open_log()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "labcore.lanes.launch.child", self._target],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,
        )
        self._reader = threading.Thread(
            target=self._read_events, args=(self._process,), name=f"events-{self.name}", daemon=True
        )
        self._reader.start()
        envelope = {
            "setting": self._setting,
            "parent_pid": os.getpid(),
            "grace_s": grace_s,
            "cpus": self._cpus,
        }
        with contextlib.suppress(BrokenPipeError):  # dead at once: wait_ready says so, with its log
            self._write_line(self._process, envelope)

    def wait_ready(self, timeout_s: float) -> dict[str, Any]:
        """The payload of the child's readiness.

        Raises: the child's own LabError if it ended with one; PeerError with the last 30 lines of
            its log if it died or was not ready in time (it is left running in that case).
        """
        with self._changed:
            self._changed.wait_for(lambda: self._ready is not None or self._ended, timeout_s)
            if self._ready is not None:
                return self._ready
            if self._fault is not None:
                raise self._fault
            ended = self._ended
        what = f"ended with code {self.exit_code}" if ended else f"took over {timeout_s:g} s"
        raise PeerError(
            f"child {self.name!r} {what} before it was ready; its log ends:\n{self.log_tail()}"
        )

    def send(self, kind: str, payload: Mapping[str, Any]) -> None:
        """Send a command down.

        Raises: PeerError if the child is gone; UsageError before the start.
        """
        if self._process is None:
            raise UsageError(f"child {self.name!r} is not started; start() it first")
        try:
            self._write_line(self._process, {"kind": kind, "payload": dict(payload)})
        except (BrokenPipeError, ValueError) as exc:  # ValueError: closed by our own stop
            raise PeerError(
                f"child {self.name!r} is gone; its log ends:\n{self.log_tail()}"
            ) from exc

    def stop(self, *, grace_s: float = GRACE_S) -> None:
        """SIGTERM, up to `grace_s` seconds of patience, SIGKILL; returns when nothing is left.

        Doing it twice is harmless.
        """
        process = self._process
        if process is None:
            return
        process.terminate()
        if not self._wait_ended(grace_s):
            self.kill()
        self._release()

    def kill(self) -> None:
        """SIGKILL to the child's whole process group, as a crash test does; returns when it is dead."""
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)  # its own session, so its pid names the group
        self._wait_ended(None)
        self._release()

    @property
    def pid(self) -> int:
        """The process id. Raises: UsageError before the start."""
        if self._process is None:
            raise UsageError(f"child {self.name!r} has no pid yet; start() it first")
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether it has said so, without waiting for it."""
        return self._ready is not None

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal; None while it runs or before the start."""
        return None if self._process is None else self._process.poll()

    def log_tail(self, lines: int = LOG_TAIL_LINES) -> str:
        """The last lines of what the child wrote to stderr or printed."""
        with self._changed:
            if self._log is None:
                return "\n".join(self._last_words[-lines:])
            return "\n".join(_last_lines(self._log.fileno())[-lines:])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    def _open_log(self) -> IO[bytes]:
        if self._log_dir is None:
            return tempfile.TemporaryFile()
        self._log_dir.mkdir(parents=True, exist_ok=True)
        return (self._log_dir / f"{new_id(self.name)}.log").open("wb+")

    def _write_line(self, process: subprocess.Popen[bytes], message: Mapping[str, Any]) -> None:
        assert process.stdin is not None
        line = json.dumps(message).encode() + b"\n"
        with self._write_lock:
            process.stdin.write(line)
            process.stdin.flush()

    def _read_events(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                event = json.loads(line)
                self._handle(event["kind"], event["payload"])
        finally:
            process.wait()
            with self._changed:
                self._ended = True
                self._changed.notify_all()

    def _handle(self, kind: str, payload: dict[str, Any]) -> None:
        if kind in {"ready", "fault"}:
            with self._changed:
                if kind == "ready":
                    self._ready = payload
                else:
                    self._fault = _revive(payload)
                self._changed.notify_all()
        elif self._on_event is not None:
            try:
                self._on_event(kind, payload)
            except Exception:  # a listener's fault must not deafen the line; it is reported
                _logger.exception("listener of child %r failed on event %r", self.name, kind)

    def _wait_ended(self, timeout_s: float | None) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: self._ended, timeout_s)

    def _release(self) -> None:
        assert self._process is not None
        assert self._reader is not None
        if threading.current_thread() is not self._reader:
            self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):  # unsent bytes for a dead child
                    stream.close()
        with self._changed:
            if self._log is not None:
                self._last_words = _last_lines(self._log.fileno())
                self._log.close()
                self._log = None


def _last_lines(descriptor: int) -> list[str]:
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, LOG_TAIL_BYTES, max(0, size - LOG_TAIL_BYTES))
    return data.decode(errors="replace").splitlines()


def _revive(payload: Mapping[str, Any]) -> LabError:
    kind = getattr(kernel, payload["error"], LabError)
    error = kind(payload["message"])
    assert isinstance(error, LabError)
    return error
