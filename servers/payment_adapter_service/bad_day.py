"""A bad day of the simulated acquirer: a seeded script of what goes wrong, one thing after another.

Pure: the seed makes the script, whoever plays it reads the clock. Every lane that plays the same seed
at the same speed meets the same day.
"""

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labcore.kernel import UsageError
from servers.payment_adapter_service.acquirer import Settings, changed

FASTEST = 1_000.0
CALM_S = (4.0, 8.0)
TROUBLE_S = (15.0, 35.0)
FLAP_S = 2.0

_Draw = Callable[[float, float], float]


@dataclass(frozen=True, slots=True)
class Scene:
    """From `at_s` on, in seconds of the played day, these settings hold."""

    at_s: float
    name: str
    settings: Settings


def _flapping(draw: _Draw) -> dict[str, Any]:
    share = draw(0.3, 0.6)
    starts = itertools.takewhile(lambda at_s: at_s < TROUBLE_S[1], itertools.count(0.0, FLAP_S))
    return {"outages": [[at_s, at_s + share * FLAP_S] for at_s in starts]}


_TROUBLES: dict[str, Callable[[_Draw], dict[str, Any]]] = {
    "slow": lambda draw: {"latency_ms": draw(150, 400), "sigma": draw(0.5, 1.0)},
    "two speeds": lambda draw: {
        "distribution": "bimodal",
        "slow_share": draw(0.05, 0.3),
        "slow_ms": draw(1_500, 3_000),
    },
    "failures": lambda draw: {"failure_share": draw(0.2, 0.6)},
    "late answers": lambda draw: {"hold_ms": draw(800, 1_500)},
    "hangs": lambda draw: {"hang_share": draw(0.05, 0.2)},
    "resets": lambda draw: {"reset_share": draw(0.1, 0.4)},
    "drips": lambda draw: {"drip_share": draw(0.1, 0.3), "drip_ms": draw(20, 60)},
    "rate limit": lambda draw: {"rate_per_s": draw(20, 60)},
    "outage": lambda _: {"outages": [[0, 1e6]]},
    "flapping": _flapping,
    "everything": lambda draw: {
        "latency_ms": draw(50, 150),
        "failure_share": draw(0.05, 0.1),
        "hang_share": draw(0.01, 0.05),
        "reset_share": draw(0.05, 0.1),
        "drip_share": draw(0.05, 0.1),
        "decline_share": draw(0.05, 0.2),
    },
}


def bad_day(seed: int, usual: Settings | None = None, *, speed: float = 1.0) -> tuple[Scene, ...]:
    """The scenes of a day of some five minutes at speed 1, each trouble once, calm in between and at the end.

    `speed` shortens the scenes and leaves latencies as they are; `usual` is what calm looks like.

    Raises: UsageError for a speed that is not above 0 and at most 1000.
    """
    if not 0 < speed <= FASTEST:
        raise UsageError(f"speed={speed!r} is out of range: above 0, to {FASTEST:g}")
    calm = usual or Settings()
    draw = random.Random(seed)
    names = draw.sample(sorted(_TROUBLES), len(_TROUBLES))
    scenes, at_s = [], 0.0
    for name in names:
        scenes.append(Scene(at_s, "calm", calm))
        at_s += draw.uniform(*CALM_S) / speed
        settings = changed(calm, _TROUBLES[name](draw.uniform))
        scenes.append(Scene(at_s, name, _hastened(settings, speed)))
        at_s += draw.uniform(*TROUBLE_S) / speed
    return (*scenes, Scene(at_s, "calm", calm))


def scene_at(scenes: Sequence[Scene], elapsed_s: float) -> Scene:
    """What is on, that many seconds after the first scene began; the last one never ends."""
    return next(scene for scene in reversed(scenes) if scene.at_s <= max(elapsed_s, 0.0))


def _hastened(settings: Settings, speed: float) -> Settings:
    outages = tuple((start_s / speed, end_s / speed) for start_s, end_s in settings.outages)
    return replace(settings, outages=outages)
