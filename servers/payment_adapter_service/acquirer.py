"""A *simulated* acquirer: how long a card takes, and what becomes of it, all drawn from a seed.

Nothing here waits or keeps time. A fate depends on the seed, the card's token and the number of the
attempt, never on when or in which order payments come, so every lane meets the same fates.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

from labcore.kernel import UsageError

_STANDARD_NORMAL = NormalDist()
_MOST_LATENCY_MS = 600_000.0


@dataclass(frozen=True, slots=True)
class Settings:
    """How the acquirer behaves. Shares lie in 0..1; outages are [from, to] in seconds since they were set.

    `latency_ms` is the mean of a log-normal whose logarithm has the standard deviation `sigma`; 0 answers
    at once. `failure_share` of the attempts end in 503 before anything was charged, `decline_share`
    of the cards are declined. `hold_ms` passes between a charge and the answer that tells of it.
    """

    seed: int = 1
    latency_ms: float = 20.0
    sigma: float = 0.5
    decline_share: float = 0.0
    failure_share: float = 0.0
    hold_ms: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be. Raises: UsageError naming setting, value and range."""
        ranges = {
            "latency_ms": _MOST_LATENCY_MS,
            "sigma": 3.0,
            "decline_share": 1.0,
            "failure_share": 1.0,
            "hold_ms": _MOST_LATENCY_MS,
        }
        for name, high in ranges.items():
            value = getattr(self, name)
            if not 0 <= value <= high:
                raise UsageError(f"{name}={value!r} is out of range: 0 to {high:g}")
        for start_s, end_s in self.outages:
            if not 0 <= start_s <= end_s:
                raise UsageError(f"outage [{start_s}, {end_s}] must have 0 <= from <= to")


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one attempt: after `latency_s` it fails, or the card is approved or not."""

    latency_s: float
    fails: bool
    approved: bool


def fate(settings: Settings, token: str, attempt: int) -> Fate:
    """The fate of the attempt (1, 2, …). A card's approval is the same in every attempt."""
    return Fate(
        latency_s=_latency_s(settings, _uniform(settings.seed, "latency", token, attempt)),
        fails=_uniform(settings.seed, "failure", token, attempt) < settings.failure_share,
        approved=_uniform(settings.seed, "decline", token, 0) >= settings.decline_share,
    )


def in_outage(settings: Settings, elapsed_s: float) -> bool:
    """Whether an outage is on, that many seconds after the settings were made."""
    return any(start_s <= elapsed_s < end_s for start_s, end_s in settings.outages)


def changed(settings: Settings, changes: Any) -> Settings:
    """The settings with some of them replaced, from a JSON object.

    Raises: UsageError for an unknown name, a wrong type or a value out of range.
    """
    if not isinstance(changes, dict):
        raise UsageError(f"settings must be an object, not {type(changes).__name__}")
    current: Mapping[str, Any] = {
        each.name: getattr(settings, each.name) for each in fields(settings)
    }
    for name, value in changes.items():
        if name not in current:
            raise UsageError(f"there is no setting {name!r}; there are: {', '.join(current)}")
        if name != "outages" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise UsageError(f"{name}={value!r} must be a number")
    outages = _outages(changes.get("outages", settings.outages))
    return Settings(**{**current, **changes, "outages": outages})


def _outages(raw: Any) -> tuple[tuple[float, float], ...]:
    pairs = isinstance(raw, Sequence) and all(
        isinstance(pair, Sequence)
        and len(pair) == 2
        and all(isinstance(x, int | float) for x in pair)
        for pair in raw
    )
    if not pairs:
        raise UsageError(f"outages={raw!r} must be a list of [from, to] in seconds")
    return tuple((float(start_s), float(end_s)) for start_s, end_s in raw)


def _latency_s(settings: Settings, quantile: float) -> float:
    if settings.latency_ms == 0:
        return 0.0
    location = math.log(settings.latency_ms) - settings.sigma**2 / 2
    latency_ms = math.exp(location + settings.sigma * _STANDARD_NORMAL.inv_cdf(quantile))
    return min(latency_ms, _MOST_LATENCY_MS) / 1e3


def _uniform(seed: int, what: str, token: str, attempt: int) -> float:
    """A number strictly between 0 and 1 that depends on nothing but its arguments."""
    digest = blake2b(f"{seed}/{what}/{token}/{attempt}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) + 0.5) / 2**64
