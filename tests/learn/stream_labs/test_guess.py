import pytest

from labcore.kernel import UsageError
from labcore.learn import Journal, progress
from labcore.learn.stream_labs import guess


def test_a_guess_is_scored_to_the_digit_and_counted_with_the_others(journal: Journal):
    said = guess("a kill", {"missing": 3, "repeated": 0}, printed={"missing": 0, "repeated": 0})
    score = said.score({"missing": 5, "repeated": 0, "more": 1})
    assert score.right == 1
    assert "off by +2" in str(score)
    assert "<td" in score._repr_html_()
    assert "You said" in str(score)
    standing = progress()
    assert (standing.predictions, standing.scored, standing.right) == (1, 2, 1)


def test_the_books_numbers_are_nobodys():
    said = guess("a kill", {"missing": 0}, printed={"missing": 0})
    assert not said.own
    assert "the book's numbers" in str(said)
    assert str(said.score({"missing": 0})).startswith("The book said")


def test_an_empty_guess_is_refused():
    with pytest.raises(UsageError, match="at least one number"):
        guess("nothing", {})


def test_what_is_not_counted_is_refused_by_name():
    with pytest.raises(UsageError, match="'lost'; there are: missing"):
        guess("a kill", {"lost": 1}).score({"missing": 1})
