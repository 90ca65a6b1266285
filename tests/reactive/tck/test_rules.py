"""The table of rules: each is checked by the kit, or says why it cannot be."""

from labcore.reactive.tck import RULES
from labcore.reactive.tck.table import checks


def test_the_table_is_checked_exactly_where_it_says_so():
    checked = {check.rule for found in checks().values() for check in found}
    assert checked == {rule.number for rule in RULES if rule.is_checked}


def test_a_rule_without_a_check_gives_its_reason():
    assert all(len(rule.kept_by) > 10 for rule in RULES if not rule.is_checked)


def test_the_table_is_complete_and_in_order():
    counts = {"1.": 11, "2.": 13, "3.": 17, "4.": 2, "P": 6}
    for prefix, count in counts.items():
        assert sum(rule.number.startswith(prefix) for rule in RULES) == count
    assert [rule.number for rule in RULES] == sorted(rule.number for rule in RULES)
