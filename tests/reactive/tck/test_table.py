"""The document of the rules says what the code says."""

from pathlib import Path

from labcore.reactive.tck import RULES
from labcore.reactive.tck.table import as_markdown, checks

DOCUMENT = Path(__file__).parents[3] / "docs" / "reactive-streams-rules.md"


def test_the_document_is_the_code_s():
    written = DOCUMENT.read_text(encoding="utf-8")
    assert written[written.index("| rule") :] == as_markdown(), "renew it with `make docs`"


def test_every_rule_has_a_line_with_its_checks_or_its_reason():
    lines = as_markdown().splitlines()[2:]
    assert [line.split(" | ")[0].removeprefix("| ") for line in lines] == [
        rule.number for rule in RULES
    ]
    for rule, line in zip(RULES, lines, strict=True):
        assert ("not checked" in line) != rule.is_checked


def test_every_check_is_in_the_document():
    text = as_markdown()
    assert all(check.name in text for found in checks().values() for check in found)
