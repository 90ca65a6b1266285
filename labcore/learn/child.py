"""The checking process: reads one task from stdin, writes its findings to stdout, and is gone.

A watchdog outside the interpreter's reach ends it when its time is over, and says on stderr which
line it was in: an endless loop cannot hold it, nor a call that never returns, nor the end of the
notebook that started it.
"""

import contextlib
import faulthandler
import io
import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any, TextIO

from labcore.learn.exercise import Exercise
from labcore.learn.stalls import Stalls
from labcore.learn.submission import Piece, Submission
from labcore.learn.trial import recognised, tried

MOST_PRINTED = 2_000  # characters of the learner's own output that are kept: the last ones
INSIDE = "LABCORE_CHECKING"


class Tail(io.TextIOBase):
    """Keeps the end of what is written, so that a flood of prints takes no memory."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, text: str) -> int:
        """Append, and forget what is too old."""
        self.text = (self.text + text)[-MOST_PRINTED:]
        return len(text)


def main() -> None:
    """Try what stdin says, write a line with the verdict and a line with what was recognised."""
    task = json.load(sys.stdin)
    report = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what the learner's code writes to the descriptor is no report
    faulthandler.dump_traceback_later(task["limit_s"], exit=True, file=2)
    try:
        _work(task, report)
    except Exception:  # noqa: BLE001 - told to the process that waits, which raises it
        _tell(report, {"fault": traceback.format_exc()})
    _leave()


def _work(task: dict[str, Any], report: TextIO) -> None:
    exercise = Exercise(Path(task["folder"]))
    given = task["submission"]
    handed_in = Submission(tuple(Piece(**piece) for piece in given["pieces"]), given["entry"])
    stalls = Stalls()
    stalls.install()
    printed = Tail()
    with contextlib.redirect_stdout(printed):
        verdict = tried(handed_in, exercise, stalls)
    _tell(report, verdict.as_json() | {"printed": printed.text})
    with contextlib.redirect_stdout(Tail()):
        _tell(report, {"misconception": recognised(verdict, exercise, stalls)})


def _tell(report: TextIO, document: dict[str, Any]) -> None:
    report.write(json.dumps(document) + "\n")
    report.flush()


def _leave() -> None:
    """Take along whatever the learner's code started: threads by `_exit`, processes by their group."""
    if hasattr(os, "killpg") and os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(0)
