"""The bad day's benchmark asks the scenario's own check, with more orders."""

import pytest

from labcore.cli.bench import bad_day
from labcore.lanes import scenario


def test_the_check_it_asks_for_is_the_scenarios():
    names = [check.__name__ for check in scenario("checkout").checks]
    assert bad_day.CHECK in names


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_quick_run_finds_the_books_of_a_lane_in_order():
    (row,) = bad_day.run(quick=True, lanes=["virtual"]).to_dict(orient="records")
    assert (row["orders"], row["books"], row["charged_twice"]) == (1_000, "agree", 0)
    assert row["approved"] > 0
