import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from labcore.kernel import PeerError, UsageError
from labcore.lanes import Child

READY_S = 15.0

Events = queue.Queue[tuple[str, dict[str, Any]]]


@pytest.fixture
def events() -> Events:
    return queue.Queue()


@pytest.fixture
def echo(events: Events) -> Iterator[Child]:
    child = Child(
        "lab_children:echo",
        {"answer": 42, "secret": "hush"},
        name="echo",
        on_event=lambda kind, payload: events.put((kind, payload)),
    )
    with child:
        yield child


def test_readiness_carries_the_payload_and_the_setting_arrived(echo: Child):
    ready = echo.wait_ready(READY_S)
    assert ready == {"pid": echo.pid, "answer": 42, "secret": "hush"}
    assert echo.alive


def test_no_setting_stands_in_the_command_line_or_the_environment(echo: Child):
    echo.wait_ready(READY_S)
    process = psutil.Process(echo.pid)
    assert "hush" not in " ".join(process.cmdline())
    assert "hush" not in " ".join(process.environ().values())


def test_commands_go_down_and_events_come_up(echo: Child, events: Events):
    echo.wait_ready(READY_S)
    for number in range(100):
        echo.send("count", {"number": number})
    received = [events.get(timeout=READY_S) for _ in range(100)]
    assert received == [("echo-count", {"number": number}) for number in range(100)]


def test_a_stop_is_orderly_and_says_why(echo: Child, events: Events):
    echo.wait_ready(READY_S)
    echo.stop()
    assert events.get(timeout=READY_S) == ("stopped", {"reason": "asked by a signal"})
    assert (echo.alive, echo.exit_code) == (False, 0)
    echo.stop()


def test_a_gone_child_takes_no_command(echo: Child):
    echo.wait_ready(READY_S)
    echo.stop()
    with pytest.raises(PeerError, match="echo"):
        echo.send("count", {})


def test_a_killed_child_is_dead_by_the_signal(echo: Child):
    echo.wait_ready(READY_S)
    echo.kill()
    assert echo.exit_code == -signal.SIGKILL


def test_a_child_has_its_own_session_so_an_interrupt_spares_it(echo: Child):
    echo.wait_ready(READY_S)
    assert os.getsid(echo.pid) == echo.pid != os.getsid(0)


def test_a_child_leaves_no_thread_and_no_descriptor(echo: Child):
    before = psutil.Process().num_fds() - 3  # stdin, stdout and the log of this child
    echo.wait_ready(READY_S)
    echo.stop()
    assert psutil.Process().num_fds() == before
    assert not [thread for thread in threading.enumerate() if thread.name == "events-echo"]


def test_a_child_starts_once(echo: Child):
    with pytest.raises(UsageError, match="started already"):
        echo.start()


def test_a_command_before_the_handler_is_kept(tmp_path: Path, events: Events):
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = Child(
        "lab_children:late",
        {"fifo": str(fifo)},
        name="late",
        on_event=lambda kind, payload: events.put((kind, payload)),
    )
    with child:
        child.wait_ready(READY_S)
        child.send("early", {"x": 1})
        os.close(os.open(fifo, os.O_WRONLY))
        assert events.get(timeout=READY_S) == ("early", {"x": 1})


def test_prints_go_to_the_log_and_never_into_the_line():
    with Child("lab_children:noisy", {}, name="noisy") as child:
        child.wait_ready(READY_S)
        assert child.log_tail() == "from Python\nfrom below"
    assert child.log_tail(1) == "from below"


def test_a_log_directory_keeps_the_log(tmp_path: Path):
    with Child("lab_children:noisy", {}, name="noisy", log_dir=tmp_path / "logs") as child:
        child.wait_ready(READY_S)
    (log,) = (tmp_path / "logs").iterdir()
    assert log.name.startswith("noisy_")
    assert "from below" in log.read_text()


def test_a_death_before_readiness_shows_the_log():
    with (
        Child("lab_children:broken", {}, name="broken") as child,
        pytest.raises(PeerError, match=r"(?s)'broken' ended with code 1.*the very reason"),
    ):
        child.wait_ready(READY_S)


def test_an_error_of_the_house_crosses_as_itself():
    with (
        Child("lab_children:misused", {}, name="misused") as child,
        pytest.raises(UsageError, match=r"^rate=-1 is out of range$"),
    ):
        child.wait_ready(READY_S)


@pytest.mark.parametrize("target", ["lab_children:nobody", "no_such_module:run", "lab_children"])
def test_an_unknown_target_is_named(target: str):
    with (
        Child(target, {}, name="unknown") as child,
        pytest.raises(UsageError, match=target),
    ):
        child.wait_ready(READY_S)


def test_a_child_that_is_not_ready_in_time_is_named():
    with (
        Child("lab_children:mute", {}, name="mute") as child,
        pytest.raises(PeerError, match=r"'mute' took over 0\.2 s"),
    ):
        child.wait_ready(0.2)


@pytest.mark.parametrize("target", ["lab_children:stubborn", "lab_children:deaf"])
def test_a_child_that_does_not_stop_is_killed_after_the_grace(target: str):
    child = Child(target, {}, name="stubborn")
    child.start(grace_s=60)
    child.wait_ready(READY_S)
    child.stop(grace_s=0.2)
    assert child.exit_code == -signal.SIGKILL


def test_a_child_ends_itself_when_the_grace_is_over():
    child = Child("lab_children:leaves_a_thread", {}, name="threads")
    child.start(grace_s=0.2)
    child.wait_ready(READY_S)
    child.stop(grace_s=READY_S)
    assert child.exit_code == 70
    assert "no orderly stop within 0.2 s" in child.log_tail()


def test_a_failing_command_handler_ends_the_child():
    with Child("lab_children:clumsy", {}, name="clumsy") as child:
        child.wait_ready(READY_S)
        child.send("jump", {})
        child.stop(grace_s=READY_S)
    assert child.exit_code == 70
    assert "cannot obey jump" in child.log_tail()


def test_a_failing_listener_does_not_deafen_the_line(caplog: pytest.LogCaptureFixture):
    heard = threading.Event()

    def listener(kind: str, payload: dict[str, Any]) -> None:
        if kind == "echo-second":
            heard.set()
        raise ZeroDivisionError("listener")

    with Child("lab_children:echo", {}, name="echo", on_event=listener) as child:
        child.wait_ready(READY_S)
        child.send("first", {})
        child.send("second", {})
        assert heard.wait(READY_S)
    assert "failed on event 'echo-first'" in caplog.text


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this platform cannot pin")
def test_a_child_is_pinned():
    core = min(os.sched_getaffinity(0))
    with Child("lab_children:echo", {}, name="pinned", cpus=frozenset({core})) as child:
        child.wait_ready(READY_S)
        assert os.sched_getaffinity(child.pid) == {core}


def test_a_setting_that_is_not_json_is_refused():
    with pytest.raises(UsageError, match="'odd' is not JSON"):
        Child("lab_children:echo", {"x": {1, 2}}, name="odd")


def test_before_the_start_there_is_no_pid():
    child = Child("lab_children:echo", {}, name="echo")
    assert not child.alive
    with pytest.raises(UsageError, match="start"):
        _ = child.pid
    child.stop()


def test_two_children_at_once_do_not_meet(echo: Child):
    with Child("lab_children:echo", {"answer": 1}, name="second") as second:
        assert second.wait_ready(READY_S)["answer"] == 1
        assert echo.wait_ready(READY_S)["answer"] == 42


def test_the_child_program_is_not_for_hands():
    done = subprocess.run(
        [sys.executable, "-m", "labcore.lanes.launch.child", "lab_children:echo"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "not by hand" in done.stderr
