"""A check ends in bounded time, says what is wrong and where, and leaves nothing behind."""

import signal
import subprocess
import sys
import threading
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from labcore.kernel import UsageError
from labcore.learn import Journal, Status, check
from labcore.reactive import Flux, Mono

HEAD = "from labcore.reactive import Flux, Mono\nimport os, time, threading, subprocess, sys\n"
LIMIT_S = 1.0
CONNECTIONS = 3


def answering(body: str) -> str:
    """Source of an answer to `flat_map`; its body begins in line 4."""
    return f"{HEAD}\ndef reserve_all(skus, reserve):\n" + "".join(
        f"    {line}\n" for line in dedent(body).strip().splitlines()
    )


@pytest.mark.parametrize(
    ("body", "line"),
    [
        ("while True:\n    pass", 5),
        ("time.sleep = None\nthreading.Event().wait()", 6),
        ("return skus.map(lambda sku: [1 for _ in iter(int, 1)])", 5),
    ],
    ids=["spinning", "waiting-for-nobody", "spinning-inside-the-stream"],
)
def test_an_answer_that_never_returns_is_ended_and_its_line_named(body: str, line: int):
    result = check("flat_map", answering(body), limit_s=LIMIT_S)
    assert result.status is Status.WOULD_HANG
    assert result.line == line
    assert "1 s" in result.expected


def test_a_stream_that_nothing_can_end_would_hang_and_takes_no_time():
    result = check("flat_map", answering("return skus.flat_map(lambda _: Mono.never())"))
    assert result.status is Status.WOULD_HANG
    assert "no timer, thread or task is left" in result.actual
    assert "expected" in result.marbles


@pytest.mark.parametrize(
    ("source", "line", "said"),
    [
        ("def reserve_all(skus, reserve)\n    return skus", 1, "SyntaxError"),
        (answering("return skus.flatmap(reserve)"), 5, "AttributeError"),
        (answering("return skus.map(lambda sku: sku.shelf)"), 5, "AttributeError"),
        (answering("return skus.flat_map(lambda a, b: a)"), None, "TypeError"),
        ("def reserve(skus):\n    return skus", None, "no function 'reserve_all'"),
        ("raise SystemExit(3)", 1, "SystemExit"),
        (answering("os._exit(0)"), None, "ended without a word"),
    ],
    ids=["syntax", "name", "inside", "arguments", "no-function", "exit", "hard-exit"],
)
def test_what_does_not_run_names_the_line(source: str, line: int | None, said: str):
    result = check("flat_map", source)
    assert result.status is Status.DOES_NOT_RUN
    assert result.line == line
    assert said in result.actual


def test_a_forgotten_return_is_named():
    result = check("flat_map", answering("skus.flat_map(reserve, concurrency=3)"))
    assert result.status is Status.NOT_YET
    assert "`return` missing" in result.actual


def test_what_the_answer_prints_is_shown():
    result = check("flat_map", answering("print('reserving')\nreturn skus"))
    assert "reserving" in result.printed
    assert "reserving" in str(result)


def test_a_function_travels_with_what_it_uses():
    def reserve_all(skus: Flux[str], reserve: object) -> Flux[str]:
        return bounded(skus, reserve)

    assert check("flat_map", reserve_all).passed


def bounded(skus: Flux[str], reserve: object) -> Flux[str]:
    assert callable(reserve)
    return skus.flat_map(lambda sku: Mono.from_publisher(reserve(sku)), concurrency=CONNECTIONS)


def test_a_value_that_cannot_travel_is_named():
    def reserve_all(skus: Flux[str], reserve: object) -> Flux[str]:
        assert SHELVES
        return bounded(skus, reserve)

    result = check("flat_map", reserve_all)
    assert result.status is Status.DOES_NOT_RUN
    assert "'SHELVES' is not defined; it stays behind" in result.actual


SHELVES = object()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["interrupt", "kill"])
def test_the_child_ends_with_whoever_asked(number: signal.Signals):
    program = "from labcore.learn import check; check('flat_map', 'while True: pass', limit_s=3)"
    with subprocess.Popen(
        [sys.executable, "-c", program], stderr=subprocess.DEVNULL, start_new_session=True
    ) as asking:
        asker = psutil.Process(asking.pid)
        while not (children := asker.children()):
            assert asking.poll() is None
        asking.send_signal(number)
        asking.wait(timeout=10)
        gone, alive = psutil.wait_procs(children, timeout=10)
    assert (len(gone), alive) == (1, [])


def test_what_is_no_function_is_refused():
    with pytest.raises(UsageError, match="give the function"):
        check("flat_map", 3)  # type: ignore[arg-type]  # what a caller may get wrong
    with pytest.raises(UsageError, match=r"no exercise 'flatmap'; there are: .*flat_map"):
        check("flatmap", "")
    with pytest.raises(UsageError, match="above 0"):
        check("flat_map", "", limit_s=0)


def test_an_answer_that_calls_check_starts_no_chain_of_processes():
    source = "from labcore.learn import check\ncheck('flat_map', 'x')"
    result = check("flat_map", source)
    assert result.status is Status.DOES_NOT_RUN
    assert "a cell of its own" in result.actual


def test_processes_and_threads_of_an_answer_end_with_its_check(tmp_path: Path):
    note = tmp_path / "pid"
    body = f"""
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        open({str(note)!r}, "w").write(str(child.pid))
        threading.Thread(target=threading.Event().wait).start()
        return skus.flat_map(reserve, concurrency=3)
    """
    threads, others = threading.active_count(), set(psutil.Process().children(recursive=True))
    assert check("flat_map", answering(body)).passed
    assert threading.active_count() == threads
    assert set(psutil.Process().children(recursive=True)) <= others
    started = int(note.read_text())
    if psutil.pid_exists(started):
        assert psutil.Process(started).wait(timeout=5) is None


def test_hints_go_one_grade_further_at_each_call_and_are_remembered(journal: Journal):
    result = check("flat_map", answering("return skus"))
    grades = [result.hint().grade for _ in range(4)]
    assert grades == [1, 2, 3, 3]
    assert journal.hints_taken("flat_map") == 3
    assert "concurrency" in str(check("flat_map", answering("return skus")).hint())
