"""Documents made from the code agree with it."""

from pathlib import Path

from labcore.reactive.dictionary import as_markdown

DOCS = Path(__file__).parents[2] / "docs"


def test_the_table_of_operators_is_the_code_s():
    written = (DOCS / "reactor-to-labcore.md").read_text(encoding="utf-8")
    table = written[written.index("| Reactor") :]
    assert table.strip() == as_markdown().strip(), "renew it with `make docs`"
