"""The dictionary Reactor -> labcore, read off the docstrings so that it cannot drift."""

import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass

from labcore.reactive.operators.connectable import ConnectableFlux
from labcore.reactive.publishers import Flux, Mono
from labcore.reactive.retry import Retry
from labcore.reactive.sinks import (
    ManySink,
    ManySpec,
    MulticastSpec,
    OneSink,
    ReplaySpec,
    Sinks,
    UnicastSpec,
)

_TYPES = (
    *(Flux, Mono, ConnectableFlux, Retry, Sinks, ManySpec, UnicastSpec, MulticastSpec),
    *(ReplaySpec, ManySink, OneSink),
)
# What every Python object, or the machinery inside, has; these are no operators.
_INSIDE = frozenset({"feed", "fusion", "label", "like", "scalar", "delay_s"})
_REACTOR = re.compile(r"Reactor(?:'s)?:? (.+?)(?:\. |\.?\s*$)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Row:
    """One public operator: ours, Reactor's, and what it gives."""

    labcore: str
    reactor: str
    summary: str
    family: str


def operators() -> list[Row]:
    """Every public operator and door, by type and name; `reactor` is empty where a docstring lacks it."""
    return [_row(owner, name, function) for owner in _TYPES for name, function in _public(owner)]


def _public(owner: type) -> Iterator[tuple[str, object]]:
    inherited = set(dir(Flux)) if owner is ConnectableFlux else set()
    for name, function in inspect.getmembers(owner, callable):
        if name.startswith("_") or name in _INSIDE or name in inherited:
            continue
        if not isinstance(function, type):
            yield name, function


def _row(owner: type, name: str, function: object) -> Row:
    text = inspect.getdoc(function) or ""
    found = _REACTOR.search(text)
    family = getattr(function, "__module__", "").rpartition(".")[2]
    return Row(
        labcore=f"{owner.__name__}.{name}",
        reactor=found[1].strip() if found else "",
        summary=text.partition("\n")[0],
        family=family,
    )


def as_markdown() -> str:
    """The table for the documentation."""
    rows = "\n".join(
        f"| `{row.reactor}` | `{row.labcore}` | {row.summary} |" for row in operators()
    )
    return f"| Reactor | labcore | what it gives |\n|---|---|---|\n{rows}\n"
