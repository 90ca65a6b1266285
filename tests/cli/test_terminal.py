import json

import pytest

from labcore.cli.terminal import assignments, names, numbers, print_json, side
from labcore.kernel import UsageError


def test_assignments_split_at_the_first_equals_sign():
    assert assignments(["payment_ms=20", "note=a=b"]) == {"payment_ms": "20", "note": "a=b"}


@pytest.mark.parametrize("wrong", ["payment_ms", "=20"])
def test_an_assignment_without_name_or_value_is_named(wrong: str):
    with pytest.raises(UsageError, match="key=value"):
        assignments([wrong])


def test_names_are_stripped_and_empty_ones_dropped():
    assert names("reactive, threads,") == ["reactive", "threads"]
    assert names(None) is None


def test_what_json_cannot_say_becomes_null(capsys: pytest.CaptureFixture[str]):
    print_json({"rows": [{"p99_ms": float("nan"), "lane": "threads"}]})
    assert json.loads(capsys.readouterr().out) == {"rows": [{"lane": "threads", "p99_ms": None}]}


def test_numbers_and_sides_of_a_grid_are_read():
    assert numbers("--rates", "50, 100.5") == [50, 100.5]
    assert side("payment_ms = 0,5") == ("payment_ms", [0, 5])


@pytest.mark.parametrize("wrong", ["payment_ms", "=5", "payment_ms=", "payment_ms=5,,6"])
def test_a_side_that_is_none_is_named(wrong: str):
    with pytest.raises(UsageError, match=r"payment_ms=0,5,20|is no number"):
        side(wrong)
