"""The five words in which an experiment may speak, and how the pairs come to one of them.

Pure: rows of runs in, verdicts out. Which runs are void was decided before
(`labcore.measure.judgement`); here only whole pairs count, one a block, arm against baseline.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from labcore.measure import statistics
from labcore.measure.record import CONTROL, Design, Word

if TYPE_CHECKING:  # half a second for the load driver, which needs no table
    import pandas as pd

Better = Literal["lower", "higher"]

MOST_VOID_SHARE = 0.3  # more pairs void than this, and the machine was too busy to say anything
NOTED_ERROR_SHARE = 0.01  # where more requests fail, a verdict on speed says so
NOTHING_SHARE = 1e-6  # a lane that answered nothing counts as a million times slower: 0 has no log


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
    p_holm: float = math.nan  # the same, adjusted for the looks and for every arm and metric
    detectable_share: float = math.nan  # the least difference these pairs could well have called
    confidence: float = 0.95  # of the interval, widened where several looks share the error
    family: int = 0  # verdicts that `p_holm` was adjusted over


@dataclass(frozen=True, slots=True)
class Metric:
    """A column of `RunRow` that verdicts are given on."""

    name: str
    title: str
    better: Better
    gain: str  # what `faster` means on this metric
    loss: str
    tail: bool = False  # tails scatter more and get the wider zone


DECISIONS: Final = frozenset({"faster", "slower", "equal in practice"})

METRICS = (
    Metric("p50_ms", "median latency", "lower", "faster", "slower"),
    Metric("p99_ms", "p99 latency", "lower", "faster", "slower", tail=True),
    Metric("cpu_per_request_us", "CPU per request", "lower", "cheaper", "dearer"),
    Metric("rss_peak_mb", "peak memory", "lower", "smaller", "larger"),
    Metric("achieved_per_s", "throughput", "higher", "faster", "slower"),
    Metric("delivery_p50_ms", "median delivery delay", "lower", "faster", "slower"),
    Metric("delivery_p99_ms", "p99 delivery delay", "lower", "faster", "slower", tail=True),
    Metric("cpu_per_delivery_us", "CPU per delivery", "lower", "cheaper", "dearer"),
)


@dataclass(frozen=True, slots=True)
class Pairs:
    """The log-ratios of the pairs that count, how many were void, and what failed on the way."""

    log_ratios: tuple[float, ...]
    void: int
    failed: Mapping[str, float] = field(default_factory=dict)  # median share of errors, by arm


def verdicts(runs: "pd.DataFrame", design: Design) -> list[Verdict]:
    """One verdict for each arm and metric that was measured, the control's first.

    A control that differs from itself withholds every other word. Figures stay as they are. Where
    several looks were planned, intervals are as wide as the look that the pairs have come to needs
    (`statistics.look_confidences`); an experiment cut short counts as the look it was on the way to.

    Args:
        runs: one row a run, the fields of `RunRow`; of repeated runs the last attempt counts.
        design: says the arms, the baseline, the zones and the confidence.
    """
    judged = [
        judge(found, arm=arm, metric=metric, design=design)
        for arm in (CONTROL, *design.arms)
        for metric in METRICS
        if (found := pairs_of(runs, arm=arm, metric=metric.name, design=design)) is not None
    ]
    return _withhold(_adjust(judged, permitted=1 - design.confidence))


def pairs_of(runs: "pd.DataFrame", *, arm: str, metric: str, design: Design) -> Pairs | None:
    """The pairs of an arm on a metric; None where nothing was measured, or nothing could be."""
    last = runs.sort_values("attempt", kind="stable").groupby(["block", "arm"]).tail(1)
    left = last[last["arm"] == arm].set_index("block")
    right = last[last["arm"] == design.baseline].set_index("block")
    blocks = left.index.intersection(right.index).sort_values()
    if blocks.empty:
        return None
    left, right = left.loc[blocks], right.loc[blocks]
    if left[metric].isna().all() and right[metric].isna().all():
        return None
    is_void = left["void"].astype(bool) | right["void"].astype(bool)
    values = [
        _log_ratio(float(above), float(below))
        for above, below in zip(left[~is_void][metric], right[~is_void][metric], strict=True)
    ]
    known = tuple(value for value in values if not math.isnan(value))
    if values and not known:
        return None
    medians = {
        name: float(side[~is_void]["error_share"].median())
        for name, side in ((arm, left), (design.baseline, right))
    }
    failed = {name: share for name, share in medians.items() if share > NOTED_ERROR_SHARE}
    return Pairs(known, int(is_void.sum()), failed)


def judge(pairs: Pairs, *, arm: str, metric: Metric, design: Design) -> Verdict:
    """The verdict that these pairs carry on their own, before the control is heard."""
    zone_share = design.zone_p99_share if metric.tail else design.zone_share
    zone = math.log1p(zone_share)
    data = pairs.log_ratios
    confidence = _confidence(design, len(data) + pairs.void)
    verdict = Verdict(
        arm=arm,
        baseline=design.baseline,
        metric=metric.name,
        word="undecided",
        ratio=math.nan,
        low=math.nan,
        high=math.nan,
        t_low=math.nan,
        t_high=math.nan,
        pairs=len(data),
        void_pairs=pairs.void,
        zone_share=zone_share,
        more_pairs=None,
        better=metric.better,
        sentence="",
        confidence=confidence,
    )
    if data:
        verdict = _estimate(verdict, data, confidence=confidence)
    word = _word(verdict, enough=statistics.least_pairs(confidence))
    if word == "undecided":
        needed = statistics.values_needed(data, zone=zone, confidence=confidence)
        more = None if needed is None else needed - len(data)
        verdict = replace(verdict, more_pairs=more)
    verdict = replace(verdict, word=word)
    sentence = _sentence(verdict, metric, confidence=confidence)
    return replace(verdict, sentence=f"{sentence}{_caveat(pairs.failed)}")


def decided(found: Sequence[Verdict], arm: str) -> bool:
    """Whether more pairs of this arm would change no word: each of its verdicts is a decision."""
    words = [verdict.word for verdict in found if verdict.arm == arm]
    return bool(words) and all(word in DECISIONS for word in words)


def _confidence(design: Design, attempted: int) -> float:
    """What the look needs that so many pairs have come to, or are on the way to."""
    looks = design.look_points
    planned = statistics.look_confidences(looks, confidence=design.confidence)
    return next(
        (sure for look, sure in zip(looks, planned, strict=True) if attempted <= look), planned[-1]
    )


def _estimate(verdict: Verdict, data: Sequence[float], *, confidence: float) -> Verdict:
    exact = statistics.signed_rank_interval(data, confidence=confidence)
    student = statistics.t_interval(data, confidence=confidence)
    return replace(
        verdict,
        ratio=_ratio(statistics.hodges_lehmann(data)),
        low=_ratio(exact.low),
        high=_ratio(exact.high),
        t_low=_ratio(student.low),
        t_high=_ratio(student.high),
        p_value=statistics.signed_rank_p(data),
        detectable_share=_ratio(
            statistics.detectable(data, confidence=confidence) + math.log1p(verdict.zone_share)
        )
        - 1,
    )


def _word(verdict: Verdict, *, enough: int) -> Word:
    attempted = verdict.pairs + verdict.void_pairs
    if attempted and verdict.void_pairs / attempted > MOST_VOID_SHARE:
        return "void"
    if verdict.pairs < enough:
        return "undecided"
    upper = 1 + verdict.zone_share
    lower = 1 / upper
    if verdict.high < lower or verdict.low > upper:
        fell = verdict.high < lower
        return "faster" if fell == (verdict.better == "lower") else "slower"
    if lower <= verdict.low and verdict.high <= upper:
        return "equal in practice"
    return "undecided"


def _adjust(judged: list[Verdict], *, permitted: float) -> list[Verdict]:
    """Holm's adjustment over every lane and metric; the control is no claim and stays outside.

    A look that may spend only a part of the permitted error pays for it first.
    """
    family = [
        verdict.p_value * permitted / (1 - verdict.confidence)
        if verdict.arm != CONTROL
        else math.nan
        for verdict in judged
    ]
    size = sum(not math.isnan(p_value) for p_value in family)
    return [
        _in_company(verdict, p_holm, family=size, permitted=permitted)
        for verdict, p_holm in zip(judged, statistics.holm(family), strict=True)
    ]


def _in_company(verdict: Verdict, p_holm: float, *, family: int, permitted: float) -> Verdict:
    """The verdict with its adjusted p, and a word of warning where the company makes it weak."""
    adjusted = replace(verdict, p_holm=p_holm, family=0 if math.isnan(p_holm) else family)
    if verdict.word not in {"faster", "slower"} or not p_holm > permitted:
        return adjusted
    warning = (
        f" That is taken alone: among {family} verdicts chance shows one like it in more than "
        f"{permitted:.0%} of experiments (p = {p_holm:.2g} after Holm)."
    )
    return replace(adjusted, sentence=f"{verdict.sentence}{warning}")


def _withhold(judged: list[Verdict]) -> list[Verdict]:
    """A session in which a lane differs from itself has shown that it cannot tell lanes apart."""
    titles = {metric.name: metric.title for metric in METRICS}
    alarms = [
        titles[verdict.metric]
        for verdict in judged
        if verdict.arm == CONTROL and verdict.word in {"faster", "slower"}
    ]
    if not alarms:
        return judged
    reason = (
        f"Withheld: the control, {judged[0].baseline} against itself, came out different in "
        f"{' and '.join(alarms)}, so this session cannot tell lanes apart; measure again."
    )
    return [
        verdict
        if verdict.arm == CONTROL or verdict.word == "void"
        else replace(verdict, word="void", more_pairs=None, sentence=reason)
        for verdict in judged
    ]


def _sentence(verdict: Verdict, metric: Metric, *, confidence: float) -> str:
    arm = f"{verdict.baseline} once more" if verdict.arm == CONTROL else verdict.arm
    opening = f"{arm}: {metric.title} {_change(verdict)}"
    zone = f"{verdict.zone_share:.0%} zone"
    if verdict.word == "void":
        attempted = verdict.pairs + verdict.void_pairs
        return (
            f"{arm}: no verdict on {metric.title}, {verdict.void_pairs} of {attempted} pairs are "
            "void: the machine was too busy, or the load driver at its limit."
        )
    if math.isnan(verdict.low):
        return (
            f"{arm}: no interval of {_sure(confidence)} on {metric.title} exists with "
            f"{_count(verdict.pairs)}; {verdict.more_pairs} more would give one."
        )
    span = f"{_sure(confidence)} interval of the ratio {verdict.low:.3f} to {verdict.high:.3f}"
    if verdict.word == "equal in practice":
        return f"{opening} ({span}), wholly inside the {zone}: equal in practice."
    if verdict.word == "undecided":
        return (
            f"{opening} ({span}), across the edge of the {zone}: undecided; {_count(verdict.pairs)} "
            f"could have called {_detectable(verdict)}, {_more(verdict)}."
        )
    sense = metric.gain if verdict.word == "faster" else metric.loss
    return f"{opening} ({span}), wholly outside the {zone}: {sense}."


def _sure(confidence: float) -> str:
    """`95%`, or `98.75%` where looks share the error."""
    return f"{100 * confidence:.4g}%"


def _caveat(failed: Mapping[str, float]) -> str:
    """A lane that fails quickly is not a fast one."""
    if not failed:
        return ""
    shares = " and ".join(f"{share:.1%} of the requests of {arm}" for arm, share in failed.items())
    return f" Mind that {shares} failed: failures are timed here too."


def _change(verdict: Verdict) -> str:
    """`12.3 % lower than reactive`, or `3.1 times that of reactive` where per cent mislead."""
    if math.isnan(verdict.ratio):
        return f"unknown beside {verdict.baseline}"
    if not 0.5 <= verdict.ratio <= 2:
        return f"{verdict.ratio:.3g} times that of {verdict.baseline}"
    share = abs(verdict.ratio - 1)
    if share < 0.0005:
        return f"the same as {verdict.baseline}"
    return f"{share:.1%} {'lower' if verdict.ratio < 1 else 'higher'} than {verdict.baseline}"


def _detectable(verdict: Verdict) -> str:
    if math.isnan(verdict.detectable_share):
        return "no difference at all"
    return f"a difference of {verdict.detectable_share:.1%}"


def _more(verdict: Verdict) -> str:
    if verdict.more_pairs is None:
        return "no sensible number of further pairs would settle it"
    return f"some {_count(verdict.more_pairs)} more would settle it"


def _count(pairs: int) -> str:
    return f"{pairs} pair" if pairs == 1 else f"{pairs} pairs"


def _ratio(log_ratio: float) -> float:
    """Back from logarithms; an end that lies at infinity bounds nothing and is not known."""
    return math.exp(log_ratio) if math.isfinite(log_ratio) else math.nan


def _log_ratio(above: float, below: float) -> float:
    if math.isnan(above) or math.isnan(below) or max(above, below) <= 0:
        return math.nan
    floor = NOTHING_SHARE * max(above, below)
    return math.log(max(above, floor) / max(below, floor))
