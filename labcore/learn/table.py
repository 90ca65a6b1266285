"""A small table in two forms: text for a terminal, HTML for a notebook."""

from collections.abc import Sequence
from html import escape

_LEFT = 'style="text-align:left"'  # notebooks push cells to the right


def text_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns, two spaces apart, as wide as they need to be."""
    widths = [max(map(len, column)) for column in zip(heads, *rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (heads, *rows)
    ]
    return "\n".join(lines)


def html_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table with its heads marked as such, everything escaped."""
    top = "".join(f'<th scope="col" {_LEFT}>{escape(head)}</th>' for head in heads)
    body = "".join(
        f"<tr>{''.join(f'<td {_LEFT}>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
