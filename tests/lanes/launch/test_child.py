"""Whatever ends a parent ends its children: each way is tried on a real parent process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

PARENT = """
import os, sys, threading, faulthandler
from labcore.lanes import Child

def start():
    child = Child("lab_children:{target}", {{}}, name="orphan")
    child.start(grace_s=0.5)
    child.wait_ready(15)
    print(child.pid, flush=True)
    return child

{body}
"""
MAIN = "child = start()\n"
THREAD = """
kept = []
worker = threading.Thread(target=lambda: kept.append(start()))
worker.start()
worker.join()
"""
FORK = """
child = start()
if os.fork() == 0:  # holds the pipe open, so end-of-file alone would not tell
    print(os.getpid(), flush=True)
    threading.Event().wait()
"""
Gone = Callable[[int], None]
WAIT = "sys.stdin.read(1)\n"


@contextmanager
def parent(body: str, target: str = "echo") -> Iterator[tuple[subprocess.Popen[str], int]]:
    """A Python that started a child; its process and the child's pid."""
    program = [sys.executable, "-c", PARENT.format(body=body, target=target)]
    process = subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with process:
        assert process.stdout is not None
        yield process, int(process.stdout.readline())
        process.kill()


def go_on(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


@pytest.mark.parametrize("start", [MAIN, THREAD], ids=["main-thread", "worker-thread"])
@pytest.mark.parametrize(
    "end",
    [
        "",
        "raise ZeroDivisionError",
        "os._exit(1)",
        "os.kill(os.getpid(), 9)",
        "faulthandler._sigsegv()",
        "os.execv('/bin/true', ['true'])",
    ],
    ids=["end", "error", "_exit", "kill-9", "segfault", "exec"],
)
def test_a_child_ends_with_its_parent(start: str, end: str, gone: Gone):
    with parent(start + WAIT + end) as (process, child):
        go_on(process)
        process.wait(15)
        gone(child)


def test_a_child_outlives_the_thread_that_started_it(gone: Gone):
    with parent(THREAD + WAIT) as (process, child):
        os.kill(child, 0)
        process.kill()
        gone(child)


def test_a_stubborn_orphan_ends_after_the_grace(gone: Gone):
    with parent(MAIN + WAIT, target="stubborn") as (process, child):
        process.kill()
        gone(child)


def test_a_fork_that_holds_the_pipe_does_not_keep_the_child(gone: Gone):
    with parent(FORK + WAIT) as (process, child):
        assert process.stdout is not None
        fork = int(process.stdout.readline())
        try:
            process.kill()
            gone(child)
        finally:
            os.kill(fork, signal.SIGKILL)


def test_an_interrupt_of_the_parents_group_spares_the_child(gone: Gone):
    body = "import signal; signal.signal(signal.SIGINT, lambda *_: print('hit', flush=True))\n"
    with parent(body + MAIN + "while True: sys.stdin.read(1)\n") as (process, child):
        assert process.stdout is not None
        os.kill(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "hit\n"
        os.kill(child, 0)
        process.kill()
        gone(child)
