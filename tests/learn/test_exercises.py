"""Every exercise, whatever folder it lies in: three states, and each known wrong answer by its name."""

import pytest

from labcore.learn import Exercise, Status, catalogue, check
from labcore.learn.exercise import Wrong

EXERCISES = catalogue()
WRONG = [(one, wrong) for one in EXERCISES for wrong in one.wrong]
each = pytest.mark.parametrize("task", EXERCISES, ids=lambda task: task.name)


@each
def test_the_folder_is_whole(task: Exercise):
    assert task.faults() == []
    assert len(task.wrong) >= 3
    assert task.statement.startswith("# ")
    assert len({wrong.advice for wrong in task.wrong}) == len(task.wrong)


@each
def test_the_untouched_stub_is_not_started(task: Exercise):
    result = check(task, task.stub)
    assert result.status is Status.NOT_STARTED
    assert task.entry in str(result)


@each
def test_the_solution_passes(task: Exercise):
    result = check(task, task.solution.text)
    assert result.status is Status.PASSED, str(result)


@pytest.mark.parametrize(("task", "wrong"), WRONG, ids=lambda one: getattr(one, "name", ""))
def test_a_known_wrong_answer_is_told_what_it_is(task: Exercise, wrong: Wrong):
    result = check(task, wrong.source)
    assert result.status not in {Status.PASSED, Status.NOT_STARTED}
    assert result.misconception == wrong.name, str(result)
    assert result.advice == wrong.advice
    assert wrong.advice.split(".")[0] in str(result)
    assert result.law or result.line
