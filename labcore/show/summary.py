"""The answer in plain words, and the verdict table for a terminal.

Words are built from verdicts alone; where there is no verdict, or the control takes it back, the
sentence says so. The report and the command line tell the same story because both read it here.
"""

import io
import math
from dataclasses import dataclass
from typing import Literal

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from labcore.measure import CONTROL, Recording, Verdict
from labcore.show.evidence import (
    arms_of,
    control_differs,
    has_interval,
    median_of,
    metric,
    metrics_judged,
    representative_run,
    valid_runs,
    void_runs,
)
from labcore.show.words import listed, number, span

COMPLETE = "complete"
State = Literal["answered", "withheld", "open"]
_UNJUDGED = ("p50_ms", "p99_ms", "cpu_per_request_us", "rss_peak_mb", "achieved_per_s")


@dataclass(frozen=True, slots=True)
class Limit:
    """What an arm ran into: the bottleneck named most often over its valid runs, with evidence."""

    arm: str
    bottleneck: str
    named_in: int
    runs: int
    evidence: str

    @property
    def sentence(self) -> str:
        """One sentence for the reader."""
        if not self.runs:
            return "No run of it counts, so nothing is known of its limit."
        share = f"in {self.named_in} of {self.runs} runs"
        if self.bottleneck == "none":
            opening = f"Nothing was saturated {share}."
        else:
            opening = f"Limited by the {self.bottleneck} {share}."
        return f"{opening} {self.evidence}".strip()


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure of a lane: its median over runs with its unit, and the verdict on it, if any."""

    label: str
    value: str
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class LaneAnswer:
    """What is known about one lane, and what it ran into."""

    lane: str
    measured: tuple[Measured, ...]
    limit: Limit


@dataclass(frozen=True, slots=True)
class Answer:
    """The experiment's answer: one leading sentence, one answer a lane, and what to be wary of."""

    state: State
    lead: str
    lanes: tuple[LaneAnswer, ...]
    cautions: tuple[str, ...]


def answer_of(recording: Recording) -> Answer:
    """The answer that the verdicts allow."""
    lanes = [
        LaneAnswer(lane, _measured(recording, lane), limit_of(recording, lane))
        for lane in arms_of(recording, control=False)
    ]
    state = _state(recording)
    return Answer(state, _lead(recording, state), tuple(lanes), tuple(_cautions(recording)))


def limit_of(recording: Recording, arm: str) -> Limit:
    """What an arm's valid runs name as their bottleneck."""
    runs = valid_runs(recording)
    mine = runs[runs["arm"] == arm]
    if mine.empty:
        return Limit(arm, "unknown", 0, 0, "")
    counts = mine["bottleneck"].value_counts()
    name = str(counts.index[0])
    same = mine[mine["bottleneck"] == name].set_index("run")
    typical = representative_run(recording, arm)
    row = same.loc[typical] if typical in same.index else same.iloc[0]
    return Limit(arm, name, int(counts.iloc[0]), len(mine), str(row["evidence"]))


def span_of(verdict: Verdict) -> str:
    """The interval as `1.97 to 2.15`, or a dash where there is none."""
    if not has_interval(verdict):
        return "–"
    return span(verdict.low, verdict.high)


def more_of(verdict: Verdict) -> str:
    """How many more pairs an undecided verdict takes, in words; empty for the others."""
    if verdict.word != "undecided":
        return ""
    if verdict.more_pairs is None:
        return "no sensible number"
    return f"about {verdict.more_pairs}"


def summary_text(recording: Recording, *, width: int = 100) -> str:
    """The verdict table and what limits each lane, as plain text of that many columns."""
    buffer = io.StringIO()
    _print(recording, Console(file=buffer, width=width, color_system=None))
    return buffer.getvalue()


def print_summary(recording: Recording) -> None:
    """Print the same on this terminal, in colour where it has any; 100 columns into a pipe."""
    console = Console()
    _print(recording, console if console.is_terminal else Console(width=100))


def _state(recording: Recording) -> State:
    if control_differs(recording):
        return "withheld"
    lanes = [verdict for verdict in recording.verdicts if verdict.arm != CONTROL]
    decided = any(verdict.word not in {"undecided", "void"} for verdict in lanes)
    return "answered" if decided else "open"


def _lead(recording: Recording, state: State) -> str:
    baseline = recording.design.baseline
    if state == "withheld":
        metrics = listed(metric(verdict.metric).label for verdict in control_differs(recording))
        return (
            f"No answer: {baseline} compared with itself came out different in {metrics}, so this"
            " session cannot tell lanes apart."
        )
    lanes = [verdict for verdict in recording.verdicts if verdict.arm != CONTROL]
    if lanes and all(verdict.word == "void" for verdict in lanes):
        return (
            f"No answer: {len(void_runs(recording))} of {len(recording.runs)} runs are void. The machine"
            " was too busy, or the load driver at its limit."
        )
    if state == "open":
        pairs = max((verdict.pairs for verdict in recording.verdicts), default=0)
        return (
            f"No answer yet: {pairs} {'pair counts' if pairs == 1 else 'pairs count'}, and no difference"
            " and no equality is established."
        )
    parts = [
        part
        for lane in arms_of(recording, control=False)
        if lane != baseline and (part := _standing(recording, lane))
    ]
    return f"Against {baseline}, {'; '.join(parts)}."


def _standing(recording: Recording, lane: str) -> str:
    """`threads is worse in a and b, equal in c, undecided in d`."""
    phrases = (
        ("faster", "better in"),
        ("slower", "worse in"),
        ("equal in practice", "equal in practice in"),
        ("undecided", "undecided in"),
        ("void", "without a verdict in"),
    )
    parts = []
    for word, phrase in phrases:
        labels = [
            metric(v.metric).label for v in recording.verdicts if (v.arm, v.word) == (lane, word)
        ]
        if labels:
            parts.append(f"{phrase} {listed(labels)}")
    return f"{lane} is {', '.join(parts)}" if parts else ""


def _measured(recording: Recording, lane: str) -> tuple[Measured, ...]:
    """The figures that verdicts are given on, in their order."""
    verdicts = {one.metric: one for one in recording.verdicts if one.arm == lane}
    found = []
    for name in metrics_judged(recording) or list(_UNJUDGED):
        card, value = metric(name), median_of(recording, lane, name)
        unit = card.unit if card.unit.startswith("/") else f" {card.unit}"
        text = f"{number(value)}{unit}" if math.isfinite(value) else "no gauge"
        found.append(Measured(card.label, text, verdicts.get(name)))
    return tuple(found)


def _cautions(recording: Recording) -> list[str]:
    cautions = []
    if recording.experiment["status"] != COMPLETE:
        blocks = valid_runs(recording)["block"].nunique()
        cautions.append(
            f"The experiment was cut short: runs of {blocks} of {recording.design.pairs} planned blocks"
            " are here, and everything below speaks of them alone."
        )
    if not any(verdict.arm == CONTROL for verdict in recording.verdicts):
        cautions.append(
            "There is no verdict on the A/A control, so nothing shows that this session can tell"
            " lanes apart."
        )
    void = len(void_runs(recording))
    if void:
        runs = f"{void} of {len(recording.runs)} runs"
        cautions.append(
            f"{runs} {'is' if void == 1 else 'are'} void and averaged into nothing; the reasons"
            " are listed under Validity."
        )
    errors = [
        f"{lane} ({share:.2%})"
        for lane in arms_of(recording, control=False)
        if (share := _error_share(recording, lane)) > 0.001
    ]
    if errors:
        cautions.append(f"Requests failed on {listed(errors)}: compare latencies with care.")
    return cautions


def _error_share(recording: Recording, lane: str) -> float:
    runs = valid_runs(recording)
    mine = runs[runs["arm"] == lane]
    asked = float(mine["requests"].sum())
    return float((mine["error_share"] * mine["requests"]).sum()) / asked if asked else math.nan


WIDE_COLUMNS = 100  # below this a terminal has no room for how many more pairs it would take

_WORD_STYLES = {
    "faster": "green",
    "slower": "red",
    "equal in practice": "blue",
    "undecided": "yellow",
    "void": "dim",
}


def _print(recording: Recording, console: Console) -> None:
    design = recording.design
    answer = answer_of(recording)
    console.print(Text(answer.lead, style="bold"))
    if recording.verdicts:
        console.print(_verdict_table(recording, wide=console.width >= WIDE_COLUMNS))
    for lane in answer.lanes:
        console.print(Text(f"{lane.lane}: {lane.limit.sentence}"))
    for caution in answer.cautions:
        console.print(Text(caution, style="yellow"))
    console.print(
        Text(
            f"for this load ({number(design.rate_per_s)} requests/s, {design.arrivals}), this scenario"
            f" ({design.scenario}), this machine",
            style="dim",
        )
    )


def _verdict_table(recording: Recording, *, wide: bool) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    headings = ("lane", "metric", "verdict", "ratio", "interval", "pairs", "more pairs")
    for heading in headings if wide else headings[:-1]:
        right = heading in {"ratio", "interval", "pairs", "more pairs"}
        table.add_column(heading, justify="right" if right else "left", no_wrap=True)
    before = ""
    for verdict in recording.verdicts:
        label = "A/A control" if verdict.arm == CONTROL else verdict.arm
        if before and label != before:
            table.add_section()
        cells = (
            label if label != before else "",
            metric(verdict.metric).label,
            Text(verdict.word, style=_WORD_STYLES[verdict.word]),
            f"{verdict.ratio:.2f}×" if math.isfinite(verdict.ratio) else "–",
            span_of(verdict),
            str(verdict.pairs),
            more_of(verdict),
        )
        table.add_row(*(cells if wide else cells[:-1]))
        before = label
    return table
