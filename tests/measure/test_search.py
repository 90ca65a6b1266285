"""The search ends at the gap that is there, and says so when it cannot find one."""

from collections.abc import Callable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.measure.search import Ladder, Tally, next_rung

Answer = Callable[[int], str]
LADDER = Ladder(lowest_per_s=10, highest_per_s=640, start_per_s=40, steps_per_doubling=4)
WORDS = {"pass": Tally(1), "fail": Tally(0, 1), "void": Tally(0, 0, 1)}


def search(answer: Answer, ladder: Ladder = LADDER) -> tuple[dict[int, Tally], list[int]]:
    """Every rung tried in order, by an answer of `pass`, `fail` or `void` for each try."""
    tallies: dict[int, Tally] = {}
    tried: list[int] = []
    while (rung := next_rung(tallies, ladder)) is not None:
        assert 0 <= rung <= ladder.top
        old, new = tallies.get(rung, Tally()), WORDS[answer(rung)]
        tallies[rung] = Tally(old.passes + new.passes, old.fails + new.fails, old.voids + new.voids)
        tried.append(rung)
    return tallies, tried


def states(tallies: dict[int, Tally], word: str) -> list[int]:
    return sorted(rung for rung, tally in tallies.items() if tally.state == word)


@given(st.integers(0, 23))
def test_a_clear_limit_is_bracketed_to_one_step_and_confirmed(limit: int):
    tallies, tried = search(lambda rung: "pass" if rung <= limit else "fail")
    assert states(tallies, "passed") == [limit]
    assert states(tallies, "failed") == [limit + 1]
    assert (tallies[limit], tallies[limit + 1]) == (Tally(3), Tally(0, 2))
    assert len(tried) <= 4 + 3 + 3  # doublings, bisections, confirmations


def test_it_doubles_until_it_breaks_and_bisects_then():
    _, tried = search(lambda rung: "pass" if rung <= 17 else "fail")
    assert tried[:4] == [8, 12, 16, 20]
    assert tried[4:6] == [18, 17]


def test_a_lane_that_holds_the_highest_rate_is_confirmed_there():
    tallies, _ = search(lambda _: "pass")
    assert states(tallies, "passed") == [LADDER.top]
    assert states(tallies, "failed") == []


def test_a_lane_that_breaks_at_the_lowest_rate_is_confirmed_there():
    tallies, _ = search(lambda _: "fail")
    assert states(tallies, "failed") == [0]
    assert states(tallies, "passed") == []


def test_one_bad_run_of_three_makes_a_rate_neither_and_widens_the_gap():
    wavering = iter(["fail", "pass", "pass"])
    tallies, _ = search(
        lambda rung: next(wavering) if rung == 17 else ("pass" if rung <= 16 else "fail")
    )
    assert tallies[17] == Tally(2, 1)
    assert states(tallies, "mixed") == [17]
    assert (max(states(tallies, "passed")), min(states(tallies, "failed"))) == (16, 18)


def test_a_first_pass_that_is_not_confirmed_moves_the_gap_down():
    lucky = iter(["pass", "fail", "fail"])
    tallies, _ = search(
        lambda rung: next(lucky) if rung == 17 else ("pass" if rung <= 16 else "fail")
    )
    assert (max(states(tallies, "passed")), min(states(tallies, "failed"))) == (16, 17)


def test_void_runs_are_repeated_and_then_bound_the_search():
    tallies, tried = search(lambda rung: "pass" if rung <= 14 else "void")
    assert tried.count(16) == 3
    assert states(tallies, "passed") == [14]
    assert states(tallies, "void") == [15, 16]


def test_a_machine_on_which_every_run_is_void_is_given_up_soon():
    tallies, tried = search(lambda _: "void")
    assert tried == [8, 8, 8, 4, 4, 4]
    assert states(tallies, "void") == [4, 8]


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 0.5))
def test_it_ends_whatever_the_answers_are(seed: int, pass_share: float, void_share: float):
    draw = Random(seed)

    def answer(_: int) -> str:
        if draw.random() < void_share:
            return "void"
        return "pass" if draw.random() < pass_share else "fail"

    tallies, _ = search(answer)
    assert all(tally.passes + tally.fails <= 3 and tally.voids <= 3 for tally in tallies.values())


@given(st.integers(0, 23), st.integers(1, 9))
def test_it_goes_on_from_its_record(limit: int, cut: int):
    def answer(rung: int) -> str:
        return "pass" if rung <= limit else "fail"

    _, whole = search(answer)
    tallies: dict[int, Tally] = {}
    for rung in whole[:cut]:
        old, new = tallies.get(rung, Tally()), WORDS[answer(rung)]
        tallies[rung] = Tally(old.passes + new.passes, old.fails + new.fails)
    assert next_rung(tallies, LADDER) == (whole[cut] if cut < len(whole) else None)


def test_rungs_are_equal_ratios_between_the_bounds():
    assert [LADDER.rate_per_s(rung) for rung in (0, 1, 4, 8)] == [10, 11.9, 20, 40]
    assert (LADDER.start, LADDER.top, LADDER.rate_per_s(LADDER.top)) == (8, 24, 640)


@pytest.mark.parametrize(
    "bounds",
    [(0, 40, 640), (50, 40, 640), (10, 800, 640), (10, 40, float("inf")), (10, float("nan"), 640)],
)
def test_bounds_ascend(bounds: tuple[float, float, float]):
    lowest, start, highest = bounds
    with pytest.raises(UsageError, match="give rates that ascend"):
        Ladder(lowest_per_s=lowest, start_per_s=start, highest_per_s=highest)


def test_steps_are_few():
    with pytest.raises(UsageError, match="steps_per_doubling=0"):
        Ladder(steps_per_doubling=0)
