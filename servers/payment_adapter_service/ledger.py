"""The ledger: what became of every key, bounded in size without ever forgetting what is still open.

Pure: time comes as an argument. A key that was settled (approved, declined or voided) can be voided,
repeated and shown for `VOIDABLE_S` seconds after it was last touched; then it is final, as a card
payment is once it was captured, and leaves the ledger, counted in its sums. A key still processing
never leaves. Where that is not enough, a full ledger refuses new keys rather than forget one.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

VOIDABLE_S = 900.0  # far beyond any retry, and beyond the restart of a server that was killed
MOST_KEYS = 1_000_000  # some 450 MB


@dataclass(slots=True)
class Entry:
    """One key. `charges` is how often money was taken: 0 or 1, or the adapter is broken."""

    key: str
    amount_cents: int = 0
    payment_token: str = ""
    status: str = "processing"  # approved, declined, voided
    id: str = ""
    attempts: int = 0
    charges: int = 0
    touched_s: float = 0.0

    def document(self) -> dict[str, Any]:
        """The entry as its reader sees it."""
        document = asdict(self)
        del document["touched_s"]
        return document


class Ledger:
    """Entries by key, the longest untouched first. Not thread-safe."""

    def __init__(self, *, most_keys: int = MOST_KEYS, voidable_s: float = VOIDABLE_S) -> None:
        self._most_keys = most_keys
        self._voidable_s = voidable_s
        self._entries: dict[str, Entry] = {}
        self._forgotten = Counter[str]()
        self._forgotten_twice = 0

    def find(self, key: str) -> Entry | None:
        """What is known of a key."""
        return self._entries.get(key)

    def open(
        self, key: str, *, amount_cents: int = 0, payment_token: str = "", now_s: float
    ) -> Entry | None:
        """The entry of a key, made if need be, touched now; None when the ledger is full."""
        entry = self._entries.pop(key, None)
        if entry is None:
            self._forget(now_s)
            if len(self._entries) >= self._most_keys:
                return None
            entry = Entry(key, amount_cents, payment_token)
        entry.touched_s = now_s
        self._entries[key] = entry
        return entry

    def document(self, *, most_listed: int) -> Mapping[str, Any]:
        """Sums over all keys that ever were, and the newest entries."""
        counts = self._forgotten + Counter(entry.status for entry in self._entries.values())
        charged_twice = sum(entry.charges > 1 for entry in self._entries.values())
        newest = islice(reversed(self._entries.values()), most_listed)
        return {
            "counts": counts,
            "charged_twice": charged_twice + self._forgotten_twice,
            "forgotten": self._forgotten.total(),
            "newest": [entry.document() for entry in newest],
        }

    def _forget(self, now_s: float) -> None:
        """Let go of what is final. At most two at a time: each new key pays for its own place."""
        for key in list(islice(self._entries, 2)):
            entry = self._entries[key]
            if now_s - entry.touched_s <= self._voidable_s:
                return
            del self._entries[key]
            if entry.status == "processing":
                self._entries[key] = entry  # to the end: it must not keep the others
                entry.touched_s = now_s
            else:
                self._forgotten[entry.status] += 1
                self._forgotten_twice += entry.charges > 1
