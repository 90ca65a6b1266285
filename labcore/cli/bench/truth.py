"""Whether verdicts are true: comparisons whose right answer is known, many of them."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any, Final

import pandas as pd

from labcore.measure import CONTROL, Verdict, compare

SUMMARY = "truth of verdicts: a lane against itself, and beside 10 % and 1 % more of the same work"

COMPARISONS: Final = 40
RATE_PER_S: Final = 200
DURATION_S: Final = 1.0
DIFFERENT: Final = frozenset({"faster", "slower"})
TRUTHS: Final = {CONTROL: "the same", "tenth": "10 % more work", "hundredth": "1 % more work"}


def run(*, quick: bool) -> pd.DataFrame:
    """How often each word was said, one row an injected difference and metric.

    `called_different` counts *faster* and *slower* together: for the lane against itself and for 1 %
    each of them is false, for 10 % *slower* is the truth on CPU and median latency. The HTTP
    around the work is not slowed, so the true difference of a whole request is a little below 10 %.
    """
    count, pairs = (3, 6) if quick else (COMPARISONS, None)
    found: list[Verdict] = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(count):
            comparison = compare(
                "calibration",
                lanes=["tenth", "hundredth"],
                rate=RATE_PER_S,
                duration_s=DURATION_S,
                warmup_s=0.3,
                pairs=pairs,
                seed=number,
                out=Path(folder) / str(number),
            )
            found += comparison.verdicts
    return pd.DataFrame(
        _row([each for each in found if (each.arm, each.metric) == cell])
        for cell in dict.fromkeys((each.arm, each.metric) for each in found)
    )


def _row(same: list[Verdict]) -> dict[str, Any]:
    words = Counter[str](verdict.word for verdict in same)
    ratios = pd.Series([verdict.ratio for verdict in same])
    return {
        "truth": TRUTHS[same[0].arm],
        "metric": same[0].metric,
        "comparisons": len(same),
        "called_different": sum(words[word] for word in DIFFERENT),
        "faster": words["faster"],
        "slower": words["slower"],
        "equal": words["equal in practice"],
        "undecided": words["undecided"],
        "void": words["void"],
        "median_ratio": round(ratios.median(), 4),
        "lowest_ratio": round(ratios.min(), 4),
        "highest_ratio": round(ratios.max(), 4),
        "median_pairs": pd.Series([verdict.pairs for verdict in same]).median(),
    }
