"""Each test has a journal of its own, so that none writes into the data folder of whoever runs it."""

from pathlib import Path

import pytest

from labcore.learn import Journal


@pytest.fixture(autouse=True)
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Journal:
    """The journal that `check` and `predict` write when they are given none."""
    monkeypatch.setenv("LABCORE_DATA", str(tmp_path / "data"))
    return Journal()
