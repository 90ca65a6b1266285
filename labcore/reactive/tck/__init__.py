"""The rules of Reactive Streams as checks that run: for publishers, subscribers and operators.

A check is a named callable without any test framework; `check.run()` raises `RuleBroken`. With
pytest: `@pytest.mark.parametrize("check", publisher_rules(make), ids=str)`.
"""

from labcore.reactive.tck.check import Check, RuleBroken
from labcore.reactive.tck.processor import UpstreamError, processor_rules
from labcore.reactive.tck.publisher import publisher_rules
from labcore.reactive.tck.python import endless_rule, fusion_rule, stop_iteration_rule
from labcore.reactive.tck.rules import RULES, Rule
from labcore.reactive.tck.subscriber import subscriber_rules

__all__ = [
    "RULES",
    "Check",
    "Rule",
    "RuleBroken",
    "UpstreamError",
    "endless_rule",
    "fusion_rule",
    "processor_rules",
    "publisher_rules",
    "stop_iteration_rule",
    "subscriber_rules",
]
