"""`check`: an answer in, a result out, in bounded time and without touching the notebook's process.

The answer runs in a child process of its own, with virtual time where streams are concerned; the
child ends itself when its limit has passed. Start-up takes most of the time of a check.
"""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from labcore.kernel import LabError, UsageError
from labcore.learn.child import INSIDE
from labcore.learn.exercise import Exercise, exercise
from labcore.learn.journal import Journal
from labcore.learn.result import CheckResult, Hint, Status
from labcore.learn.stalls import ANSWER
from labcore.learn.submission import Submission, submission, syntax_error, untouched

LIMIT_S: Final = 5.0
_STARTING_S = 30.0  # what a crowded machine may need to start an interpreter
_WATCHDOG: Final = "Timeout ("  # how faulthandler begins
_FRAME = re.compile(rf'File "{re.escape(ANSWER)}", line (\d+)')


def check(
    name: str | Exercise,
    answer: Callable[..., Any] | str,
    *,
    limit_s: float = LIMIT_S,
    journal: Journal | None = None,
) -> CheckResult:
    """Whether the answer to that exercise is right, and if not, how it falls short.

        check("flat_map", reserve_all)

    Args:
        name: The exercise; `catalogue()` lists them.
        answer: The learner's function, or source text with the function in it.
        limit_s: Real seconds that the answer may run; then the result is *would hang*.
        journal: Where the attempt is remembered; default: this user's.

    Raises:
        UsageError: an unknown exercise, something that is no function, or a call from inside a check.
        LabError: the exercise's own check is at fault.
    """
    if INSIDE in os.environ:
        raise UsageError("an answer calls check itself; put the call into a cell of its own")
    if limit_s <= 0:
        raise UsageError(f"limit_s={limit_s} must be above 0 seconds")
    task = name if isinstance(name, Exercise) else exercise(name)
    journal = journal or Journal()
    fields = _examined(submission(answer, task), task, limit_s)
    journal.note("checked", exercise=task.name, status=fields["status"].value)
    return CheckResult(task.name, **fields, next_hint=lambda: next_hint(task, journal))


def next_hint(task: Exercise | str, journal: Journal | None = None) -> Hint:
    """One hint further than the last time, up to the third. Raises: UsageError, unknown exercise."""
    task = exercise(task) if isinstance(task, str) else task
    journal = journal or Journal()
    taken = journal.hints_taken(task.name)
    grade = min(taken + 1, len(task.hints))
    if grade > taken:
        journal.note("hint", exercise=task.name, grade=grade)
    return Hint(task.name, grade, task.hints[grade - 1])


def _examined(handed_in: Submission, task: Exercise, limit_s: float) -> dict[str, Any]:
    wrong_syntax = syntax_error(handed_in)
    if wrong_syntax is not None:
        return {
            "status": Status.DOES_NOT_RUN,
            "actual": f"{type(wrong_syntax).__name__}: {wrong_syntax.msg}",
            "line": wrong_syntax.lineno,
        }
    if untouched(handed_in, task):
        return {
            "status": Status.NOT_STARTED,
            "advice": f"Replace the last line of `{task.entry}` by your code.",
        }
    reports, stderr = _in_a_child(handed_in, task, limit_s)
    report = {key: value for one in reports for key, value in one.items()}
    if "fault" in report:
        raise LabError(f"the check of {task.name!r} failed itself:\n{report['fault']}")
    if not report:
        return _without_report(stderr, limit_s)
    report["status"] = Status(report["status"])
    for name in handed_in.left_behind:
        if report["actual"].startswith(f"NameError: name {name!r}"):
            report["actual"] += "; it stays behind in the notebook, for only definitions travel"
    known = {wrong.name: wrong.advice for wrong in task.wrong}
    report["advice"] = known.get(report.setdefault("misconception", ""), "")
    return report


def _without_report(stderr: str, limit_s: float) -> dict[str, Any]:
    """It ended before it could say anything; a watchdog's last words are the stack, innermost first."""
    found = _FRAME.search(stderr)
    line = int(found[1]) if found else None
    if not stderr.startswith(_WATCHDOG):
        actual = "the process that ran it ended without a word (os._exit, a crash?)"
        return {"status": Status.DOES_NOT_RUN, "actual": actual, "line": line}
    return {
        "status": Status.WOULD_HANG,
        "expected": f"an end within {limit_s:g} s",
        "actual": "still running then; the process that ran it was ended",
        "line": line,
    }


def _in_a_child(
    handed_in: Submission, task: Exercise, limit_s: float
) -> tuple[list[dict[str, Any]], str]:
    """The lines that the child could write before its end, and its stderr."""
    order = {
        "folder": str(task.folder),
        "submission": handed_in.as_json(),
        "limit_s": limit_s,
    }
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    with subprocess.Popen(
        [sys.executable, "-P", "-c", "from labcore.learn.child import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env=os.environ | {INSIDE: "1", "PYTHONPATH": path},
        start_new_session=True,  # the Interrupt button ends the wait here, and `_end` the child
    ) as child:
        try:
            out, err = child.communicate(json.dumps(order), timeout=limit_s + _STARTING_S)
        except subprocess.TimeoutExpired:
            _end(child)
            out, err = child.communicate()
        except BaseException:
            _end(child)
            raise
    return [json.loads(line) for line in out.splitlines() if line.endswith("}")], err


def _end(child: "subprocess.Popen[str]") -> None:
    if hasattr(os, "killpg"):
        os.killpg(child.pid, signal.SIGKILL)  # not reaped yet, so the number is still its own
    else:
        child.kill()
