"""The law is recovered from data that follow it, and refused where there is none."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labcore.kernel import UsageError
from labcore.measure.scaling import RESAMPLES, ScalingFit, fit_scaling

LOADS = [1, 2, 4, 8, 16, 32, 64, 128, 256]


def law(load: float, lam: float, sigma: float, kappa: float) -> float:
    return lam * load / (1 + sigma * (load - 1) + kappa * load * (load - 1))


def noisy(lam: float, sigma: float, kappa: float, *, error: float, seed: int) -> ScalingFit:
    draw = np.random.default_rng(seed)
    loads = LOADS * 3
    reached = [law(load, lam, sigma, kappa) * math.exp(draw.normal(0, error)) for load in loads]
    return fit_scaling(loads, reached)


@given(st.floats(1, 10_000), st.floats(0, 0.9), st.floats(0, 0.01))
@settings(max_examples=50, deadline=None)
def test_exact_data_give_their_coefficients_back(lam: float, sigma: float, kappa: float):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labcore.measure.scaling.RESAMPLES", 5)
        found = fit_scaling(LOADS, [law(load, lam, sigma, kappa) for load in LOADS])
    assert found.lambda_per_s == pytest.approx(lam, rel=1e-6)
    assert found.sigma == pytest.approx(sigma, rel=1e-5, abs=1e-8)
    assert found.kappa == pytest.approx(kappa, rel=1e-5, abs=1e-10)


@given(st.floats(10, 1_000), st.floats(0.01, 0.5), st.floats(1e-5, 1e-3), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_noise_moves_the_curve_by_no_more_than_itself(
    lam: float, sigma: float, kappa: float, seed: int
):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labcore.measure.scaling.RESAMPLES", 5)
        found = noisy(lam, sigma, kappa, error=0.02, seed=seed)
    for load in LOADS:
        assert found.at(load).middle == pytest.approx(law(load, lam, sigma, kappa), rel=0.06)


def test_the_intervals_hold_the_truth_about_as_often_as_they_promise():
    truth = (100.0, 0.05, 2e-4)
    held = np.zeros(3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("labcore.measure.scaling.RESAMPLES", 200)
        for seed in range(100):
            found = noisy(*truth, error=0.05, seed=seed)
            intervals = (found.lambda_interval, found.sigma_interval, found.kappa_interval)
            held += [
                low <= true <= high for true, (low, high) in zip(truth, intervals, strict=True)
            ]
    assert (held >= 88).all()


def test_the_band_holds_the_fit_and_widens_with_the_noise():
    quiet = noisy(100, 0.05, 2e-4, error=0.01, seed=1).at(64)
    loud = noisy(100, 0.05, 2e-4, error=0.10, seed=1).at(64)
    assert quiet.low <= quiet.middle <= quiet.high
    assert loud.high - loud.low > 3 * (quiet.high - quiet.low)


def test_coefficients_are_never_below_zero():
    """Noise about a lane that scales perfectly pulls both to their bound."""
    for seed in range(20):
        found = noisy(100, 0, 0, error=0.05, seed=seed)
        assert found.sigma >= 0
        assert found.kappa >= 0


def test_the_fit_says_how_well_it_fits():
    close = noisy(100, 0.2, 1e-3, error=0.01, seed=1)
    assert close.r_squared > 0.99
    assert close.error_share == pytest.approx(0.01, rel=0.4)
    draw = np.random.default_rng(1)
    flat = fit_scaling(LOADS, [100 * math.exp(draw.normal(0, 0.3)) for _ in LOADS])
    assert flat.r_squared < 0.5
    assert flat.error_share > 0.15


def test_the_peak_is_told_where_it_was_measured():
    found = fit_scaling(LOADS, [law(load, 100, 0.1, 1e-3) for load in LOADS])
    assert found.peak == pytest.approx(30, rel=1e-6)
    assert fit_scaling(LOADS, [law(load, 100, 0.1, 1e-6) for load in LOADS]).peak is None
    assert fit_scaling(LOADS, [100.0 * load for load in LOADS]).peak is None


def test_nothing_is_said_outside_the_measured_range():
    found = fit_scaling(LOADS, [law(load, 100, 0.1, 1e-3) for load in LOADS])
    for outside in (0.5, 257, math.nan):
        with pytest.raises(UsageError, match=r"was not measured: the law holds from 1 to 256"):
            found.at(outside)


def test_the_same_points_give_the_same_band_in_any_order():
    reached = [law(load, 100, 0.1, 1e-3) * (1 + 0.03 * (-1) ** load) for load in LOADS]
    assert fit_scaling(LOADS, reached).at(50) == fit_scaling(LOADS, reached).at(50)
    backwards = fit_scaling(LOADS[::-1], reached[::-1])
    assert backwards.kappa == pytest.approx(fit_scaling(LOADS, reached).kappa)
    assert len(backwards.resamples) == RESAMPLES


@pytest.mark.parametrize(
    ("loads", "reached", "said"),
    [
        ([1, 2, 4, 8, 16], [1, 2, 3, 4, 5], "5 different concurrencies are too few"),
        ([1, 2, 4, 8, 16, 16], [1, 2, 3, 4, 5, 5], "5 different concurrencies"),
        ([1, 2, 4, 8, 16, 32], [1, 2, 3, 4, 5], "6 concurrencies and 5 throughputs"),
        ([0, 2, 4, 8, 16, 32], [1, 2, 3, 4, 5, 6], "numbers from 1"),
        ([1, 2, 4, 8, 16, 32], [1, 2, 3, 4, 5, 0], "numbers above 0"),
        ([1, 2, 4, 8, 16, 32], [1, 2, 3, 4, 5, math.nan], "numbers above 0"),
    ],
)
def test_too_little_is_refused(loads: list[float], reached: list[float], said: str):
    with pytest.raises(UsageError, match=said):
        fit_scaling(loads, reached)


def test_a_confidence_that_is_none_is_named():
    with pytest.raises(UsageError, match="confidence=1"):
        fit_scaling(LOADS, LOADS, confidence=1)
