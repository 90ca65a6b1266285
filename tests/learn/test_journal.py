"""The journal is only appended to, survives a torn line, and can live elsewhere."""

from pathlib import Path

import pytest

from labcore.kernel import EnvironmentFault, data_dir
from labcore.learn import Journal, progress


def test_entries_come_back_in_order(journal: Journal):
    journal.note("checked", exercise="zip", status="not yet")
    journal.note("hint", exercise="zip", grade=1)
    entries, torn = journal.read()
    assert [(entry.kind, entry.fields["exercise"]) for entry in entries] == [
        ("checked", "zip"),
        ("hint", "zip"),
    ]
    assert torn == 0
    assert entries[0].at <= entries[1].at


def test_a_torn_line_is_counted_and_passed_over(journal: Journal):
    journal.note("hint", exercise="zip", grade=1)
    with journal.path.open("a") as file:
        file.write('{"at": "2026-01-01", "ki\n[1]')
    journal.note("hint", exercise="zip", grade=2)
    assert journal.hints_taken("zip") == 2
    assert journal.read()[1] == 2
    assert "2 lines of the journal are torn" in str(progress())


def test_the_folder_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LABCORE_DATA", str(tmp_path / "elsewhere"))
    Journal().note("hint", exercise="zip", grade=1)
    assert (tmp_path / "elsewhere" / "journal.jsonl").is_file()
    monkeypatch.delenv("LABCORE_DATA")
    assert data_dir().name == "labcore"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    occupied = tmp_path / "file"
    occupied.write_text("")
    with pytest.raises(EnvironmentFault, match="LABCORE_DATA"):
        Journal(occupied).note("hint", exercise="zip", grade=1)
