"""The architecture decision record: what was chosen, by which rule, on what evidence, until when.

A recording and the user's weights and objective in, Markdown out; the same data give the same text. It
never says more than the verdicts do: what is undecided stays undecided in the record.

Source: MADR 4.0, Markdown Architectural Decision Records, for the headings.
"""

import hashlib
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from labcore import lanes
from labcore.kernel import EnvironmentFault, UsageError
from labcore.measure import CONTROL, Decision, Objective, Recording, Standing, Verdict, decide
from labcore.show.evidence import has_interval, metric, valid_runs, void_runs
from labcore.show.summary import COMPLETE, answer_of, limit_of
from labcore.show.words import listed, number, redacted, span

_GOOD: Final = {"faster": "Good", "slower": "Bad", "equal in practice": "Neutral"}
_FORGONE: Final = {"faster": "Bad, given up", "slower": "Good, avoided"}
_NO_FIGURE: Final = "–"


def write_adr(
    recording: Recording,
    path: str | Path,
    *,
    weights: Mapping[str, float] | None = None,
    objective: str | None = None,
    title: str = "",
) -> Path:
    """Write the record of a comparison and return its path.

    Args:
        recording: of kind `compare`.
        path: a Markdown file; it is replaced.
        weights: how much each metric counts, in any unit; default every judged metric alike.
        objective: what a lane must keep to be chosen, such as `p99<250ms,errors<0.1%`.
        title: of the record; default one that names the scenario.

    Raises:
        UsageError: not a comparison, no verdicts, weights or objective that make no sense.
        EnvironmentFault: the file cannot be written.
    """
    text = render_adr(recording, weights=weights, objective=objective, title=title)
    target = Path(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    except OSError as exc:
        raise EnvironmentFault(f"cannot write the record to {path}: {exc.strerror}") from exc
    return target


def render_adr(
    recording: Recording,
    *,
    weights: Mapping[str, float] | None = None,
    objective: str | None = None,
    title: str = "",
) -> str:
    """The record as Markdown. Raises: UsageError as `write_adr`."""
    decision = decision_of(recording, weights=weights, objective=objective)
    template = _templates().get_template("adr.md")
    return template.render(_context(recording, decision, title)).strip() + "\n"


def decision_of(
    recording: Recording,
    *,
    weights: Mapping[str, float] | None = None,
    objective: str | None = None,
) -> Decision:
    """What the rule chooses from a comparison. Raises: UsageError as `write_adr`."""
    if recording.kind != "compare":
        raise UsageError(
            f"a decision needs a comparison, and {recording.path} is a {recording.kind}"
        )
    return decide(
        recording.runs,
        recording.verdicts,
        baseline=recording.design.baseline,
        weights=weights,
        objective=None if not objective else Objective.parse(objective),
    )


def outcome_of(decision: Decision) -> str:
    """The decision in a sentence or two."""
    if decision.state == "decided":
        chosen = next(one for one in decision.standings if one.lane == decision.lane)
        return f"Chosen option: `{decision.lane}`, because {_because(chosen)}."
    names = listed(f"`{name}`" for name in decision.candidates)
    if decision.state == "withheld":
        return (
            "No option is chosen: the baseline came out different from itself, so this session cannot"
            " tell lanes apart. Measure again."
        )
    if decision.state == "none fits":
        return f"No option is chosen: every lane breaks the objective {decision.objective}."
    if decision.state == "equal":
        return (
            f"No option is chosen: {names} are equal in practice in everything that has weight. What was"
            " not measured may decide, such as the code that has to be maintained."
        )
    mixed = [one.lane for one in decision.standings if one.fitness in {"mixed", "unknown"}]
    if len(decision.candidates) == 1:
        return (
            f"Undecided: {names} would have the highest gain, but keeps the objective"
            f" {decision.objective} only in some of its runs."
        )
    doubt = f" Whether {listed(mixed)} keeps the objective is open, too." if mixed else ""
    return (
        f"Undecided: by these weights the evidence does not tell {names} apart. Any of them may be the"
        f" best.{doubt}"
    )


def _because(chosen: Standing) -> str:
    if chosen.low == chosen.high == 1.0:
        reason = "every other lane's weighted gain over it lies below 1"
    else:
        reason = (
            f"its weighted gain of {_ratio(chosen.gain)} ({_ratio(chosen.low)} to"
            f" {_ratio(chosen.high)}) lies above that of every other lane"
        )
    kept = f", and it kept the objective in all of its {chosen.runs} valid runs"
    return reason + (kept if chosen.fitness == "kept" else "")


def _context(recording: Recording, decision: Decision, title: str) -> dict[str, Any]:
    design = recording.design
    card = _card(design.scenario)
    options = [decision.standings[0].lane, *(one.lane for one in decision.standings[1:])]
    return {
        "title": title or f"The concurrency model of {_named(card, design.scenario)}",
        "question": card.question if card else f"Which lane serves {design.scenario} best?",
        "date": str(recording.experiment.get("finished_at") or recording.experiment["started_at"])[
            :10
        ],
        "decision": decision,
        "design": design,
        "partial": recording.experiment["status"] != COMPLETE,
        "runs": len(valid_runs(recording)),
        "voids": len(void_runs(recording)),
        "machine": _machine(recording.experiment["environment"]),
        "parameters": _parameters(design.parameters, card),
        "drivers": list(_drivers(decision)),
        "options": [_option(card, name) for name in options],
        "outcome": outcome_of(decision),
        "standings": [_row(one) for one in decision.standings],
        "consequences": list(_consequences(recording, decision)),
        "command": redacted(str(recording.experiment.get("command") or "the call is not recorded")),
        "record_command": _record_command(recording, decision),
        "confidence": f"{design.confidence:.0%}",
        "run": recording.path.name,
        "digest": digest_of(recording),
        "evidence": [
            _evidence(one) for one in recording.verdicts if one.metric in decision.weights
        ],
        "limits": [limit_of(recording, name) for name in options],
        "cautions": answer_of(recording).cautions,
        "revisit": list(_revisit(recording, decision)),
    }


def digest_of(recording: Recording) -> str:
    """SHA-256 of the stored verdicts, by which a reader finds out that a record has other data."""
    path = recording.path / "verdict.json"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "none"


def _card(name: str) -> "lanes.Scenario | None":
    """The scenario; None when the package it came from is not installed here."""
    return lanes.scenario(name) if name in lanes.scenarios() else None


def _named(card: "lanes.Scenario | None", name: str) -> str:
    return name if card is None else f"{name} ({card.title})"


def _option(card: "lanes.Scenario | None", name: str) -> dict[str, str]:
    known = {lane.name: lane for lane in card.lanes} if card else {}
    lane = known.get(name)
    if lane is None:
        return {"lane": name, "title": "", "waiting": "", "java": ""}
    return {"lane": name, "title": lane.title, "waiting": lane.waiting, "java": lane.java}


def _machine(environment: Mapping[str, Any]) -> str:
    facts = (
        ("machine", "cpu", "{}"),
        ("machine", "usable_cores", "{} cores"),
        ("system", "system", "{}"),
        ("system", "kernel", "{}"),
        ("python", "version", "Python {}"),
    )
    groups = {name: group for name, group in environment.items() if isinstance(group, Mapping)}
    known = [
        text.format(groups[group][name])
        for group, name, text in facts
        if groups.get(group, {}).get(name)
    ]
    return ", ".join(known) or "not recorded"


def _parameters(values: Mapping[str, Any], card: "lanes.Scenario | None") -> str:
    """What was set to something else than its default, or that nothing was."""
    defaults = {each.name: each.default for each in card.parameters} if card else {}
    changed = [f"`{name}={value}`" for name, value in values.items() if defaults.get(name) != value]
    if changed:
        return listed(changed)
    return "every parameter at its default" if values else ""


def _drivers(decision: Decision) -> Iterator[str]:
    for name, share in sorted(decision.weights.items(), key=lambda item: -item[1]):
        yield f"{metric(name).label}: {share:.0%} of the weight"
    if decision.objective:
        yield f"objective: {decision.objective}, in every valid run"
    else:
        yield "no objective: nothing was said that a lane must keep"


def _row(one: Standing) -> dict[str, str]:
    fitness = {
        "kept": f"kept in all {one.runs} runs",
        "broken": f"broken in {one.runs - one.kept_runs} of {one.runs} runs",
        "mixed": f"kept in {one.kept_runs} of {one.runs} runs",
        "not asked": "none",
        "unknown": "no valid run",
    }[one.fitness]
    return {
        "lane": one.lane,
        "objective": fitness,
        "gain": _ratio(one.gain),
        "low": _ratio(one.low),
        "high": _ratio(one.high),
        "open": listed(metric(name).label for name in one.open_metrics) or "nothing",
    }


def _consequences(recording: Recording, decision: Decision) -> Iterator[str]:
    """What changes with the chosen lane, or with each candidate while none is chosen."""
    baseline = recording.design.baseline
    for lane in decision.candidates:
        for one in recording.verdicts:
            if one.metric not in decision.weights or one.arm == CONTROL:
                continue
            if one.arm == lane:
                yield f"{_GOOD.get(one.word, 'Open')}: {one.sentence}"
            elif lane == baseline and one.arm not in decision.candidates and one.word in _FORGONE:
                yield f"{_FORGONE[one.word]}: {one.sentence}"
    if not decision.candidates:
        yield "None: nothing is chosen."


def _evidence(one: Verdict) -> dict[str, str]:
    return {
        "lane": f"{one.baseline} again (control)" if one.arm == CONTROL else one.arm,
        "metric": metric(one.metric).label,
        "ratio": _ratio(one.ratio),
        "span": span(one.low, one.high) if has_interval(one) else _NO_FIGURE,
        "word": one.word,
        "pairs": str(one.pairs),
    }


def _revisit(recording: Recording, decision: Decision) -> Iterator[str]:
    open_ones = [
        one
        for one in recording.verdicts
        if one.arm in decision.candidates and one.word == "undecided" and one.more_pairs
    ]
    for one in open_ones:
        if one.metric in decision.weights:
            yield (
                f"After some {one.more_pairs} more pairs: {metric(one.metric).label} of `{one.arm}`"
                " is undecided."
            )
    design = recording.design
    yield f"When the load leaves {number(design.rate_per_s)} requests/s by much, or its shape changes."
    yield "When a parameter above changes, the time spent waiting on others first of all."
    yield "When the machine, the interpreter or a library changes: ratios were measured on these."
    yield "When the weights or the objective change: the record is rewritten in a second."


def _record_command(recording: Recording, decision: Decision) -> str:
    words = ["labcore adr", f"runs/{recording.path.name}"]
    words += [f"--weight {name}={share:.4g}" for name, share in decision.weights.items()]
    words += [f"--objective '{decision.objective}'"] if decision.objective else []
    return " ".join(words)


def _ratio(value: float) -> str:
    if math.isinf(value):
        return "unbounded"
    return _NO_FIGURE if math.isnan(value) else f"{value:.2f}×"


def _templates() -> Environment:
    environment = Environment(
        loader=PackageLoader("labcore.show"),
        autoescape=False,  # noqa: S701 - Markdown, read by people and never served as a page
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["number"] = number
    return environment
