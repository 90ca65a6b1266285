"""The table of rules: each is checked by the kit, or says why it cannot be."""

from labcore.reactive import Flux
from labcore.reactive.tck import (
    RULES,
    endless_rule,
    fusion_rule,
    processor_rules,
    publisher_rules,
    stop_iteration_rule,
    subscriber_rules,
)
from labcore.reactive.tck.check import Reader


def flux(n: int = 1) -> Flux[int]:
    return Flux.range(0, n)


def test_the_table_is_checked_exactly_where_it_says_so():
    checks = [
        *publisher_rules(flux),
        *processor_rules(lambda upstream: upstream.flux()),
        *subscriber_rules(lambda: Reader("2.01")),
        stop_iteration_rule(lambda f: flux().map(f)),
        endless_rule(flux),
        fusion_rule(flux, flux),
    ]
    assert {check.rule for check in checks} == {rule.number for rule in RULES if rule.is_checked}


def test_a_rule_without_a_check_gives_its_reason():
    assert all(len(rule.kept_by) > 10 for rule in RULES if not rule.is_checked)


def test_the_table_is_complete_and_in_order():
    counts = {"1.": 11, "2.": 13, "3.": 17, "4.": 2, "P": 6}
    for prefix, count in counts.items():
        assert sum(rule.number.startswith(prefix) for rule in RULES) == count
    assert [rule.number for rule in RULES] == sorted(rule.number for rule in RULES)
