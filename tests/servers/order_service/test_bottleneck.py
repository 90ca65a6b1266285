"""The pool of the thread lane is named when it is the limit, and not when it is large enough."""

from pathlib import Path

import pandas as pd
import pytest

from labcore.measure import look

ATTEMPTS = 4  # a disturbed driver names itself; such a run says nothing about the service


def measured(folder: Path, *, workers: int, payment_ms: float, rate: float) -> pd.Series:
    reasons = []
    for attempt in range(ATTEMPTS):
        found = look(
            "checkout",
            lanes=["threads"],
            rate=rate,
            duration_s=2.0,
            parameters={"workers": workers, "payment_ms": payment_ms},
            seed=5,
            out=folder / f"{workers}-{attempt}",
        )
        run = found.recording.runs.iloc[0]
        if run["bottleneck"] != "driver":
            return run
        reasons.append(run["why"])
    raise AssertionError(f"the driver was disturbed every time: {reasons}")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_pool_too_small_for_littles_law_is_the_named_bottleneck(tmp_path: Path):
    """200 orders/s of some 28 ms each keep 5.6 workers busy on average: 4 are too few, 40 enough."""
    small = measured(tmp_path, workers=4, payment_ms=20.0, rate=200)
    assert small["bottleneck"] == "worker pool"
    assert small["worker_pool_busy_mean"] > 3.5
    assert "4 workers" in small["evidence"]
    large = measured(tmp_path, workers=40, payment_ms=20.0, rate=200)
    assert large["bottleneck"] != "worker pool"
