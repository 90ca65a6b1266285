"""A *simulated* acquirer: how long a card takes, and what becomes of it, all drawn from a seed.

Nothing here waits or keeps time. A fate depends on the seed, the card's token and the number of the
attempt, never on when or in which order payments come, so every lane meets the same fates. Two things
depend on the clock by their nature, and take it as an argument: outages, and the limit of the rate.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from enum import StrEnum
from hashlib import blake2b
from statistics import NormalDist
from typing import Any

from labcore.kernel import UsageError

DISTRIBUTIONS = ("lognormal", "fixed", "bimodal")
_STANDARD_NORMAL = NormalDist()
_MOST_MS = 600_000.0
_RANGES = {
    "latency_ms": _MOST_MS,
    "sigma": 3.0,
    "slow_share": 1.0,
    "slow_ms": _MOST_MS,
    "decline_share": 1.0,
    "failure_share": 1.0,
    "hang_share": 1.0,
    "reset_share": 1.0,
    "drip_share": 1.0,
    "drip_ms": _MOST_MS,
    "hold_ms": _MOST_MS,
    "rate_per_s": 1e6,
}


class Fault(StrEnum):
    """What goes wrong with an attempt. The first that is drawn, in this order, is the one."""

    FAILURE = "failure"  # 503, nothing charged
    HANG = "hang"  # no answer until the client leaves, nothing charged
    RESET = "reset"  # charged; the connection breaks in the middle of the answer
    DRIP = "drip"  # charged; the answer's head, then its body byte by byte
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Settings:
    """How the acquirer behaves. Shares lie in 0..1; outages are [from, to] in seconds since they were set.

    `distribution` says how latencies spread: `lognormal`, with `latency_ms` as its mean and `sigma` as
    the standard deviation of the logarithm; `fixed`, always `latency_ms`; `bimodal`, where
    `slow_share` of the attempts take `slow_ms` and the others `latency_ms`. 0 answers at once.
    `decline_share` of the cards are declined; `failure_share`, `hang_share`, `reset_share` and
    `drip_share` of the attempts meet that `Fault`, a drip with `drip_ms` between two bytes. `hold_ms`
    passes between a charge and the answer that tells of it. Beyond `rate_per_s` attempts (0: no
    limit) the answer is 429.
    """

    seed: int = 1
    latency_ms: float = 20.0
    distribution: str = "lognormal"
    sigma: float = 0.5
    slow_share: float = 0.0
    slow_ms: float = 1_000.0
    decline_share: float = 0.0
    failure_share: float = 0.0
    hang_share: float = 0.0
    reset_share: float = 0.0
    drip_share: float = 0.0
    drip_ms: float = 50.0
    hold_ms: float = 0.0
    rate_per_s: float = 0.0
    outages: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be. Raises: UsageError naming setting, value and range."""
        for name, high in _RANGES.items():
            value = getattr(self, name)
            if not 0 <= value <= high:
                raise UsageError(f"{name}={value!r} is out of range: 0 to {high:g}")
        if self.distribution not in DISTRIBUTIONS:
            known = ", ".join(DISTRIBUTIONS)
            raise UsageError(f"distribution={self.distribution!r} is unknown; there are: {known}")
        for start_s, end_s in self.outages:
            if not 0 <= start_s <= end_s:
                raise UsageError(f"outage [{start_s}, {end_s}] must have 0 <= from <= to")


@dataclass(frozen=True, slots=True)
class Fate:
    """What happens to one attempt: after `latency_s` its fault, or the card is approved or not."""

    latency_s: float
    fault: Fault
    approved: bool


def fate(settings: Settings, token: str, attempt: int) -> Fate:
    """The fate of the attempt (1, 2, …). A card's approval is the same in every attempt."""
    return Fate(
        latency_s=_latency_s(settings, token, attempt),
        fault=_fault(settings, token, attempt),
        approved=_uniform(settings.seed, "decline", token, 0) >= settings.decline_share,
    )


class RateLimit:
    """How many attempts a second are let in, a second's worth of them at once at most.

    Source: the generic cell rate algorithm (ITU-T I.371), in its virtual scheduling form.
    """

    def __init__(self) -> None:
        self._due_s = -math.inf

    def wait_s(self, rate_per_s: float, *, now_s: float) -> float:
        """0 for an attempt that is let in, else how long until one would be."""
        if rate_per_s == 0:
            return 0.0
        due_s = max(self._due_s, now_s)
        early_s = due_s + 1 / rate_per_s - now_s - max(1.0, 1 / rate_per_s)
        if early_s > 1e-9:
            return early_s
        self._due_s = due_s + 1 / rate_per_s
        return 0.0


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
        if name not in {"outages", "distribution"} and not _is_number(value):
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


def _is_number(raw: Any) -> bool:
    return isinstance(raw, int | float) and not isinstance(raw, bool)


def _fault(settings: Settings, token: str, attempt: int) -> Fault:
    for fault, share in (
        (Fault.FAILURE, settings.failure_share),
        (Fault.HANG, settings.hang_share),
        (Fault.RESET, settings.reset_share),
        (Fault.DRIP, settings.drip_share),
    ):
        if share and _uniform(settings.seed, fault.value, token, attempt) < share:
            return fault
    return Fault.NONE


def _latency_s(settings: Settings, token: str, attempt: int) -> float:
    if settings.distribution == "fixed":
        return settings.latency_ms / 1e3
    quantile = _uniform(settings.seed, "latency", token, attempt)
    if settings.distribution == "bimodal":
        slow = quantile < settings.slow_share
        return (settings.slow_ms if slow else settings.latency_ms) / 1e3
    if settings.latency_ms == 0:
        return 0.0
    location = math.log(settings.latency_ms) - settings.sigma**2 / 2
    latency_ms = math.exp(location + settings.sigma * _STANDARD_NORMAL.inv_cdf(quantile))
    return min(latency_ms, _MOST_MS) / 1e3


def _uniform(seed: int, what: str, token: str, attempt: int) -> float:
    """A number strictly between 0 and 1 that depends on nothing but its arguments."""
    digest = blake2b(f"{seed}/{what}/{token}/{attempt}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest) + 0.5) / 2**64
