"""A study: what a chapter is about to measure, checked before anything starts."""

import html
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from labcore.kernel import UsageError
from labcore.lanes import scenario as find_scenario
from labcore.lanes.contract import Value


@dataclass(frozen=True, slots=True)
class Study:
    """One scenario under one load: lanes, rate, duration, pairs, seed and the scenario's knobs."""

    scenario: str
    lanes: tuple[str, ...]
    rate_per_s: float
    duration_s: float
    pairs: int
    seed: int
    out: Path | None = None
    parameters: dict[str, Value] = field(default_factory=dict)

    def _repr_html_(self) -> str:
        rows = {
            "scenario": self.scenario,
            "lanes": ", ".join(self.lanes),
            "offered load": f"{self.rate_per_s:g} requests/s for {self.duration_s:g} s",
            "pairs": self.pairs,
            "seed": self.seed,
        } | self.parameters
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(str(value))}</td></tr>"
            for name, value in rows.items()
        )
        return f"<table>{cells}</table>"


def chapter(
    scenario: str,
    *,
    lanes: str | Iterable[str],
    rate_per_s: float,
    duration_s: float,
    pairs: int,
    seed: int,
    out: str | Path = "",
    **parameters: Value,
) -> Study:
    """A checked study. `parameters` are the scenario's own knobs, by name.

    Raises:
        UsageError: an unknown scenario, lane or parameter, or a value out of range.
    """
    card = find_scenario(scenario)
    names = lanes.split(",") if isinstance(lanes, str) else list(lanes)
    chosen = tuple(card.lane(name.strip()).name for name in names)
    ranges = {
        "rate_per_s": (rate_per_s, 1, 2_000),
        "duration_s": (duration_s, 1, 120),
        "pairs": (pairs, 1, 40),
    }
    for name, (value, low, high) in ranges.items():
        if not low <= value <= high:
            raise UsageError(f"{name}={value!r} is out of range: {low} to {high}")
    return Study(
        scenario=scenario,
        lanes=chosen,
        rate_per_s=rate_per_s,
        duration_s=duration_s,
        pairs=pairs,
        seed=seed,
        out=Path(out) if out else None,
        parameters={name: card.values(parameters)[name] for name in parameters},
    )
