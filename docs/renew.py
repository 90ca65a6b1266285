"""Renews the documents that are made from the code; `make docs` calls it, tests compare."""

from pathlib import Path

from labcore.reactive.dictionary import as_markdown as operators
from labcore.reactive.tck.table import as_markdown as rules
from labcore.resilience.dictionary import renewed

DOCS = Path(__file__).parent


def table_below(text: str, *, heading: str, table: str) -> str:
    """The text with everything from the table's heading on replaced."""
    return text[: text.index(heading)] + table


MADE = {
    "reactor-to-labcore.md": lambda text: table_below(text, heading="| Reactor", table=operators()),
    "reactive-streams-rules.md": lambda text: table_below(text, heading="| rule", table=rules()),
    "resilience.md": renewed,
}


def main() -> None:
    """Write each document anew."""
    for name, make in MADE.items():
        path = DOCS / name
        path.write_text(make(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
