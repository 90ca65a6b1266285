"""A result shows itself: as text, as HTML that cannot be broken out of, and as JSON."""

import json
from xml.etree import ElementTree as ET

import pytest

from labcore.learn import CheckResult, Hint, Status

RESULT = CheckResult(
    "zip",
    Status.NOT_YET,
    law="a < b",
    expected="next(<b>1</b>)",
    actual="</td>&",
    marbles="answer, expected  -1 |-",
    advice="Use `default_if_empty`, not `x < y`.",
    printed="<script>",
)


@pytest.mark.parametrize("status", list(Status), ids=lambda status: status.name)
def test_every_status_can_be_shown(status: Status):
    result = CheckResult("zip", status, line=7)
    assert status.value in str(result)
    assert "(line 7)" in str(result)
    assert status.value in result._repr_html_()
    assert result.passed is (status is Status.PASSED)


def test_what_a_learner_prints_or_returns_is_no_markup():
    page = ET.fromstring(RESULT._repr_html_())
    texts = "".join(page.itertext())
    for piece in ("next(<b>1</b>)", "</td>&", "<script>", "x < y"):
        assert piece in texts
    assert [code.text for code in page.iter("code")][-2:] == ["default_if_empty", "x < y"]


def test_whoever_is_stuck_is_told_where_hints_are():
    assert ".hint()" in str(CheckResult("zip", Status.NOT_YET))
    assert "practise hint zip" in CheckResult("zip", Status.WOULD_HANG)._repr_html_()
    assert ".hint()" not in str(CheckResult("zip", Status.PASSED))
    assert ".hint()" not in str(RESULT)


def test_a_result_is_plain_data():
    document = json.loads(json.dumps(RESULT.as_json()))
    assert document["status"] == "not yet"
    assert document["law"] == "a < b"


def test_a_hint_says_its_grade():
    hint = Hint("zip", 3, "`zip_with`")
    assert str(hint) == "Hint 3 of 3 (nearly the code): `zip_with`"
    assert "<code>zip_with</code>" in hint._repr_html_()
