"""The Universal Scalability Law through measured points: what contention and crosstalk cost.

    X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))

Pure. The law is linear in 1/lambda, sigma/lambda and kappa/lambda once it is written as N/X, so the
fit is one of least squares without start values, none of the three below zero, each point weighted
so that errors count in per cent of its throughput. The band comes from a bootstrap of the residuals:
the delta method fails where a coefficient lies on its bound of zero, which is where most lanes are.

A fit sharpens questions within the range that was measured. It is no forecast: outside that range,
and below six points, there is no answer.

Source: Gunther, Guerrilla Capacity Planning (2007); Efron & Tibshirani, An Introduction to the
Bootstrap (1993), chapter 9.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labcore.kernel import UsageError

LEAST_POINTS: Final = (
    6  # different concurrencies: three coefficients and something left to judge by
)
RESAMPLES: Final = 1_000

Floats = NDArray[np.float64]


class Band(NamedTuple):
    """The fitted throughput at one concurrency with its interval; requests per second."""

    low: float
    middle: float
    high: float


@dataclass(frozen=True, slots=True)
class ScalingFit:
    """A fitted law, valid between `lowest` and `highest` concurrency.

    `lambda_per_s` is the throughput of one alone, `sigma` the share of contention, `kappa` that of
    crosstalk; intervals are of the confidence asked. `error_share` is how far a point typically lies
    from the law, relative to it; `r_squared` the share of the throughputs' variance that the law
    explains, low for a lane that is flat however well it fits.
    """

    lambda_per_s: float
    sigma: float
    kappa: float
    lambda_interval: tuple[float, float]
    sigma_interval: tuple[float, float]
    kappa_interval: tuple[float, float]
    error_share: float
    r_squared: float
    confidence: float
    points: int
    lowest: float
    highest: float
    resamples: Floats = field(
        repr=False
    )  # one row a resample: 1/lambda, sigma/lambda, kappa/lambda

    @property
    def peak(self) -> float | None:
        """The concurrency of the highest throughput; None where it lies outside the range."""
        if self.kappa <= 0 or self.sigma >= 1:
            return None
        place = math.sqrt((1 - self.sigma) / self.kappa)
        return place if self.lowest <= place <= self.highest else None

    def at(self, concurrency: float) -> Band:
        """The fitted throughput and its interval.

        Raises: UsageError outside the measured range.
        """
        if not self.lowest <= concurrency <= self.highest:
            raise UsageError(
                f"concurrency={concurrency!r} was not measured: the law holds from "
                f"{self.lowest:g} to {self.highest:g}; measure there"
            )
        own = np.array([1.0, self.sigma, self.kappa]) / self.lambda_per_s
        tail = (1 - self.confidence) / 2
        drawn = _throughput(self.resamples, concurrency)
        low, high = np.quantile(drawn, [tail, 1 - tail])
        middle = float(_throughput(own[np.newaxis], concurrency)[0])
        return Band(min(float(low), middle), middle, max(float(high), middle))


def fit_scaling(
    concurrency: Sequence[float],
    throughput_per_s: Sequence[float],
    *,
    confidence: float = 0.95,
    seed: int = 0,
) -> ScalingFit:
    """The law through these points, in any order, repeats welcome.

    Args:
        concurrency: requests in flight, each at least 1.
        throughput_per_s: what was reached with so many, above 0.
        confidence: of intervals and band.
        seed: of the bootstrap.

    Raises:
        UsageError: sides of different lengths, numbers out of range, fewer than six different
            concurrencies, or points that no law of this kind can follow.
    """
    load, reached = np.asarray(concurrency, np.float64), np.asarray(throughput_per_s, np.float64)
    _check(load, reached, confidence)
    shape = np.stack([np.ones_like(load), load - 1, load * (load - 1)], axis=1)
    own = _solve(shape, load / reached)
    if own[0] <= 0:
        raise UsageError(
            "these points grow faster than their concurrency all along: no law of contention fits; "
            "check what was measured"
        )
    expected = shape @ own  # N/X by the law
    residuals = np.log(load / reached / expected)
    drawn = _bootstrap(shape, expected, residuals, seed=seed)
    tail = (1 - confidence) / 2
    lambdas, sigmas, kappas = 1 / drawn[:, 0], drawn[:, 1] / drawn[:, 0], drawn[:, 2] / drawn[:, 0]
    missed = ((reached - load / expected) ** 2).sum()
    variance = ((reached - reached.mean()) ** 2).sum()
    freedom = len(load) - shape.shape[1]
    return ScalingFit(
        lambda_per_s=float(1 / own[0]),
        sigma=float(own[1] / own[0]),
        kappa=float(own[2] / own[0]),
        lambda_interval=_interval(lambdas, tail),
        sigma_interval=_interval(sigmas, tail),
        kappa_interval=_interval(kappas, tail),
        error_share=math.sqrt(float((residuals**2).sum()) / freedom),
        r_squared=1 - float(missed / variance) if variance > 0 else math.nan,
        confidence=confidence,
        points=len(load),
        lowest=float(load.min()),
        highest=float(load.max()),
        resamples=drawn,
    )


def _bootstrap(shape: Floats, expected: Floats, residuals: Floats, *, seed: int) -> Floats:
    """Coefficients of as many data sets as could have come instead, by resampled residuals."""
    draw = np.random.default_rng(seed)
    # Fitted residuals are smaller than true ones, by the freedom that the fit used up.
    count = len(residuals)
    centred = (residuals - residuals.mean()) * math.sqrt(count / (count - shape.shape[1]))
    fits = np.array(
        [
            _solve(shape, expected * np.exp(draw.choice(centred, size=count)))
            for _ in range(RESAMPLES)
        ]
    )
    possible: Floats = fits[fits[:, 0] > 0]
    return possible


def _solve(shape: Floats, ratio: Floats) -> Floats:
    """The coefficients, none below zero, that follow N/X with the least relative errors."""
    from scipy.optimize import nnls  # kept out of the load driver, which loads this room too

    # Columns of the same size: N(N-1) is thousands of times the others, and would lose their digits.
    scale = np.abs(shape).max(axis=0)
    found, _ = nnls(shape / scale / ratio[:, np.newaxis], np.ones_like(ratio))
    coefficients: Floats = np.asarray(found, np.float64) / scale
    return coefficients


def _throughput(coefficients: Floats, concurrency: float) -> Floats:
    steps = np.array([1.0, concurrency - 1, concurrency * (concurrency - 1)])
    reached: Floats = concurrency / (coefficients @ steps)
    return reached


def _interval(values: Floats, tail: float) -> tuple[float, float]:
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _check(load: Floats, reached: Floats, confidence: float) -> None:
    if load.shape != reached.shape or load.ndim != 1:
        raise UsageError(
            f"{load.size} concurrencies and {reached.size} throughputs are no points; give as many"
        )
    if not (np.isfinite(load).all() and (load >= 1).all()):
        raise UsageError(f"concurrencies {load.tolist()} are out of range; give numbers from 1")
    if not (np.isfinite(reached).all() and (reached > 0).all()):
        raise UsageError(f"throughputs {reached.tolist()} are out of range; give numbers above 0")
    different = len(np.unique(load))
    if different < LEAST_POINTS:
        raise UsageError(
            f"{different} different concurrencies are too few for three coefficients; "
            f"measure at {LEAST_POINTS} or more"
        )
    if not 0 < confidence < 1:
        raise UsageError(f"confidence={confidence!r} is not between 0 and 1, for example 0.95")
