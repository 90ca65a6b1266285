"""What a service promises: upper bounds on latency and errors, `p99<250ms,errors<0.1%`.

Pure: a sentence in, a judgement of runs out. Every clause has to hold. A promise that is silent
about errors is read as one that allows fewer than 1 %: otherwise a lane that fails fast would have
the highest capacity of all.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from labcore.kernel import UsageError

Bound = Literal["<", "<="]

FIGURES: Final = {
    "p50": "p50_ms",
    "p90": "p90_ms",
    "p99": "p99_ms",
    "p99.9": "p999_ms",
    "mean": "mean_ms",
    "max": "max_ms",
    "errors": "error_share",
}
EXAMPLE: Final = "p99<250ms,errors<0.1%"

_CLAUSE: Final = re.compile(r"(?P<name>[^<>=\s]+)\s*(?P<bound><=|<|>=|>|==|=)\s*(?P<value>.+)")
_VALUE: Final = re.compile(r"(?P<number>[0-9]*\.?[0-9]+)\s*(?P<unit>[a-zA-Z%]*)")
_TO_MS: Final = {"us": 1e-3, "ms": 1.0, "s": 1e3}
_TO_SHARE: Final = {"%": 0.01, "": 1.0}


@dataclass(frozen=True, slots=True)
class Clause:
    """One bound: latencies in milliseconds, errors as a share."""

    name: str
    bound: Bound
    limit: float

    @property
    def figure(self) -> str:
        """The field of `RunRow` that it bounds."""
        return FIGURES[self.name]

    def holds(self, run: Mapping[str, Any]) -> bool:
        """Whether a run, the fields of `RunRow`, keeps it; what is NaN was not shown to."""
        reading = float(run[self.figure])
        return reading <= self.limit if self.bound == "<=" else reading < self.limit

    def __str__(self) -> str:
        limit = f"{100 * self.limit:g}%" if self.name == "errors" else f"{self.limit:g}ms"
        return f"{self.name}{self.bound}{limit}"


SILENT: Final = Clause("errors", "<", 0.01)


@dataclass(frozen=True, slots=True)
class Objective:
    """Clauses that have to hold together; `str` gives them as `parse` reads them."""

    clauses: tuple[Clause, ...]

    @classmethod
    def parse(cls, text: str) -> "Objective":
        """The objective in a text such as `p99<250ms,errors<0.1%`.

        Raises: UsageError naming the clause, what is wrong with it, and what would be right.
        """
        clauses = tuple(_clause(part.strip()) for part in text.split(","))
        names = [clause.name for clause in clauses]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UsageError(f"objective {text!r} bounds {twice!r} twice; give one bound for it")
        return cls(clauses if "errors" in names else (*clauses, SILENT))

    def holds(self, run: Mapping[str, Any]) -> bool:
        """Whether a run, the fields of `RunRow`, keeps every clause."""
        return all(clause.holds(run) for clause in self.clauses)

    def __str__(self) -> str:
        return ",".join(str(clause) for clause in self.clauses)


def _clause(text: str) -> Clause:
    match = _CLAUSE.fullmatch(text)
    if match is None:
        raise UsageError(f"objective {text!r} is no bound such as p99<250ms; write {EXAMPLE}")
    name, bound, value = match["name"].lower(), match["bound"], match["value"]
    name = {"p999": "p99.9", "error": "errors"}.get(name, name)
    if name not in FIGURES:
        raise UsageError(
            f"objective {text!r} bounds {match['name']!r}; what can be bounded: {', '.join(FIGURES)}"
        )
    if bound not in {"<", "<="}:
        raise UsageError(f"objective {text!r} is no upper bound; write {name}<{value}")
    limit = _limit(text, name, value)
    if limit == 0 and bound == "<":
        raise UsageError(f"objective {text!r} can never hold; write {name}<={value}")
    return Clause(name, "<=" if bound == "<=" else "<", limit)


def _limit(text: str, name: str, value: str) -> float:
    units = _TO_SHARE if name == "errors" else _TO_MS
    match = _VALUE.fullmatch(value.strip())
    if match is None or match["unit"] not in units:
        right = f"{name}<0.1%" if name == "errors" else f"{name}<250ms or {name}<0.25s"
        raise UsageError(f"objective {text!r}: {value!r} is no such bound; write {right}")
    limit = float(match["number"]) * units[match["unit"]]
    if name == "errors" and limit >= 1:
        raise UsageError(f"objective {text!r} allows every request to fail; write errors<0.1%")
    return float(f"{limit:.12g}") if math.isfinite(limit) else limit
