"""Numbers and lists as a reader says them, the same on charts, page and terminal."""

import re
from collections.abc import Iterable

_USERINFO = re.compile(r"(?<=://)[^/@\s]+@")


def number(value: float, *, digits: int = 3) -> str:
    """A number to that many significant digits, thousands apart, a dash for what is not known."""
    if value != value:  # noqa: PLR0124 - NaN differs from itself
        return "–"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}".replace(",", "\u202f")  # a thin space: no comma to mistake
    text = f"{value:.{digits}g}"
    return f"{float(text):g}" if "e" not in text else text


def listed(words: Iterable[str]) -> str:
    """Words as a person lists them: a, b and c."""
    words = list(words)
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} and {words[-1]}"


def times(ratio: float) -> str:
    """A ratio as a reader says it: 14.7×, 2.1×, 1.08×, 0.47×."""
    return f"{ratio:.1f}×" if ratio >= 1.95 else f"{ratio:.2f}×"


def span(low: float, high: float) -> str:
    """Both ends of an interval of ratios, to the same two decimals: 1.97 to 2.15."""
    return f"{low:.2f} to {high:.2f}"


def redacted(text: str) -> str:
    """The text without user names and passwords in addresses."""
    return _USERINFO.sub("", text)
