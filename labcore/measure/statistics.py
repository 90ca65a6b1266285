"""Statistics over pairs of runs: pure functions of log-ratios, nothing about metrics or words.

The unit is the run, never the request: requests within a run are not independent, and a test on
pooled requests calls almost every comparison of a lane with itself different. Of what was tried on
such comparisons, the Hodges-Lehmann estimate with the exact signed-rank interval kept its promise
at every number of pairs; bootstraps of the mean did not. Student's interval stands beside it.

Source: Hodges & Lehmann, Estimates of location based on rank tests (1963); Hollander, Wolfe &
Chicken, Nonparametric Statistical Methods, section 3.3; Holm, A simple sequentially rejective
multiple test procedure (1979); Lan & DeMets, Discrete sequential boundaries for clinical trials
(1983), with the spending function of Kim & DeMets (1987).
"""

import math
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit  # of scipy.stats, which every process would load for a second

from labcore.kernel import UsageError

MOST_PAIRS = 10_000  # beyond this an answer to "how many more" is no plan any more
POWER = 0.8  # chance of seeing the difference that is called detectable
SPENDING = 2  # the power of the spending function: little early, most of it left for the end


class Interval(NamedTuple):
    """Both ends included; infinite where the data are too few for the confidence asked."""

    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the distance between the ends."""
        return (self.high - self.low) / 2


def walsh_averages(values: Sequence[float]) -> NDArray[np.float64]:
    """The means of all n(n+1)/2 pairs of values, each value with itself too, ascending."""
    data = np.asarray(values, dtype=np.float64)
    first, second = np.triu_indices(len(data))
    return np.sort((data[first] + data[second]) / 2)


def hodges_lehmann(values: Sequence[float]) -> float:
    """The median of the Walsh averages: the middle of a symmetric distribution, robustly.

    Raises: UsageError for no values.
    """
    _refuse_empty(values)
    return float(np.median(walsh_averages(values)))


def signed_rank_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """The exact signed-rank interval of the middle, at least as sure as asked.

    Its ends are Walsh averages; at 95 % six values are the least that bound it, fewer give an
    infinite interval.

    Raises:
        UsageError: no values, or a confidence outside 0..1.
    """
    _refuse_empty(values)
    _refuse_confidence(confidence)
    averages = walsh_averages(values)
    cut = _cut(len(values), confidence)
    if cut == 0:
        return Interval(-math.inf, math.inf)
    return Interval(float(averages[cut - 1]), float(averages[-cut]))


def least_pairs(confidence: float = 0.95) -> int:
    """How many values the signed-rank interval needs to be finite: 6 at 95 %."""
    _refuse_confidence(confidence)
    return math.ceil(math.log2(2 / (1 - confidence)) - 1e-9)


def look_confidences(looks: Sequence[int], *, confidence: float = 0.95) -> list[float]:
    """How sure the interval of each look must be, for all looks together to be as sure as asked.

    By a look with the share t of the values the share t**2 of the permitted error is spent; each
    look gets what is new. The sum bounds the chance that any of them errs whatever the data are
    (Bonferroni), so it needs no normal approximation and stays exact for signed ranks.

    Args:
        looks: numbers of values at which the data are looked at, ascending.
        confidence: of all looks together.

    Raises: UsageError unless the looks ascend from 1, or for a confidence outside 0..1.
    """
    _refuse_confidence(confidence)
    if not looks or looks[0] < 1 or any(late <= early for early, late in pairwise(looks)):
        raise UsageError(f"looks={list(looks)!r} do not ascend; give for example [10, 20, 40]")
    spent = [0.0, *((look / looks[-1]) ** SPENDING for look in looks)]
    return [1 - (1 - confidence) * (late - early) for early, late in pairwise(spent)]


def signed_rank_p(values: Sequence[float]) -> float:
    """The exact two-sided probability, were there no difference, of ranks at least this lopsided.

    Zeros are left out and ties share their mean rank; the distribution is that of all sign
    patterns over the ranks at hand, so it is exact with ties too.
    """
    data = np.asarray([value for value in values if value != 0], dtype=np.float64)
    if not len(data):
        return 1.0
    doubled = _doubled_ranks(np.abs(data))
    chances = _sum_distribution(tuple(int(rank) for rank in doubled))
    observed = int(doubled[data > 0].sum())
    lower = float(chances[: observed + 1].sum())
    upper = float(chances[observed:].sum())
    return min(1.0, 2 * min(lower, upper))


def t_interval(values: Sequence[float], *, confidence: float = 0.95) -> Interval:
    """Student's interval of the mean; infinite for fewer than two values.

    Raises: UsageError for no values, or a confidence outside 0..1.
    """
    _refuse_empty(values)
    _refuse_confidence(confidence)
    data = np.asarray(values, dtype=np.float64)
    if len(data) < 2:
        return Interval(-math.inf, math.inf)
    error = float(data.std(ddof=1)) / math.sqrt(len(data))
    reach = _student(len(data) - 1, (1 + confidence) / 2) * error
    middle = float(data.mean())
    return Interval(middle - reach, middle + reach)


def holm(p_values: Sequence[float]) -> list[float]:
    """The p-values adjusted for their number, in the order given: a bound on any false alarm.

    NaN stays NaN and does not count.
    """
    known = sorted(
        (p_value, place) for place, p_value in enumerate(p_values) if not math.isnan(p_value)
    )
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for step, (p_value, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - step) * p_value))
        adjusted[place] = highest
    return adjusted


def detectable(values: Sequence[float], *, confidence: float = 0.95) -> float:
    """The least true shift that so many values, so scattered, would show four times in five.

    It adds to the interval's half-width what the estimate itself wanders. Infinite while the
    interval is.
    """
    interval = signed_rank_interval(values, confidence=confidence)
    if math.isinf(interval.half_width):
        return math.inf
    freedom = len(values) - 1
    sure = _student(freedom, (1 + confidence) / 2)
    wander = _student(freedom, POWER)
    return interval.half_width * (1 + wander / sure)


def values_needed(values: Sequence[float], *, zone: float, confidence: float = 0.95) -> int | None:
    """How many values in all it would take for the interval to leave, or stay in, +-zone.

    Assumes that the middle stays where it is and that the interval narrows with the root of the
    number. None where that is beyond any plan: the middle lies on the zone's very edge.
    """
    least = least_pairs(confidence)
    if len(values) < least:
        return least
    width = signed_rank_interval(values, confidence=confidence).half_width
    room = abs(abs(hodges_lehmann(values)) - zone)
    if not math.isfinite(width) or room <= width / math.sqrt(MOST_PAIRS / len(values)):
        return None
    return max(len(values) + 1, math.ceil(len(values) * (width / room) ** 2))


def _doubled_ranks(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Twice the ranks from 1 on: whole numbers although ties share their mean rank."""
    _, place, counts = np.unique(sizes, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    doubled: NDArray[np.int64] = (2 * last - counts + 1)[place]
    return doubled


def _student(freedom: int, share: float) -> float:
    """The quantile of Student's distribution."""
    return float(stdtrit(freedom, share))


@lru_cache(maxsize=256)
def _cut(count: int, confidence: float) -> int:
    """How many Walsh averages to leave out at each end: the largest with tails small enough."""
    tails = np.cumsum(_sum_distribution(tuple(range(1, count + 1))))
    # The tolerance is that of sums of floats; the chances themselves are multiples of 2**-count.
    return int(np.searchsorted(tails, (1 - confidence) / 2 + 1e-12, side="right"))


@lru_cache(maxsize=256)
def _sum_distribution(ranks: tuple[int, ...]) -> NDArray[np.float64]:
    """The chance of each sum when every rank counts or not by the toss of a coin."""
    chances = np.zeros(sum(ranks) + 1)
    chances[0] = 1.0
    for rank in ranks:
        chances[rank:] = (chances[rank:] + chances[:-rank]) / 2
        chances[:rank] /= 2
    return chances


def _refuse_empty(values: Sequence[float]) -> None:
    if not len(values):
        raise UsageError("there are no values to estimate from; give at least one")


def _refuse_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise UsageError(f"confidence={confidence!r} is not between 0 and 1, for example 0.95")
