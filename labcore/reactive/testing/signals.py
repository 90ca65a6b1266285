"""Signals as a verifier sees them, and how failure messages show them."""

from collections import deque
from dataclasses import dataclass
from enum import Enum
from itertools import islice
from typing import Any

_LONGEST = 80  # characters of one value in a message
_FIRST, _LAST = 8, 16  # signals of a long history that a message shows


class Kind(Enum):
    """What a publisher can signal to its subscriber."""

    SUBSCRIBE = "subscribe"
    NEXT = "next"
    ERROR = "error"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal; `value` is the element, the error, or None."""

    kind: Kind
    value: Any = None

    @property
    def ends(self) -> bool:
        """Whether nothing may follow."""
        return self.kind in {Kind.ERROR, Kind.COMPLETE}

    def __str__(self) -> str:
        if self.kind in {Kind.NEXT, Kind.ERROR}:
            return f"{self.kind.value}({show(self.value)})"
        return str(self.kind.value)


def show(value: object) -> str:
    """A value's `repr`, shortened in the middle."""
    text = repr(value)
    half = _LONGEST // 2
    return text if len(text) <= _LONGEST else f"{text[:half]}...{text[-half:]}"


class History:
    """What happened so far, oldest first; of a long one, the beginning and the latest part."""

    def __init__(self) -> None:
        self._first: list[object] = []
        self._last: deque[object] = deque(maxlen=_LAST)
        self._count = 0

    def add(self, entry: object) -> None:
        """Remember a signal, or an act given as text; it is rendered only when shown."""
        if self._count < _FIRST:
            self._first.append(entry)
        else:
            self._last.append(entry)
        self._count += 1

    def __str__(self) -> str:
        left_out = self._count - len(self._first) - len(self._last)
        gap = [f"... {left_out} more ..."] if left_out else []
        entries = [*self._first, *gap, *islice(self._last, _LAST)]
        return ", ".join(str(entry) for entry in entries) or "none"
