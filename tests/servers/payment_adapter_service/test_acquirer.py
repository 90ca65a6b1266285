import statistics
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from servers.payment_adapter_service.acquirer import (
    Fault,
    RateLimit,
    Settings,
    changed,
    fate,
    in_outage,
)

TOKENS = [f"tok_{number}" for number in range(20_000)]


def test_the_latency_has_the_mean_and_the_spread_that_were_set():
    fates = [fate(Settings(latency_ms=50, sigma=0.5), token, 1) for token in TOKENS]
    latencies_ms = [each.latency_s * 1e3 for each in fates]
    assert statistics.fmean(latencies_ms) == pytest.approx(50, rel=0.02)
    assert statistics.median(latencies_ms) == pytest.approx(50 * 2.718281828 ** (-0.125), rel=0.02)


def test_shares_are_the_shares_that_were_set():
    settings = Settings(decline_share=0.2, failure_share=0.1, hang_share=0.05, reset_share=0.1)
    fates = [fate(settings, token, 1) for token in TOKENS]
    assert sum(not each.approved for each in fates) / len(fates) == pytest.approx(0.2, abs=0.01)
    faults = Counter(each.fault for each in fates)
    assert faults[Fault.FAILURE] / len(fates) == pytest.approx(0.1, abs=0.01)
    assert faults[Fault.HANG] / len(fates) == pytest.approx(0.9 * 0.05, abs=0.01)
    assert faults[Fault.RESET] / len(fates) == pytest.approx(0.9 * 0.95 * 0.1, abs=0.01)


def test_a_fixed_latency_is_the_same_for_all():
    settings = Settings(latency_ms=30, distribution="fixed")
    assert {fate(settings, token, 1).latency_s for token in TOKENS[:200]} == {0.03}


def test_a_bimodal_latency_is_one_of_two():
    settings = Settings(latency_ms=10, distribution="bimodal", slow_share=0.25, slow_ms=900)
    latencies = Counter(fate(settings, token, 1).latency_s for token in TOKENS)
    assert set(latencies) == {0.01, 0.9}
    assert latencies[0.9] / len(TOKENS) == pytest.approx(0.25, abs=0.01)


def test_a_rate_limit_lets_in_the_rate_and_says_when_to_come_again():
    limit = RateLimit()
    let_in = [limit.wait_s(10, now_s=tick / 100) == 0 for tick in range(1_000)]
    assert sum(let_in[:100]) == pytest.approx(10 + 10, abs=1)  # the second's burst, and a second
    assert sum(let_in[100:]) == pytest.approx(90, abs=1)
    wait_s = limit.wait_s(10, now_s=9.99)
    assert 0 < wait_s <= 0.1
    assert limit.wait_s(10, now_s=9.99 + wait_s) == 0


def test_a_slow_rate_still_lets_somebody_in():
    limit = RateLimit()
    assert [limit.wait_s(0.1, now_s=at_s) for at_s in (0.0, 4.0, 10.0)] == [0, 6, 0]


def test_no_rate_is_no_limit():
    limit = RateLimit()
    assert {limit.wait_s(0, now_s=0.0) for _ in range(100)} == {0.0}


@given(st.text(max_size=64), st.integers(1, 5))
def test_a_fate_depends_on_seed_card_and_attempt_alone(token: str, attempt: int):
    assert fate(Settings(seed=3), token, attempt) == fate(Settings(seed=3), token, attempt)


def test_another_seed_is_another_fate():
    one, other = (fate(Settings(seed=seed), "tok", 1).latency_s for seed in (1, 2))
    assert one != other


def test_a_card_is_declined_in_every_attempt_or_in_none():
    settings = Settings(decline_share=0.5)
    for token in TOKENS[:100]:
        assert len({fate(settings, token, attempt).approved for attempt in range(1, 5)}) == 1


def test_a_failure_may_pass_at_the_next_attempt():
    settings = Settings(failure_share=0.5)
    passed = [
        [fate(settings, token, attempt).fault for attempt in (1, 2)] == [Fault.FAILURE, Fault.NONE]
        for token in TOKENS[:100]
    ]
    assert any(passed)


def test_no_latency_is_no_wait_and_no_share_is_never():
    for token in TOKENS[:200]:
        drawn = fate(Settings(latency_ms=0), token, 1)
        assert (drawn.latency_s, drawn.fault, drawn.approved) == (0.0, Fault.NONE, True)


def test_an_outage_includes_its_start_and_not_its_end():
    settings = Settings(outages=((1.0, 2.0), (5.0, 6.0)))
    seen = [in_outage(settings, at_s) for at_s in (0.9, 1.0, 1.9, 2.0, 5.5)]
    assert seen == [False, True, True, False, True]


def test_changes_keep_the_rest():
    before = Settings(seed=9, sigma=0.1)
    after = changed(before, {"latency_ms": 7, "outages": [[0, 1]]})
    assert after == Settings(seed=9, sigma=0.1, latency_ms=7, outages=((0.0, 1.0),))
    assert changed(after, {}) == after


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ([], "must be an object"),
        ({"latncy_ms": 1}, "no setting 'latncy_ms'"),
        ({"latency_ms": "1"}, "latency_ms='1' must be a number"),
        ({"latency_ms": True}, "latency_ms=True must be a number"),
        ({"latency_ms": float("nan")}, "latency_ms=nan is out of range"),
        ({"decline_share": 1.1}, "decline_share=1.1 is out of range: 0 to 1"),
        ({"sigma": -1}, "sigma=-1 is out of range"),
        ({"outages": [[1]]}, "must be a list of"),
        ({"outages": 5}, "must be a list of"),
        ({"distribution": "normal"}, "distribution='normal' is unknown; there are: lognormal,"),
        ({"distribution": []}, r"distribution=\[\] is unknown"),
        ({"hang_share": 2}, "hang_share=2 is out of range: 0 to 1"),
        ({"rate_per_s": -1}, "rate_per_s=-1 is out of range"),
        ({"outages": [[2, 1]]}, "0 <= from <= to"),
    ],
)
def test_bad_settings_are_refused_by_name(changes: object, message: str):
    with pytest.raises(UsageError, match=message):
        changed(Settings(), changes)
