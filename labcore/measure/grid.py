"""The grid of a crossover: which cells there are and where their recordings lie. Pure."""

import math
from dataclasses import dataclass

from labcore.kernel import UsageError


@dataclass(frozen=True, slots=True)
class Grid:
    """A parameter's values by the offered rates, both ascending.

    Raises: UsageError for an empty side, a value twice, or a rate that is none.
    """

    parameter: str
    values: tuple[float, ...]
    rates_per_s: tuple[float, ...]

    def __post_init__(self) -> None:
        for name, side in ((self.parameter, self.values), ("rates", self.rates_per_s)):
            if not side or list(side) != sorted(set(side)) or not all(map(math.isfinite, side)):
                raise UsageError(
                    f"{name}={list(side)!r} is no side of a grid; give different numbers, ascending"
                )
        if not self.rates_per_s[0] > 0:
            raise UsageError(f"rates={list(self.rates_per_s)!r}; give rates above 0")

    @property
    def places(self) -> list[tuple[float, float]]:
        """Value and rate of each cell, row by row."""
        return [(value, rate) for value in self.values for rate in self.rates_per_s]

    def folder(self, value: float, rate_per_s: float) -> str:
        """Where the cell's recording lies, below the crossover's."""
        return f"cells/{self.parameter}_{value:g}_rate_{rate_per_s:g}"
