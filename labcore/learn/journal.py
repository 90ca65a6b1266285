"""The learner's journal: attempts, hints and predictions, one line of JSON each, only ever appended.

It lives in the machine user's data folder and goes nowhere else. `LABCORE_DATA` names another folder.
A line that a crash left torn is counted and passed over; the others stay readable.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from labcore.kernel import EnvironmentFault, data_dir, utc_now

FILE: Final = "journal.jsonl"


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: when (ISO 8601, UTC), what kind, and its fields."""

    at: str
    kind: str
    fields: dict[str, Any]


class Journal:
    """A file of entries, oldest first."""

    def __init__(self, folder: Path | None = None) -> None:
        self.path = (folder or data_dir()) / FILE

    def note(self, kind: str, **fields: Any) -> None:
        """Append an entry; one write, so that two notebooks never mix their lines.

        Raises:
            EnvironmentFault: the folder cannot be written.
        """
        line = json.dumps({"at": utc_now().isoformat(), "kind": kind} | fields) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab") as file:
                file.write(_apart(self.path) + line.encode())
        except OSError as exc:
            raise EnvironmentFault(
                f"{self.path} cannot be written ({exc}); LABCORE_DATA names another folder"
            ) from exc

    def read(self) -> tuple[list[Entry], int]:
        """The entries, and how many lines were torn."""
        if not self.path.is_file():
            return [], 0
        entries, torn = [], 0
        for line in self.path.read_text(encoding="utf-8", errors="replace").splitlines():
            entry = _entry(line)
            if entry is None:
                torn += 1
            else:
                entries.append(entry)
        return entries, torn

    def of(self, kind: str, **equal: Any) -> list[Entry]:
        """The entries of that kind whose fields have these values."""
        return [
            entry
            for entry in self.read()[0]
            if entry.kind == kind and all(entry.fields.get(k) == v for k, v in equal.items())
        ]

    def hints_taken(self, exercise: str) -> int:
        """The grade of the last hint that was asked for; 0 before the first."""
        return max((e.fields["grade"] for e in self.of("hint", exercise=exercise)), default=0)


def _apart(path: Path) -> bytes:
    """A line end where a crash left none, so that a torn line does not take the next one along."""
    ends = path.read_bytes()[-1:]
    return b"" if ends in {b"", b"\n"} else b"\n"


def _entry(line: str) -> Entry | None:
    try:
        document = json.loads(line)
    except ValueError:
        return None
    if not isinstance(document, dict) or not {"at", "kind"} <= set(document):
        return None
    return Entry(document.pop("at"), document.pop("kind"), document)
