"""The report: a recording as one HTML file that opens with no network and needs no script.

It decides what is said in which order: question and answer, verdicts, control, charts, what limits
each lane, method, validity, parameters, environment, how to reproduce. Words come from
`labcore.show.summary`, figures from `labcore.show.charts`, the page from `templates/`. A report
that would claim without an interval, or show a picture without a text alternative, is not written.
"""

import base64
import hashlib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from labcore.kernel import EnvironmentFault, UsageError, VoidRunError
from labcore.measure import CONTROL, Recording, Verdict
from labcore.show.charts import CHARTS, Chart
from labcore.show.charts.figure import Cell
from labcore.show.evidence import (
    DECIDED,
    arms_of,
    has_interval,
    label_of,
    median_of,
    metric,
    valid_runs,
    void_runs,
)
from labcore.show.palette import LaneStyle, lane_styles
from labcore.show.search import SECTIONS as SEARCH_SECTIONS
from labcore.show.search import search_of
from labcore.show.summary import COMPLETE, answer_of, limit_of, more_of
from labcore.show.words import listed, number, redacted, span

_SECRET = re.compile(r"passw|secret|token|credential|api.?key", re.IGNORECASE)
_SIDE_BY_SIDE = (
    "p50_ms",
    "p90_ms",
    "p99_ms",
    "achieved_per_s",
    "error_share",
    "cpu_per_request_us",
    "rss_peak_mb",
    "threads_max",
)
SECTIONS = (
    "answer", "verdicts", "control", "charts", "limits", "method", "validity", "parameters",
    "environment", "reproduce",
)  # fmt: skip
# What the design holds and this kind of experiment does not use.
_IDLE: dict[str, frozenset[str]] = {
    "compare": frozenset(),
    "capacity": frozenset(
        {"offered rate, requests/s", "pairs planned", "zone", "zone of p99", "confidence"}
    ),
    "crossover": frozenset({"offered rate, requests/s"}),
}
_GLYPHS = {"faster": "▲", "slower": "▼", "equal in practice": "=", "undecided": "?", "void": "∅"}


@dataclass(frozen=True, slots=True)
class Fact:
    """A name with its value, as the tables at the end show them."""

    name: str
    value: str


def write_report(recording: Recording, path: str | Path) -> Path:
    """Write the report of a recording, whole or interrupted, and return its path.

    The file is written beside its place and renamed, so a reader never sees half of it.

    Raises:
        VoidRunError: a verdict claims something without an interval.
        UsageError: a figure lacks its text alternative, or the path is a directory.
        EnvironmentFault: the file cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{str(target)!r} is a directory; give the name of an HTML file in it")
    page = render_report(recording)
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(page, encoding="utf-8")
        beside.replace(target)
    except OSError as exc:
        raise EnvironmentFault(
            f"cannot write the report to {str(target)!r}: {exc.strerror}"
        ) from exc
    finally:
        beside.unlink(missing_ok=True)
    return target


def render_report(recording: Recording) -> str:
    """The report as HTML text. Raises: VoidRunError and UsageError as `write_report` does."""
    if recording.kind != "compare":
        return _render_search(recording)
    for verdict in recording.verdicts:
        _require_interval(verdict)
    drawn = [draw(recording) for draw in CHARTS] if len(recording.runs) else []
    charts = [chart for chart in drawn if chart.table.rows]
    for chart in charts:
        _require_alt(chart)
    template = _templates().get_template("report.html")
    return template.render(_context(recording, charts))


def _render_search(recording: Recording) -> str:
    search = search_of(recording)
    for chart in search.charts:
        _require_alt(chart)
    void = search.runs["void"].astype(bool)
    lanes = [recording.design.baseline, *recording.design.arms, *search.runs["arm"].unique()]
    context = _shared(recording) | {
        "search": search,
        "charts": search.charts,
        "sections": SEARCH_SECTIONS,
        "styles": lane_styles(lanes),
        "runs": search.runs,
        "valid": search.runs[~void],
        "void": list(search.runs[void].itertuples()),
    }
    return _templates().get_template("search.html").render(context)


def _require_interval(verdict: Verdict) -> None:
    if verdict.word in DECIDED and not has_interval(verdict):
        raise VoidRunError(
            f"the verdict {verdict.word!r} on {verdict.metric} of {verdict.arm} has no interval "
            f"({verdict.low} to {verdict.high}); a verdict needs both ends"
        )


def _require_alt(chart: Chart) -> None:
    if not chart.alt.strip():
        raise UsageError(
            f"chart {chart.name!r} has no text alternative; say in words what it shows"
        )


def _context(recording: Recording, charts: Sequence[Chart]) -> dict[str, Any]:
    design = recording.design
    arms = arms_of(recording)
    lanes = [verdict for verdict in recording.verdicts if verdict.arm != CONTROL]
    others = [arm for arm in arms if arm not in {design.baseline, CONTROL}]
    return _shared(recording) | {
        "sections": SECTIONS,
        "runs": recording.runs,
        "others": others or list(design.arms),
        "answer": answer_of(recording),
        "arms": arms,
        "styles": lane_styles([*arms, *design.arms, design.baseline, CONTROL]),
        "verdicts": lanes,
        "controls": [verdict for verdict in recording.verdicts if verdict.arm == CONTROL],
        "charts": charts,
        "side_by_side": list(_side_by_side(recording, arms)),
        "limits": [limit_of(recording, arm) for arm in arms if arm != CONTROL],
        "valid": valid_runs(recording),
        "void": list(void_runs(recording).itertuples()),
    }


def _shared(recording: Recording) -> dict[str, Any]:
    """What every kind of page says at its head and at its end."""
    return {
        "recording": recording,
        "design": recording.design,
        "experiment": recording.experiment,
        "place": f"{recording.path.parent.name}/{recording.path.name}",
        "partial": recording.experiment["status"] != COMPLETE,
        "result_file": "verdict.json" if recording.kind == "compare" else f"{recording.kind}.json",
        "parameters": list(_facts(_parameters(recording))),
        "environment": list(_facts(recording.experiment["environment"])),
        "command": redacted(str(recording.experiment.get("command") or "")),
    }


def _side_by_side(recording: Recording, arms: Sequence[str]) -> Iterator[tuple[str, list[Cell]]]:
    """One row a measure, one cell an arm: medians over the runs that count."""
    for column in _SIDE_BY_SIDE:
        card = metric(column)
        values: list[Cell] = [median_of(recording, arm, column) for arm in arms]
        scale = 100 if column == "error_share" else 1
        unit = "%" if column == "error_share" else card.unit
        cells: list[Cell] = [float(value) * scale for value in values]
        yield f"{card.label}, {unit}" if unit else card.label, cells


def _parameters(recording: Recording) -> dict[str, Any]:
    design = recording.design
    facts: dict[str, Any] = {
        "scenario": design.scenario,
        "baseline": design.baseline,
        "lanes": listed(design.arms),
        "offered rate, requests/s": design.rate_per_s,
        "arrivals": design.arrivals,
        "measured, s a run": design.duration_s,
        "warm-up, s": design.warmup_s,
        "pairs planned": design.pairs,
        "zone": f"{design.zone_share:.0%}",
        "zone of p99": f"{design.zone_p99_share:.0%}",
        "confidence": f"{design.confidence:.0%}",
        "seed": str(design.seed),
        **{f"scenario: {name}": value for name, value in design.parameters.items()},
        **{
            name: recording.experiment[name]
            for name in ("objective", "ladder", "grid")
            if name in recording.experiment
        },
    }
    return {name: value for name, value in facts.items() if name not in _IDLE[recording.kind]}


def _facts(tree: Mapping[str, Any], *, inside: str = "") -> Iterator[Fact]:
    """The leaves of nested values under dotted names, secrets left out."""
    for name, value in tree.items():
        dotted = f"{inside}{name}"
        if isinstance(value, Mapping):
            yield from _facts(value, inside=f"{dotted}: ")
        elif _SECRET.search(str(name)):
            yield Fact(dotted, "not shown")
        else:
            yield Fact(dotted, redacted(_plain(value)))


def _plain(value: Any) -> str:
    if value is None:
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value, digits=4)
    if isinstance(value, (list, tuple)):
        return ", ".join(_plain(inner) for inner in value)
    return str(value)


def _cell(value: Cell) -> str:
    return number(value) if isinstance(value, float) else str(value)


def _swatch(style: LaneStyle) -> Markup:
    """A lane's colour and marker as a small picture; the name stands beside it."""
    shapes = {
        "o": '<circle cx="8" cy="8" r="5"/>',
        "s": '<rect x="3.5" y="3.5" width="9" height="9"/>',
        "^": '<path d="M8 2.5 14 13H2z"/>',
        "v": '<path d="M8 13.5 2 3h12z"/>',
        "D": '<path d="M8 2 14 8 8 14 2 8z"/>',
        "X": '<path d="M4 2l4 4 4-4 2 2-4 4 4 4-2 2-4-4-4 4-2-2 4-4-4-4z"/>',
        "P": '<path d="M6 2h4v4h4v4h-4v4H6v-4H2V6h4z"/>',
    }
    shape = shapes.get(style.marker, '<path d="M8 2 13.7 6.1 11.5 13h-7L2.3 6.1z"/>')
    opening = '<svg class="swatch" viewBox="0 0 16 16" aria-hidden="true" fill="{}">'
    return Markup(opening).format(style.color) + Markup(shape + "</svg>")  # noqa: S704 - our own shapes


@cache
def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("labcore.show"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "cell": _cell,
        "control_or_lane": label_of,
        "more": more_of,
        "swatch": _swatch,
    }
    script = _source(environment, "sort.js")
    environment.globals |= {
        "glyphs": _GLYPHS,
        "has_interval": has_interval,
        "listed": listed,
        "metric": metric,
        "number": number,
        "span": span,
        "style": Markup(_source(environment, "report.css")),  # noqa: S704 - our own file
        "script": Markup(script),  # noqa: S704 - our own file
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    }
    return environment


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()
