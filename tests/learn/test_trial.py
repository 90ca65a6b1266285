"""A trial names the first broken law, and whoever failed in the same way before."""

import pytest

from labcore.learn import Exercise, Status, exercise
from labcore.learn.law import Law
from labcore.learn.stalls import Stalls
from labcore.learn.submission import submission
from labcore.learn.trial import Verdict, laws_of, recognised, tried

TASK = exercise("latest")


def verdict_on(source: str, task: Exercise = TASK) -> Verdict:
    return tried(submission(source, task), task, Stalls())


def test_laws_are_tried_in_the_order_of_their_file():
    laws = laws_of(TASK)
    assert all(isinstance(one, Law) for one in laws)
    assert laws[0].sentence == "a display that keeps up sees every price"
    assert verdict_on("def board(prices):\n    return prices.take(2)\n").law == laws[0].sentence


def test_whoever_fails_in_the_same_way_is_recognised_however_it_is_written():
    written_otherwise = """
def board(prices):
    kept = prices.filter(lambda price: price > 0)
    return kept.on_backpressure_buffer(10_000)
"""
    verdict = verdict_on(written_otherwise)
    assert verdict.status is Status.NOT_YET
    assert recognised(verdict, TASK, Stalls()) == "old_prices"


def test_whoever_fails_in_a_new_way_is_not():
    verdict = verdict_on("def board(prices):\n    return prices.on_backpressure_latest().take(1)\n")
    assert verdict.status is Status.NOT_YET
    assert recognised(verdict, TASK, Stalls()) == ""


def test_two_verdicts_are_equal_wherever_their_lines_stand():
    assert Verdict(Status.NOT_YET, line=1) == Verdict(Status.NOT_YET, line=2)
    assert Verdict(Status.NOT_YET, actual="a") != Verdict(Status.NOT_YET, actual="b")


@pytest.mark.parametrize("name", ["retry", "flat_map"])
def test_the_same_answer_gives_the_same_verdict_each_time(name: str):
    """Chance is seeded and time virtual, so recognition can go by equality."""
    task = exercise(name)
    for wrong in task.wrong:
        if wrong.name != "sleeping":  # needs the stand-in for `time.sleep` that a child installs
            first, second = (verdict_on(wrong.source, task) for _ in range(2))
            assert first == second
            assert first.status is not Status.PASSED
