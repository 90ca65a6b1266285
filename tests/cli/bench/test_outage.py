"""How a run of the outage benchmark is judged, from made-up requests."""

import math

import pandas as pd

from labcore.cli.bench.outage import OPEN, Watch, judged

S = 1_000_000_000
VALUES = {"breaker_wait_ms": 2_000.0, "breaker_trial_calls": 5}


def requests(
    outcome_of: dict[int, str], *, seconds: int = 20, latency_ms: int = 50
) -> pd.DataFrame:
    """Ten requests a second; those of a second end as told, else well."""
    starts = [number * S // 10 for number in range(10 * seconds)]
    return pd.DataFrame(
        {
            "intended_ns": starts,
            "done_ns": [start + latency_ms * 1_000_000 for start in starts],
            "outcome": [outcome_of.get(start // S, "ok") for start in starts],
        }
    )


def watch() -> Watch:
    """An outage from second 5 to 15; the breaker opens a second and a half later."""
    breaker = [(at * S // 10, OPEN if 65 <= at < 170 else 0.0) for at in range(200)]
    asked = [(at * S, 10.0 * min(at, 7) + at) for at in range(20)]
    return Watch(began_ns=5 * S, ended_ns=15 * S, asked=asked, breaker=breaker)


def test_a_run_is_judged_by_its_answers_its_breaker_and_its_recovery():
    bad = dict.fromkeys(range(5, 17), "payment_unknown")
    row = judged(requests(bad), watch(), VALUES)
    assert (row["requests"], row["p99_ms"], row["in_time"]) == (200, 50.0, True)
    assert (row["opened_s"], row["back_s"]) == (1.5, 2.0)
    assert (row["asked_open"], row["trials"]) == (8, 25)


def test_late_answers_are_not_in_time():
    assert not judged(requests({}, latency_ms=1_200), watch(), VALUES)["in_time"]


def test_a_service_that_never_recovers_is_said_to_be_so():
    row = judged(requests(dict.fromkeys(range(5, 20), "shed")), watch(), VALUES)
    assert math.isnan(row["back_s"])


def test_a_breaker_that_never_opened_has_no_figures():
    seen = watch()
    seen.breaker.clear()
    row = judged(requests({}), seen, VALUES)
    assert math.isnan(row["opened_s"])
    assert math.isnan(row["asked_open"])
