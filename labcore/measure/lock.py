"""One measurement at a time on this machine: two at once would measure each other.

The lock is the kernel's (`flock`), so it goes with its holder however that ends; the file beside it
only tells who holds it. Users of one machine share it as far as they share a temporary directory.
"""

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event

from labcore.kernel import EnvironmentFault, InterruptedRunError, utc_now

POLL_S = 0.2


def lock_path() -> Path:
    """The lock's file, the same for every process on this machine."""
    return Path(tempfile.gettempdir()) / "labcore-measuring.lock"


@contextmanager
def machine_lock(
    purpose: str,
    *,
    on_wait: Callable[[str], None],
    cancelled: Event | None = None,
    path: Path | None = None,
) -> Iterator[None]:
    """Hold the machine for one measurement; wait while somebody else does, and say so.

    Args:
        purpose: told to whoever has to wait, for example `compare checkout`.
        on_wait: called once, with a sentence, if there is something to wait for.
        cancelled: set it to stop waiting.
        path: another file than the machine's, for tests.

    Raises:
        InterruptedRunError: cancelled while waiting.
        EnvironmentFault: the file cannot be opened.
    """
    place = path or lock_path()
    stop = cancelled or Event()
    descriptor = _open(place)
    try:
        if not _try(descriptor):
            on_wait(f"waiting: this machine is measuring already ({_holder(descriptor)})")
            while not _try(descriptor):
                if stop.wait(POLL_S):
                    raise InterruptedRunError("cancelled while waiting for another measurement")
        _sign(descriptor, purpose)
        try:
            yield
        finally:
            os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def _open(path: Path) -> int:
    """Without creation first: the kernel refuses that for another user's file in a sticky folder."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return _create(path)
    except OSError as exc:
        raise EnvironmentFault(f"cannot open the lock {path}: {exc}; make it writable") from exc


def _create(path: Path) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        if os.fstat(descriptor).st_uid == os.geteuid():
            os.fchmod(descriptor, 0o666)  # the umask must not shut other users out
    except OSError as exc:
        raise EnvironmentFault(f"cannot create the lock {path}: {exc}; free its folder") from exc
    return descriptor


def _try(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(descriptor: int, purpose: str) -> None:
    note = {
        "pid": os.getpid(),
        "purpose": purpose,
        "since": utc_now().isoformat(timespec="seconds"),
    }
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(note).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        note = json.loads(os.pread(descriptor, 4096, 0))
        return f"{note['purpose']}, process {note['pid']}, since {note['since']}"
    except (ValueError, KeyError, TypeError):
        return "by a process that has not said its name yet"
