"""A guess is written down, and held against what was measured."""

import math
from pathlib import Path

import pytest

from labcore.kernel import UsageError
from labcore.learn import Journal, predict, progress
from labcore.measure import Design, Recording, Verdict


def verdict(metric: str, ratio: float, *, low: float, high: float) -> Verdict:
    return Verdict(
        arm="threads",
        baseline="reactive",
        metric=metric,
        word="slower",
        ratio=ratio,
        low=low,
        high=high,
        t_low=low,
        t_high=high,
        pairs=6,
        void_pairs=0,
        zone_share=0.05,
        more_pairs=None,
        better="lower",
        sentence="threads is slower",
    )


@pytest.fixture
def recording(tmp_path: Path) -> Recording:
    """One pair too few for cpu, enough for p99."""
    design = Design(
        scenario="checkout",
        baseline="reactive",
        arms=("threads",),
        rate_per_s=10,
        duration_s=1,
        warmup_s=0,
        pairs=6,
        arrivals="poisson",
        seed=1,
        parameters={},
    )
    made = Recording.create(tmp_path / "run", design, {}, command="labcore compare checkout")
    made.update(started_at="2099-01-01T00:00:00+00:00")
    made.save_verdicts(
        [
            verdict("p99_ms", 2.0, low=1.5, high=2.5),
            verdict("cpu_per_request_us", 1.5, low=math.nan, high=math.nan),
        ]
    )
    return made


def test_a_prediction_inside_the_interval_is_right(recording: Recording, journal: Journal):
    score = predict("load", {"p99_ms": 1.6}).score(recording, arm="threads")
    assert score.right == 1
    assert not score.hindsight
    assert "right: inside the interval" in str(score)
    assert "1.5 to 2.5" in score._repr_html_()
    kinds = [entry.kind for entry in journal.read()[0]]
    assert kinds == ["predicted", "scored"]


@pytest.mark.parametrize(
    ("said", "told"), [(8.0, "4 times too high"), (0.5, "4 times too low")], ids=["high", "low"]
)
def test_a_miss_says_how_far_and_on_which_side(recording: Recording, said: float, told: str):
    score = predict("load", {"p99_ms": said}).score(recording, arm="threads")
    assert score.right == 0
    assert told in str(score)


def test_without_an_interval_the_question_stays_open(recording: Recording, journal: Journal):
    score = predict("load", {"cpu_per_request_us": 1.5}).score(recording, arm="threads")
    assert "open: too few pairs" in str(score)
    (entry,) = journal.of("scored")
    assert entry.fields["rows"][0]["low"] is None


def test_a_prediction_after_the_run_had_begun_is_hindsight(recording: Recording):
    recording.update(started_at="2001-01-01T00:00:00+00:00")
    score = predict("load", {"p99_ms": 2.0}).score(recording, arm="threads")
    assert score.hindsight
    assert "hindsight" in str(score)


def test_the_numbers_that_the_book_prints_are_nobody_s_guess(recording: Recording):
    printed = {"p99_ms": 2.0}
    untouched = predict("load", {"p99_ms": 2.0}, printed=printed)
    assert not untouched.own
    assert "the book's numbers" in repr(untouched)
    assert str(untouched.score(recording, arm="threads")).startswith("The book said")
    assert progress().predictions == 0
    assert predict("load", {"p99_ms": 2.1}, printed=printed).own
    assert progress().predictions == 1


def test_what_was_not_measured_cannot_be_scored(recording: Recording):
    prediction = predict("load", {"rss_peak_mb": 2.0})
    with pytest.raises(UsageError, match=r"'rss_peak_mb' for 'threads'; there are: cpu_per.*p99"):
        prediction.score(recording, arm="threads")


@pytest.mark.parametrize("guess", [{}, {"p99_ms": 0.0}, {"p99_ms": -1.0}, {"p99_ms": math.inf}])
def test_what_is_no_ratio_is_refused(guess: dict[str, float], journal: Journal):
    with pytest.raises(UsageError):
        predict("load", guess)
    assert journal.read() == ([], 0)
