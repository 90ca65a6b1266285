"""Which cores belong to whom while a run is measured."""

import os
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass


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
