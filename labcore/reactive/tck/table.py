"""The table of rules for the documentation, with the names of the checks that hold each of them."""

from collections import defaultdict

from labcore.reactive.publishers import Flux
from labcore.reactive.tck.check import Check, Reader
from labcore.reactive.tck.processor import processor_rules
from labcore.reactive.tck.publisher import publisher_rules
from labcore.reactive.tck.python import endless_rule, fusion_rule, stop_iteration_rule
from labcore.reactive.tck.rules import RULES
from labcore.reactive.tck.subscriber import subscriber_rules


def checks() -> dict[str, list[Check]]:
    """Every check of the kit by who is checked: publishers, processors, subscribers, pipelines."""

    def flux(n: int = 1) -> Flux[int]:
        return Flux.range(0, n)

    return {
        "publisher": list(publisher_rules(flux)),
        "processor": list(processor_rules(lambda upstream: upstream.flux())),
        "subscriber": list(subscriber_rules(lambda: Reader("2.01"))),
        "pipeline": [
            stop_iteration_rule(lambda function: flux().map(function)),
            endless_rule(flux),
            fusion_rule(flux, flux),
        ],
    }


def as_markdown() -> str:
    """A line per rule: number, our words, and the checks, or why there can be none."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for subject, found in checks().items():
        for check in found:
            names[check.rule].append(f"{subject}: {check.name}")
    rows = [
        f"| {rule.number} | {rule.text} | "
        f"{'<br>'.join(names[rule.number]) if rule.is_checked else f'*not checked:* {rule.kept_by}'} |"
        for rule in RULES
    ]
    return "\n".join(["| rule | in our words | kept by |", "|---|---|---|", *rows]) + "\n"
