"""What limits the checkout is named: the thread lane's pool when it is too small, a slow adapter."""

from pathlib import Path

import pandas as pd
import pytest

from labcore.lanes import Value
from labcore.measure import look

ATTEMPTS = 4  # a disturbed driver names itself; such a run says nothing about the service


def measured(
    folder: Path, *, lanes: list[str], rate: float, **parameters: Value
) -> list[pd.Series]:
    reasons = []
    for attempt in range(ATTEMPTS):
        found = look(
            "checkout",
            lanes=lanes,
            rate=rate,
            duration_s=2.0,
            parameters=parameters,
            seed=5,
            out=folder / f"{len(list(folder.iterdir()))}-{attempt}",
        )
        runs = [run for _, run in found.recording.runs.iterrows()]
        if all(run["bottleneck"] != "driver" for run in runs):
            return runs
        reasons += [run["why"] for run in runs]
    raise AssertionError(f"the driver was disturbed every time: {reasons}")


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_pool_too_small_for_littles_law_is_the_named_bottleneck(tmp_path: Path):
    """200 orders/s of some 28 ms each keep 5.6 workers busy on average: 4 are too few, 40 enough."""
    (small,) = measured(tmp_path, lanes=["threads"], workers=4, payment_ms=20.0, rate=200)
    assert small["bottleneck"] == "worker pool"
    assert small["worker_pool_busy_mean"] > 3.5
    assert "4 workers" in small["evidence"]
    (large,) = measured(tmp_path, lanes=["threads"], workers=40, payment_ms=20.0, rate=200)
    assert large["bottleneck"] != "worker pool"


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_slow_adapter_is_the_named_bottleneck(tmp_path: Path):
    """Of an order's time nearly all is the adapter's 700 ms, in every lane."""
    lanes = ["reactive", "threads", "virtual", "structured"]
    runs = measured(tmp_path, lanes=lanes, rate=20, payment_ms=700.0, payment_sigma=0.0)
    assert {run["lane"] for run in runs} == set(lanes)
    assert {run["bottleneck"] for run in runs} == {"downstream"}
    for run in runs:
        assert run["downstream_in_flight_mean"] > 0.8 * run["in_flight_mean"]
