"""The benchmark's counting, on verdicts made here; the measuring itself takes an hour."""

from labcore.cli.bench.truth import _row
from labcore.measure.record import Word
from labcore.measure.verdict import Verdict


def verdict(word: Word, ratio: float) -> Verdict:
    return Verdict(
        arm="tenth",
        baseline="exact",
        metric="p50_ms",
        word=word,
        ratio=ratio,
        low=ratio,
        high=ratio,
        t_low=ratio,
        t_high=ratio,
        pairs=10,
        void_pairs=0,
        zone_share=0.05,
        more_pairs=None,
        better="lower",
        sentence="",
    )


def test_both_directions_count_as_different():
    row = _row([verdict("slower", 1.1), verdict("faster", 0.9), verdict("undecided", 1.0)])
    assert (row["called_different"], row["slower"], row["faster"], row["undecided"]) == (2, 1, 1, 1)
    assert row["truth"] == "10 % more work"


def test_the_spread_of_the_estimates_is_told():
    row = _row([verdict("equal in practice", ratio) for ratio in (1.02, 0.98, 1.0)])
    assert (row["lowest_ratio"], row["median_ratio"], row["highest_ratio"]) == (0.98, 1.0, 1.02)
