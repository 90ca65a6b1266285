"""A trial: an answer before the laws of its exercise. Runs in the checking process.

The same laws are played against the solution, whose recorded signals are what was expected, and
against the known wrong answers: an answer that breaks the same law in the same way as one of them is
recognised, however it is written.
"""

import ast
import random
import re
import traceback
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from labcore.learn.exercise import Exercise
from labcore.learn.law import FREE_S, Answer, Finding, Law, Stage
from labcore.learn.result import Status
from labcore.learn.stalls import ANSWER, Stalls
from labcore.learn.submission import Piece, Submission
from labcore.learn.timeline import side_by_side
from labcore.reactive.testing import OverdueError, StalledError, VerificationError

SEED = 1  # of jitter, so that two answers that do the same are seen to do the same
_NEVER = "no timer, thread or task is left"  # a verifier's words for a stream that stands still
_LATER = re.compile(r"nothing, .* timer is due in ([^:]+): .*")
# Mistakes in the learner's code that a stream hands on as an ordinary failure.
_SURELY = (NameError, AttributeError, TypeError)
_MISTAKES = (ImportError, ValueError, RuntimeError)  # only where they came from the learner's line


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a trial ended; the fields are those of `CheckResult`.

    Two answers that fail alike are equal, wherever their lines stand.
    """

    status: Status
    law: str = ""
    expected: str = ""
    actual: str = ""
    marbles: str = ""
    line: int | None = field(default=None, compare=False)

    def as_json(self) -> dict[str, Any]:
        """For the journey back."""
        return asdict(self) | {"status": self.status.value}


def load(handed_in: Submission, task: Exercise) -> Answer:
    """The learner's function, in a namespace that has the solution's imports.

    Raises:
        BaseException: whatever running its source raises.
        NameError: no function of that name.
    """
    scope: dict[str, Any] = {"__name__": "answer"}
    imports = [node for node in ast.parse(task.marked).body if _is_import(node)]
    _run(ast.Module(imports, []), scope, "<imports>")
    for piece in handed_in.pieces:
        tree = ast.parse(piece.source)
        ast.increment_lineno(tree, piece.first_line - 1)
        _run(tree, scope, ANSWER if piece.own else "<another cell>")
    if not callable(scope.get(handed_in.entry)):
        missing = f"there is no function {handed_in.entry!r}"
        raise NameError(missing)  # noqa: TRY004 - Python's own word for it
    answer: Answer = scope[handed_in.entry]
    return answer


def laws_of(task: Exercise) -> list[Law]:
    """The laws in the order in which `check.py` states them."""
    path = task.folder / "check.py"
    scope: dict[str, Any] = {"__name__": "check", "__file__": str(path)}
    exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), scope)  # noqa: S102 - the exercise's own file
    return [value for value in scope.values() if isinstance(value, Law)]


def tried(handed_in: Submission, task: Exercise, stalls: Stalls) -> Verdict:
    """The first law that the answer breaks, with the evidence; or that it passed."""
    stalls.lines.clear()
    try:
        answer = load(handed_in, task)
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - the learner's code failed: that is the finding
        return _broken(exc)
    for law in laws_of(task):
        verdict = _play(law, answer, task)
        if verdict is not None:
            return verdict
        if stalls.lines:
            return Verdict(
                Status.BLOCKS,
                law="nothing blocks the event loop",
                expected="waits that let the loop go on: an operator, or await",
                actual="this line held the event loop; meanwhile no other order moved",
                line=stalls.lines[0],
            )
    return Verdict(Status.PASSED)


def recognised(verdict: Verdict, task: Exercise, stalls: Stalls) -> str:
    """The name of the known wrong answer that fails in the same way; empty for none."""
    for wrong in task.wrong:
        if tried(Submission((Piece(wrong.source),), task.entry), task, stalls) == verdict:
            return wrong.name
    return ""


def _play(law: Law, answer: Answer, task: Exercise) -> Verdict | None:
    stage = Stage()
    random.seed(SEED)
    try:
        law.play(answer, stage)
    except (Exception, SystemExit) as exc:  # noqa: BLE001 - as above
        verdict = _judged(exc, law)
        return replace(verdict, marbles=_compared(law, stage, task))
    return None


def _judged(exc: BaseException, law: Law) -> Verdict:
    if isinstance(exc, OverdueError | StalledError):
        return Verdict(Status.WOULD_HANG, law.sentence, "an end", str(exc))
    if not isinstance(exc, VerificationError | Finding):
        return replace(_broken(exc), law=law.sentence)
    cause = exc.__cause__
    if isinstance(cause, _SURELY) or (isinstance(cause, _MISTAKES) and _line_of(cause) is not None):
        return replace(_broken(cause), law=law.sentence)
    expected = exc.expected
    if isinstance(exc, VerificationError) and exc.place is not None:
        expected = f"{exc.expected.split(', value')[0]}{_moment(exc.place.clock)}"
    hangs = law.breach is Status.NOT_YET and _NEVER in exc.actual
    status = Status.WOULD_HANG if hangs else law.breach
    # The verifier speaks to whoever writes a script; here the learner wrote the stream.
    actual = _LATER.sub(r"nothing yet; something is due \1 later", exc.actual)
    return Verdict(status, law.sentence, expected, actual)


def _moment(clock: str) -> str:
    """When it should have come; a script that has let everything end first does not care."""
    moment = clock.split(",", maxsplit=1)[0]
    return "" if moment == f"{FREE_S:g} s" else f" at {moment}"


def _broken(exc: BaseException) -> Verdict:
    return Verdict(
        Status.DOES_NOT_RUN,
        actual=f"{type(exc).__name__}: {exc}",
        line=_line_of(exc),
    )


def _compared(law: Law, stage: Stage, task: Exercise) -> str:
    """Both runs drawn, each to its own end: the verifier has stopped the wrong one early."""
    right = stage.right or Stage()
    if stage.right is None:
        law.play(load(Submission((Piece(task.marked),), task.entry), task), right)
    for one in (right, stage):
        random.seed(SEED)
        one.run_freely()
    return side_by_side(right.tracks, stage.tracks)


def _line_of(exc: BaseException) -> int | None:
    return _line(traceback.walk_tb(exc.__traceback__), innermost_last=True)


def _line(frames: Iterable[Any], *, innermost_last: bool = False) -> int | None:
    lines = [number for frame, number in frames if frame.f_code.co_filename == ANSWER]
    if not lines:
        return None
    return int(lines[-1] if innermost_last else lines[0])


def _is_import(node: ast.stmt) -> bool:
    return isinstance(node, ast.Import | ast.ImportFrom)


def _run(tree: ast.Module, scope: dict[str, Any], filename: str) -> None:
    exec(compile(tree, filename, "exec"), scope)  # noqa: S102 - running the learner's code is the purpose
