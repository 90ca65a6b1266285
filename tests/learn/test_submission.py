"""What of a notebook travels to the checking process, and what does not."""

import math
import math as maths
from pathlib import Path

import pytest

from labcore.kernel import UsageError
from labcore.learn import exercise
from labcore.learn.submission import Submission, submission, syntax_error, untouched
from labcore.reactive import Flux as Stream

TASK = exercise("flat_map")
LIMIT = 3


def doubled(value: int) -> int:
    return 2 * value if value < LIMIT else even_more(value)


def even_more(value: int) -> int:
    return doubled(value - 1) + value


SHELVES = object()


def reserve_all(skus: "Stream[str]", reserve: object) -> "Stream[str]":
    assert maths.pi
    assert SHELVES
    assert doubled(1)
    return Stream.from_iterable([str(skus), str(reserve)])


def run(handed_in: Submission) -> dict[str, object]:
    scope: dict[str, object] = {}
    for piece in handed_in.pieces:
        exec(piece.source, scope)
    return scope


def test_a_function_takes_along_what_it_names_and_nothing_else():
    handed_in = submission(reserve_all, TASK)
    scope = run(handed_in)
    assert handed_in.entry == "reserve_all"
    assert scope["maths"] is math
    assert scope["Stream"] is Stream
    assert scope["LIMIT"] == LIMIT
    assert callable(scope["even_more"])
    assert "TASK" not in scope
    assert handed_in.left_behind == ("SHELVES",)
    assert "Path" not in scope
    assert [piece.own for piece in handed_in.pieces][-1]


def test_lines_are_counted_where_the_learner_sees_them():
    piece = submission(reserve_all, TASK).pieces[-1]
    lines = Path(__file__).read_text().splitlines()
    assert lines[piece.first_line - 1].startswith("def reserve_all")


def test_syntax_errors_are_found_before_anything_runs():
    found = syntax_error(submission("x = 1\ndef (", TASK))
    assert found is not None
    assert found.lineno == 2


def test_a_stub_with_another_docstring_is_still_the_stub():
    assert untouched(
        submission(TASK.stub.replace("Reserve every", "Please reserve every"), TASK), TASK
    )
    assert not untouched(submission(TASK.solution.text, TASK), TASK)
    assert not untouched(submission("def other(): ...", TASK), TASK)


def test_a_function_without_source_is_refused():
    scope: dict[str, object] = {}
    exec("def reserve_all(skus, reserve): ...", scope)
    with pytest.raises(UsageError, match="give check its text"):
        submission(scope["reserve_all"], TASK)  # type: ignore[arg-type]  # made by exec
