"""Documents made from the code agree with it."""

import runpy
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
MADE = runpy.run_path(str(DOCS / "renew.py"))["MADE"]


@pytest.mark.parametrize("name", MADE)
def test_what_is_made_from_the_code_is_up_to_date(name: str):
    written = (DOCS / name).read_text(encoding="utf-8")
    assert MADE[name](written) == written, "renew it with `make docs`"
