"""When requests arrive: schedules drawn before a run from a seed, so both halves of a pair share one.

Pure: a rate profile and a seed in, offsets out. Sending on time is `labcore.measure.pacing`'s work.

Every random schedule is a Poisson process whose rate is a piecewise linear profile: arrivals of rate
one are drawn on the axis of *expected arrivals* and carried back to the axis of time through the
inverse of the profile's integral. Source: Çinlar, Introduction to Stochastic Processes (1975),
inversion of a non-homogeneous Poisson process.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import numpy as np
from numpy.typing import NDArray

from labcore.kernel import UsageError

NS_PER_S: Final = 1_000_000_000
MAX_ARRIVALS: Final = (
    50_000_000  # 8 bytes each here and some 250 in the driver: a slip of the keyboard
)
WARMUP_STREAM: Final = (
    0x57  # keeps the draw of a warm-up apart from the draw of the run it precedes
)

Knots = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """A schedule: `offsets_ns`, ascending int64 nanoseconds from the start, all below `duration_s`."""

    kind: str
    duration_s: float
    offsets_ns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets_ns)

    @property
    def rate_per_s(self) -> float:
        """The mean rate this schedule offers; it varies around the rate it was drawn for."""
        return len(self.offsets_ns) / self.duration_s


def poisson(rate_per_s: float, duration_s: float, seed: int) -> Arrivals:
    """Independent arrivals: exponential gaps, what many users who ignore each other look like.

    Raises: UsageError for a rate or duration that is not positive and finite.
    """
    return _drawn("poisson", [(0.0, rate_per_s), (duration_s, rate_per_s)], seed)


def constant(rate_per_s: float, duration_s: float) -> Arrivals:
    """Equal gaps, the first arrival at 0. Raises: UsageError as `poisson`."""
    _check([(0.0, rate_per_s), (duration_s, rate_per_s)])
    count = math.ceil(round(rate_per_s * duration_s, 6))
    offsets = (np.arange(count) * (NS_PER_S / rate_per_s)).astype(np.int64)
    return Arrivals("constant", duration_s, offsets)


def step(
    before_per_s: float, after_per_s: float, duration_s: float, *, at_s: float, seed: int
) -> Arrivals:
    """Poisson arrivals whose rate jumps once, at `at_s`. Raises: UsageError as `poisson`."""
    _inside("at_s", at_s, duration_s)
    profile = [(0.0, before_per_s), (at_s, before_per_s), (at_s, after_per_s)]
    return _drawn("step", [*profile, (duration_s, after_per_s)], seed)


def ramp(first_per_s: float, last_per_s: float, duration_s: float, *, seed: int) -> Arrivals:
    """Poisson arrivals whose rate grows or falls in a straight line. Raises: UsageError as `poisson`."""
    return _drawn("ramp", [(0.0, first_per_s), (duration_s, last_per_s)], seed)


def spike(
    base_per_s: float,
    peak_per_s: float,
    duration_s: float,
    *,
    at_s: float,
    width_s: float,
    seed: int,
) -> Arrivals:
    """Poisson arrivals at a base rate with one plateau of `width_s` seconds. Raises: UsageError."""
    _inside("at_s", at_s, duration_s)
    _inside("at_s + width_s", at_s + width_s, duration_s)
    profile = [(0.0, base_per_s), (at_s, base_per_s), (at_s, peak_per_s)]
    profile += [(at_s + width_s, peak_per_s), (at_s + width_s, base_per_s)]
    return _drawn("spike", [*profile, (duration_s, base_per_s)], seed)


def trace(offsets_s: Sequence[float] | NDArray[np.float64], speedup: float = 1.0) -> Arrivals:
    """Recorded times replayed `speedup` times as fast, the first at 0; order and ties are kept.

    The duration is the last offset plus one mean gap, so that the mean rate counts every arrival once.

    Raises: UsageError for fewer than two arrivals, times that descend, or a speed-up not above 0.
    """
    times = np.asarray(offsets_s, dtype=np.float64)
    if len(times) < 2 or not np.isfinite(times).all() or (np.diff(times) < 0).any():
        raise UsageError(
            f"a trace of {len(times)} times; give at least two finite seconds in ascending order"
        )
    if not (0 < speedup < math.inf):
        raise UsageError(f"speedup={speedup}; give a number above 0")
    scaled = (times - times[0]) / speedup
    if scaled[-1] <= 0:
        raise UsageError(
            "a trace in which everything arrives at once has no rate; give a span of time"
        )
    duration_s = float(scaled[-1]) * len(times) / (len(times) - 1)
    return Arrivals("trace", duration_s, (scaled * NS_PER_S).astype(np.int64))


def replay(moments: Sequence[datetime], speedup: float = 1.0) -> Arrivals:
    """Recorded moments, such as those at which real orders came in, as a `trace`.

    Raises: UsageError as `trace`, and for moments of which some have a time zone and some have none.
    """
    if len({moment.tzinfo is None for moment in moments}) > 1:
        raise UsageError("a trace that mixes moments with and without time zone; give all with one")
    return trace([(moment - moments[0]).total_seconds() for moment in moments], speedup)


def _named_step(rate_per_s: float, duration_s: float, seed: int) -> Arrivals:
    half = duration_s / 2
    return step(rate_per_s * 2 / 3, rate_per_s * 4 / 3, duration_s, at_s=half, seed=seed)


def _named_spike(rate_per_s: float, duration_s: float, seed: int) -> Arrivals:
    base, width_s = rate_per_s / 1.4, duration_s / 10
    return spike(base, 5 * base, duration_s, at_s=duration_s / 2, width_s=width_s, seed=seed)


SHAPES: Final[dict[str, Callable[[float, float, int], Arrivals]]] = {
    "poisson": poisson,
    "constant": lambda rate, duration, _seed: constant(rate, duration),
    "step": _named_step,  # doubles half-way
    "ramp": lambda rate, duration, seed: ramp(0.0, 2 * rate, duration, seed=seed),
    "spike": _named_spike,  # five times the base for a tenth of the time, from half-way
}


def schedule(shape: str, *, rate_per_s: float, duration_s: float, seed: int) -> Arrivals:
    """The schedule of a named shape whose mean rate is `rate_per_s`: what a command line can say.

    `step` doubles half-way, `ramp` grows from nothing to twice the mean, `spike` has five times its
    base rate for a tenth of the time.

    Raises: UsageError for an unknown shape, or a rate or duration that is not positive and finite.
    """
    if shape not in SHAPES:
        raise UsageError(f"no arrivals called {shape!r}; there are: {', '.join(sorted(SHAPES))}")
    return SHAPES[shape](rate_per_s, duration_s, seed)


def warmup(shape: str, *, rate_per_s: float, duration_s: float, seed: int) -> Arrivals:
    """Arrivals that lead up to a recorded window under the same process, drawn apart from it.

    A shape that changes over time is led up to by Poisson arrivals at its mean rate; no seconds give
    an empty schedule. Raises: UsageError as `schedule`.
    """
    if duration_s == 0:
        return Arrivals(shape, 0.0, np.empty(0, dtype=np.int64))
    if shape == "constant":
        return constant(rate_per_s, duration_s)
    apart = int(np.random.SeedSequence([WARMUP_STREAM, seed]).generate_state(1)[0])
    return poisson(rate_per_s, duration_s, apart)


def _drawn(kind: str, knots: Knots, seed: int) -> Arrivals:
    """A Poisson process whose rate runs in straight lines through `knots` of (seconds, rate)."""
    expected = _check(knots)
    if seed < 0:
        raise UsageError(f"seed={seed}; give a whole number from 0")
    rng = np.random.default_rng(seed)
    # Given their number, arrivals of a Poisson process are independent and uniform: sorted draws.
    masses = np.sort(rng.uniform(0.0, expected, rng.poisson(expected)))
    duration_s = knots[-1][0]
    offsets = (_times_of(masses, knots) * NS_PER_S).astype(np.int64)
    last_ns = max(0, math.ceil(duration_s * NS_PER_S) - 1)
    return Arrivals(kind, duration_s, np.clip(offsets, 0, last_ns))  # rounding may reach the end


def _times_of(masses: NDArray[np.float64], knots: Knots) -> NDArray[np.float64]:
    """The seconds at which the integral of the profile reaches each mass."""
    seconds, rates = np.array(knots).T
    width = np.diff(seconds)
    mass = (rates[:-1] + rates[1:]) / 2 * width
    reached = np.concatenate(([0.0], np.cumsum(mass)))
    # Only segments with mass can hold an arrival: jumps (no width) and silence (no rate) hold none.
    solid = np.flatnonzero(mass > 0)
    at = solid[np.searchsorted(reached[solid], masses, side="right") - 1]
    slope = (rates[1:] - rates[:-1])[at] / width[at]
    rest, first = masses - reached[at], rates[at]
    # The quadratic's root in the form that stays exact when the slope vanishes.
    root = np.sqrt(np.maximum(first**2 + 2 * slope * rest, 0.0))
    gone = np.divide(2 * rest, first + root, out=np.zeros_like(rest), where=first + root > 0)
    return np.asarray(seconds[at] + np.minimum(gone, width[at]))


def _check(knots: Knots) -> float:
    """The expected number of arrivals. Raises: UsageError."""
    duration_s = knots[-1][0]
    if not (0 < duration_s < math.inf):
        raise UsageError(f"duration_s={duration_s}; give a number of seconds above 0")
    for _, rate in knots:
        if not (0 <= rate < math.inf):
            raise UsageError(f"rate_per_s={rate}; give a number of requests per second above 0")
    expected = sum(
        (end - begin) * (rate + following) / 2
        for (begin, rate), (end, following) in itertools.pairwise(knots)
    )
    if expected <= 0:
        raise UsageError(f"rate_per_s={knots[0][1]}; give a number of requests per second above 0")
    if expected > MAX_ARRIVALS:
        raise UsageError(
            f"{expected:.3g} arrivals; at most {MAX_ARRIVALS:,}: lower the rate or the duration"
        )
    return expected


def _inside(name: str, value_s: float, duration_s: float) -> None:
    if not (0 < value_s < duration_s):
        raise UsageError(f"{name}={value_s}; give seconds between 0 and the duration, {duration_s}")
