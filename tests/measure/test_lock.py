"""Two measurements never overlap; the second waits, says so, and can be cancelled."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from labcore.kernel import EnvironmentFault, InterruptedRunError
from labcore.measure.lock import machine_lock

HOLDER = """
import sys
from pathlib import Path
from labcore.measure.lock import machine_lock
with machine_lock("compare checkout", on_wait=print, path=Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def refuse_to_wait(message: str) -> None:
    raise AssertionError(f"waited: {message}")


def test_the_second_waits_and_is_told_for_whom(path: Path):
    said: list[str] = []
    told = Event()

    def listen(message: str) -> None:
        said.append(message)
        told.set()

    def second() -> str:
        with machine_lock("second", on_wait=listen, path=path):
            return "ran"

    with ThreadPoolExecutor() as pool:
        with machine_lock("compare checkout", on_wait=refuse_to_wait, path=path):
            waiting = pool.submit(second)
            assert told.wait(10)
            assert not waiting.done()
        assert waiting.result(10) == "ran"
    assert len(said) == 1
    assert "compare checkout" in said[0]
    assert str(os.getpid()) in said[0]


def test_a_wait_can_be_cancelled(path: Path):
    cancelled = Event()
    with (
        machine_lock("first", on_wait=refuse_to_wait, path=path),
        pytest.raises(InterruptedRunError, match="while waiting"),
        machine_lock("second", on_wait=lambda _: cancelled.set(), cancelled=cancelled, path=path),
    ):
        pytest.fail("held twice")


def test_the_lock_of_a_killed_process_is_free(path: Path):
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        assert json.loads(path.read_text())["pid"] == process.pid
        process.kill()
    with machine_lock("next", on_wait=refuse_to_wait, path=path):
        assert json.loads(path.read_text())["purpose"] == "next"


def test_the_lock_is_free_after_an_error(path: Path):
    with (
        pytest.raises(RuntimeError),
        machine_lock("first", on_wait=refuse_to_wait, path=path),
    ):
        raise RuntimeError
    with machine_lock("second", on_wait=refuse_to_wait, path=path):
        pass
    assert path.read_text() == ""


def test_a_lock_that_cannot_be_made_is_a_fault_of_the_machine(tmp_path: Path):
    with (
        pytest.raises(EnvironmentFault, match="cannot create the lock"),
        machine_lock("x", on_wait=refuse_to_wait, path=tmp_path / "no" / "folder"),
    ):
        pytest.fail("held without a file")
