import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labcore.kernel import UsageError
from servers.payment_adapter_service.acquirer import Settings, changed, fate, in_outage

TOKENS = [f"tok_{number}" for number in range(20_000)]


def test_the_latency_has_the_mean_and_the_spread_that_were_set():
    fates = [fate(Settings(latency_ms=50, sigma=0.5), token, 1) for token in TOKENS]
    latencies_ms = [each.latency_s * 1e3 for each in fates]
    assert statistics.fmean(latencies_ms) == pytest.approx(50, rel=0.02)
    assert statistics.median(latencies_ms) == pytest.approx(50 * 2.718281828 ** (-0.125), rel=0.02)


def test_shares_are_the_shares_that_were_set():
    settings = Settings(decline_share=0.2, failure_share=0.1)
    fates = [fate(settings, token, 1) for token in TOKENS]
    assert sum(not each.approved for each in fates) / len(fates) == pytest.approx(0.2, abs=0.01)
    assert sum(each.fails for each in fates) / len(fates) == pytest.approx(0.1, abs=0.01)


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
        fate(settings, token, 1).fails and not fate(settings, token, 2).fails
        for token in TOKENS[:100]
    ]
    assert any(passed)


def test_no_latency_is_no_wait_and_no_share_is_never():
    for token in TOKENS[:200]:
        drawn = fate(Settings(latency_ms=0), token, 1)
        assert (drawn.latency_s, drawn.fails, drawn.approved) == (0.0, False, True)


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
        ({"outages": [[2, 1]]}, "0 <= from <= to"),
    ],
)
def test_bad_settings_are_refused_by_name(changes: object, message: str):
    with pytest.raises(UsageError, match=message):
        changed(Settings(), changes)
