"""The five words in which an experiment may speak."""

import math
from dataclasses import dataclass
from typing import Literal

Word = Literal["faster", "slower", "equal in practice", "undecided", "void"]
Better = Literal["lower", "higher"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the pairs say about one metric of one arm against the baseline, on this machine.

    `ratio` is arm over baseline: the Hodges-Lehmann estimate over the pairs' log-ratios, `low` and
    `high` its exact signed-rank interval, `t_low` and `t_high` Student's interval beside it. NaN
    marks what too few pairs cannot say. `faster` and `slower` read as better and worse on the
    metric; the sentence says in which sense.
    """

    arm: str
    baseline: str
    metric: str
    word: Word
    ratio: float
    low: float
    high: float
    t_low: float
    t_high: float
    pairs: int
    void_pairs: int
    zone_share: float  # equal in practice between 1/(1+zone) and 1+zone
    more_pairs: (
        int | None
    )  # how many more an undecided verdict would take; None: none, or no telling
    better: Better
    sentence: str
    p_value: float = math.nan  # exact signed-rank test of "no difference at all"
    p_holm: float = math.nan  # the same, adjusted for every verdict of the experiment
    detectable_share: float = math.nan  # the least difference these pairs could have called
