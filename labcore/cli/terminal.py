"""What every verb shares with the terminal: parsing `key=value`, JSON on stdout, the rest on stderr."""

import json
import sys
from collections.abc import Iterable
from typing import Any

from rich.console import Console

from labcore.kernel import UsageError


def diagnostics() -> Console:
    """The console for everything that is not the answer: progress, warnings, tables."""
    return Console(stderr=True)


def print_json(document: Any) -> None:
    """One JSON document on stdout, and nothing else; NaN becomes null."""
    from labcore.faces import plain

    text = json.dumps(plain(document), indent=2, sort_keys=True, default=str, allow_nan=False)
    sys.stdout.write(text + "\n")


def assignments(pairs: Iterable[str]) -> dict[str, str]:
    """`["rate=200"]` to `{"rate": "200"}`. Raises: UsageError naming the pair that has no `=`."""
    values: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--set {pair!r} is not key=value, for example --set payment_ms=20")
        values[name.strip()] = value.strip()
    return values


def names(text: str | None) -> list[str] | None:
    """`"reactive,threads"` to a list; None stays None."""
    if text is None:
        return None
    return [part.strip() for part in text.split(",") if part.strip()]
