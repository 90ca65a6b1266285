"""What the tests of processes share: importable children, and waiting for facts."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

PATIENCE_S = 15.0
SERVICES = Path(__file__).parent / "services"


@pytest.fixture(autouse=True)
def importable_services(monkeypatch: pytest.MonkeyPatch) -> None:
    """Children find `lab_children` by name."""
    monkeypatch.setenv("PYTHONPATH", str(SERVICES))
    monkeypatch.syspath_prepend(str(SERVICES))


@pytest.fixture
def until() -> Callable[[Callable[[], object], str], None]:
    """Wait for a fact, or fail with its description."""

    def wait(fact: Callable[[], object], what: str) -> None:
        deadline_s = time.monotonic() + PATIENCE_S
        never = threading.Event()
        while not fact():
            assert time.monotonic() < deadline_s, f"not within {PATIENCE_S:g} s: {what}"
            never.wait(0.01)

    return wait


@pytest.fixture
def gone(until: Callable[[Callable[[], object], str], None]) -> Callable[[int], None]:
    """Wait for the end of a process by its pid."""
    return lambda pid: until(lambda: not running(pid), f"end of process {pid}")


def running(pid: int) -> bool:
    """Whether a process lives; one that only waits for its parent's notice does not."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
